import { PgError } from "../errors.ts";
import { SQLSTATE } from "../sqlstate.ts";
import type { LimitsSettings } from "./schema.ts";

/** A limit of the configuration: the key of `[limits]`, or that of a rule or a backend. */
export type LimitName = keyof LimitsSettings | "rules.max_connections" | "backends.max_connections";

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

/**
 * What a client is told for whom there is no room: 53300, by which key of the configuration, and how many it allows.
 *
 * @param about `whose` is what the limit is of, for the log: a client need not know the names of rules and networks
 */
export function tooMany(
  message: string,
  { limit, max, whose }: { readonly limit: LimitName; readonly max: number; readonly whose?: string },
): PgError {
  const key = limit.includes(".") ? limit : `limits.${limit}`;
  return new PgError(SQLSTATE.tooManyConnections, message, {
    detail: `There may be ${max} at a time (${key}).`,
    hint: "Try again when another connection has been closed.",
    reason: whose === undefined ? `${key} is ${max}` : `${key} of ${whose} is ${max}`,
    fault: limit,
  });
}
