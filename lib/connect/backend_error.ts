import type { Dialogue } from "../dialogue.ts";
import { PgError } from "../errors.ts";
import { SQLSTATE } from "../sqlstate.ts";
import type { ErrorResponse } from "../wire/error_response.ts";

/**
 * What becomes of a backend's ErrorResponse during login, by the class of its SQLSTATE.
 *
 * Messages of class 28 name roles, addresses and lines of pg_hba.conf of a network the client is not part of; those of
 * 08, 58, F0 and XX name hosts and files. They stay in the log. All other classes speak of what the client asked for
 * (no such database, too many connections, starting up) and pass word for word. A class that means success is no
 * error's, and counts as missing.
 */
const KEPT_FROM_CLIENT: Readonly<Record<string, { sqlstate: string; does: string }>> = {
  "00": { sqlstate: SQLSTATE.connectionFailure, does: "ended the login" },
  "01": { sqlstate: SQLSTATE.connectionFailure, does: "ended the login" },
  "02": { sqlstate: SQLSTATE.connectionFailure, does: "ended the login" },
  "08": { sqlstate: SQLSTATE.connectionFailure, does: "ended the login" },
  "28": { sqlstate: SQLSTATE.invalidAuthorizationSpecification, does: "refused the proxy's login" },
  "58": { sqlstate: SQLSTATE.connectionFailure, does: "ended the login" },
  F0: { sqlstate: SQLSTATE.connectionFailure, does: "ended the login" },
  XX: { sqlstate: SQLSTATE.connectionFailure, does: "ended the login" },
};

/** A backend's ErrorResponse as the client may read it. */
export function errorOfBackend(backend: string, response: ErrorResponse): PgError {
  const sqlstate = sqlstateOf(response);
  const kept = KEPT_FROM_CLIENT[sqlstate.slice(0, 2)];
  const reason = `the backend said: ${textOf(response)}`;
  if (kept === undefined) {
    const { message = `backend "${backend}" ended the login`, detail, hint } = response;
    return new PgError(sqlstate, message, { detail, hint, blame: "backend", reason });
  }
  return new PgError(
    sqlstate === SQLSTATE.invalidPassword ? sqlstate : kept.sqlstate,
    `backend "${backend}" ${kept.does}`,
    { blame: "backend", reason },
  );
}

/** The backend does not take our proof for the password's. */
export function loginRefused(backend: string, reason: string): PgError {
  return new PgError(SQLSTATE.invalidPassword, `backend "${backend}" refused the proxy's login`, {
    blame: "backend",
    reason,
  });
}

/** The backend broke the protocol, or tried to trick us: nothing more is sent to it. */
export function backendViolation(backend: string, reason: string): PgError {
  return new PgError(SQLSTATE.protocolViolation, `backend "${backend}" broke the protocol of the login`, {
    blame: "backend",
    reason,
  });
}

/** The same error with another reason. */
export function withReason(error: PgError, reason: string): PgError {
  const { sqlstate, message, severity, detail, hint, blame, fault, cause } = error;
  return new PgError(sqlstate, message, { severity, detail, hint, blame, fault, cause, reason });
}

/** The backend cannot be used as the configuration wants it used. */
export function backendUnusable(backend: string, reason: string): PgError {
  return new PgError(
    SQLSTATE.sqlclientUnableToEstablishSqlconnection,
    `could not reach backend "${backend}"`,
    {
      blame: "backend",
      reason,
    },
  );
}

/**
 * Speaks `dialogue` with a backend: a broken message or connection there is the backend's fault, and the client, who
 * broke nothing, is not told its details.
 */
export function* withBackend<T>(backend: string, dialogue: Dialogue<T>): Dialogue<T> {
  try {
    return yield* dialogue;
  } catch (thrown) {
    if (!(thrown instanceof PgError) || thrown.blame === "backend") throw thrown;
    if (thrown.sqlstate === SQLSTATE.protocolViolation) throw backendViolation(backend, thrown.message);
    if (thrown.sqlstate !== SQLSTATE.connectionFailure) throw thrown;
    throw new PgError(SQLSTATE.connectionFailure, `lost the connection to backend "${backend}"`, {
      blame: "backend",
      reason: thrown.message,
    });
  }
}

function sqlstateOf({ sqlstate }: ErrorResponse): string {
  return sqlstate !== undefined && /^[0-9A-Z]{5}$/.test(sqlstate) ? sqlstate : SQLSTATE.connectionFailure;
}

function textOf({ sqlstate, message, detail }: ErrorResponse): string {
  const parts = [sqlstate, message, detail].filter((part) => part !== undefined);
  return parts.length === 0 ? "nothing" : parts.join(": ");
}
