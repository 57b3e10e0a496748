import { saslprep } from "@mongodb-js/saslprep";
import { Secret } from "../secret.ts";

/**
 * The password as PostgreSQL's SCRAM hashes it: prepared by SASLprep, but as it is when it cannot be, because the server
 * that stored it did the same. ASCII is never prepared there, and nothing is prepared into nothing.
 *
 * @see https://www.rfc-editor.org/rfc/rfc4013
 */
export function preparePassword(password: Secret): Secret {
  const raw = password.reveal();
  try {
    return new Secret(saslprep(raw) || raw);
  } catch {
    return password;
  }
}
