import { PgError } from "../errors.ts";
import type { Secret } from "../secret.ts";
import { SQLSTATE } from "../sqlstate.ts";
import type { Credentials } from "./login.ts";

/**
 * The password the backend has asked for.
 *
 * @throws {PgError} 08001 when none is configured, or it cannot be written as a protocol string
 */
export function passwordOf({ backend, password }: Credentials): Secret {
  if (password === undefined) throw unusable(backend, "it asked for a password, and none is configured");
  if (password.reveal().includes("\0")) throw unusable(backend, "its password has a zero byte");
  return password;
}

function unusable(backend: string, reason: string): PgError {
  return new PgError(
    SQLSTATE.sqlclientUnableToEstablishSqlconnection,
    `the proxy cannot log in to backend "${backend}"`,
    { blame: "operator", reason },
  );
}
