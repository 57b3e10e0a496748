import type { Salting } from "./questions.ts";
import { preparePassword } from "./saslprep.ts";

/**
 * SCRAM's SaltedPassword, by WebCrypto, which works on a thread of its own.
 *
 * @see https://www.rfc-editor.org/rfc/rfc5802#section-2.2 and section 3
 */
export async function saltedPassword({ password, salt, iterations }: Salting): Promise<Uint8Array> {
  const prepared = await preparePassword(password);
  const bytes = new TextEncoder().encode(prepared.reveal());
  const key = await crypto.subtle.importKey("raw", bytes, "PBKDF2", false, ["deriveBits"]);
  const parameters = { name: "PBKDF2", hash: "SHA-256", salt: new Uint8Array(salt), iterations };
  return new Uint8Array(await crypto.subtle.deriveBits(parameters, key, 256));
}
