import { PgError } from "../errors.ts";
import { SQLSTATE } from "../sqlstate.ts";

/** What a client is told that has asked too much; `reason` is for the log. */
export function tooMuch(
  message: string,
  { waitMs, reason }: { readonly waitMs: number; readonly reason: string },
): PgError {
  const seconds = Math.max(1, Math.ceil(waitMs / 1000));
  const hint = `Try again in ${seconds} ${seconds === 1 ? "second" : "seconds"}.`;
  return new PgError(SQLSTATE.tooManyConnections, message, { hint, reason });
}
