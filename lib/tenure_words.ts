import type { Ending } from "./authorize/lifetime.ts";
import { PgError } from "./errors.ts";
import { SQLSTATE } from "./sqlstate.ts";
import { noticeResponse } from "./wire/error_response.ts";
import { encodeMessage } from "./wire/message.ts";

const AGAIN = "Connect again with a new token.";

/** The token's `exp` has come: 57P01. */
export function expired(): PgError {
  const hint = AGAIN;
  return new PgError(SQLSTATE.adminShutdown, "terminating connection because its token has expired", {
    hint,
  });
}

/** `max_session` has come: 57P01. */
export function lastedTooLong(): PgError {
  return new PgError(SQLSTATE.adminShutdown, "terminating connection due to maximum session duration", {
    hint: "Connect again.",
  });
}

/** `idle_timeout` has passed: 57P05, in PostgreSQL's own words, which drivers know. */
export function idleTooLong(): PgError {
  const message = "terminating connection due to idle-session timeout";
  return new PgError(SQLSTATE.idleSessionTimeout, message, { hint: "Connect again." });
}

/** `idle_in_transaction_timeout` has passed: 25P03, in PostgreSQL's own words. */
export function idleInTransactionTooLong(): PgError {
  const message = "terminating connection due to idle-in-transaction timeout";
  return new PgError(SQLSTATE.idleInTransactionSessionTimeout, message, {
    hint: "Connect again; the transaction has been rolled back.",
  });
}

/** Its issuer says that the token is no longer good: 28000. */
export function revoked(): PgError {
  return withdrawn("its issuer calls the token inactive");
}

/** A deny list names the token, or whose it is: 28000. */
export function denied(): PgError {
  return withdrawn("the token's jti or sub is on the deny list");
}

/** The rules have changed: 28000; `reason` is for the log. */
export function notLetIn(reason: string): PgError {
  return new PgError(
    SQLSTATE.invalidAuthorizationSpecification,
    "terminating connection because the rules no longer let it in",
    { reason },
  );
}

/** NoticeResponse (B) that a session is going to end: when, and how that will be. */
export function soonOver(message: string, ending: Ending): Uint8Array {
  return encodeMessage(noticeResponse, {
    kind: "NoticeResponse",
    localizedSeverity: "WARNING",
    severity: "WARNING",
    sqlstate: SQLSTATE.warning,
    message,
    detail: ending === "end_now"
      ? "It is then terminated at once, whatever it is doing."
      : "It is then terminated as soon as no transaction is open.",
    hint: AGAIN,
  });
}

/** What a client must not learn is which of the two it was: whoever holds a stolen token would know what to steal next. */
function withdrawn(reason: string): PgError {
  return new PgError(
    SQLSTATE.invalidAuthorizationSpecification,
    "terminating connection because its token has been revoked",
    { reason },
  );
}
