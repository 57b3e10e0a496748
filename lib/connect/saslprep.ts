import { Secret } from "../secret.ts";

// deno-lint-ignore no-control-regex
const ASCII = /^[\x00-\x7f]*$/;

/** Tables of all of Unicode, which few need: they are not read to start the program. */
const readTables = () => import("@mongodb-js/saslprep");

/** Reads what it takes to prepare these passwords: it takes 40 ms, in which no login should be waited for. */
export async function getReadyToPrepare(
  passwords: readonly (Secret | undefined)[],
  read: () => Promise<unknown> = readTables,
): Promise<void> {
  if (passwords.some((password) => password !== undefined && !ASCII.test(password.reveal()))) await read();
}

/**
 * The password as PostgreSQL's SCRAM hashes it: prepared by SASLprep, but as it is when it cannot be, because the server
 * that stored it did the same. ASCII is never prepared there, and nothing is prepared into nothing.
 *
 * @see https://www.rfc-editor.org/rfc/rfc4013
 */
export async function preparePassword(password: Secret): Promise<Secret> {
  const raw = password.reveal();
  if (ASCII.test(raw)) return password;
  const { saslprep } = await readTables();
  try {
    return new Secret(saslprep(raw) || raw);
  } catch {
    return password;
  }
}
