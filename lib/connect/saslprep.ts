import { Secret } from "../secret.ts";

// deno-lint-ignore no-control-regex
const ASCII = /^[\x00-\x7f]*$/;

/**
 * The password as PostgreSQL's SCRAM hashes it: prepared by SASLprep, but as it is when it cannot be, because the server
 * that stored it did the same. ASCII is never prepared there, and nothing is prepared into nothing.
 *
 * @see https://www.rfc-editor.org/rfc/rfc4013
 */
export async function preparePassword(password: Secret): Promise<Secret> {
  const raw = password.reveal();
  if (ASCII.test(raw)) return password;
  // Tables of all of Unicode, which few need: they are not read to start the program.
  const { saslprep } = await import("@mongodb-js/saslprep");
  try {
    return new Secret(saslprep(raw) || raw);
  } catch {
    return password;
  }
}
