import type { Salting } from "./questions.ts";

/**
 * Answers `deriveSaltedPassword` by WebCrypto, which works on a thread of its own.
 *
 * @see https://www.rfc-editor.org/rfc/rfc5802#section-2.2
 */
export async function saltedPassword({ password, salt, iterations }: Salting): Promise<Uint8Array> {
  const bytes = new TextEncoder().encode(password.reveal());
  const key = await crypto.subtle.importKey("raw", bytes, "PBKDF2", false, ["deriveBits"]);
  const parameters = { name: "PBKDF2", hash: "SHA-256", salt: new Uint8Array(salt), iterations };
  return new Uint8Array(await crypto.subtle.deriveBits(parameters, key, 256));
}
