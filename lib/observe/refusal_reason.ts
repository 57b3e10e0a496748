import type { LoginRefusal } from "./events.ts";

/** PostgreSQL's names of the conditions that the proxy tells of, and of those that logins at a backend fail with. */
const CONDITIONS: Readonly<Record<string, string>> = {
  "08001": "sqlclient_unable_to_establish_sqlconnection",
  "08006": "connection_failure",
  "08P01": "protocol_violation",
  "0A000": "feature_not_supported",
  "22023": "invalid_parameter_value",
  "25P03": "idle_in_transaction_session_timeout",
  "28000": "invalid_authorization_specification",
  "28P01": "invalid_password",
  "3D000": "invalid_catalog_name",
  "42501": "insufficient_privilege",
  "53300": "too_many_connections",
  "55000": "object_not_in_prerequisite_state",
  "57014": "query_canceled",
  "57P01": "admin_shutdown",
  "57P03": "cannot_connect_now",
  "57P05": "idle_session_timeout",
  "XX000": "internal_error",
};

/**
 * The classes of all other codes.
 *
 * @see https://www.postgresql.org/docs/18/errcodes-appendix.html
 */
const CLASSES = new Set(
  ("00 01 02 03 08 09 0A 0B 0F 0L 0P 0Z 10 20 21 22 23 24 25 26 27 28 2B 2D 2F 34 38 39 3B 3D 3F 40 42 44 53 54 55 57 58 " +
    "72 F0 HV P0 XX").split(" "),
);

/**
 * Why a login was refused, in one word of a bounded number: the fault, or the name of the SQLSTATE, or its class. A backend
 * may send any five characters as a code.
 */
export function refusalReason({ fault, sqlstate }: Pick<LoginRefusal, "fault" | "sqlstate">): string {
  if (fault !== undefined) return fault;
  if (Object.hasOwn(CONDITIONS, sqlstate)) return CONDITIONS[sqlstate];
  const sqlstateClass = sqlstate.slice(0, 2);
  return CLASSES.has(sqlstateClass) ? `class_${sqlstateClass}` : "other";
}
