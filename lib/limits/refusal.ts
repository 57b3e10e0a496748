import { PgError } from "../errors.ts";
import { SQLSTATE } from "../sqlstate.ts";
import type { LimitsSettings } from "./schema.ts";

/** What a client is told that has asked too much; `reason` is for the log, `limit` is the key of `[limits]` it ran into. */
export function tooMuch(
  message: string,
  { waitMs, reason, limit }: {
    readonly waitMs: number;
    readonly reason: string;
    readonly limit: keyof LimitsSettings;
  },
): PgError {
  const seconds = Math.max(1, Math.ceil(waitMs / 1000));
  const hint = `Try again in ${seconds} ${seconds === 1 ? "second" : "seconds"}.`;
  return new PgError(SQLSTATE.tooManyConnections, message, { hint, reason, fault: limit });
}
