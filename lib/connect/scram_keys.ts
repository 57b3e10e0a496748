import { createHash, createHmac } from "node:crypto";

/**
 * ClientProof: shows that we know the password to whoever keeps StoredKey.
 *
 * @see https://www.rfc-editor.org/rfc/rfc5802#section-3
 */
export function clientProof(saltedPassword: Uint8Array, authMessage: string): Uint8Array {
  const clientKey = hmac(saltedPassword, "Client Key");
  const storedKey = createHash("sha256").update(clientKey).digest();
  const clientSignature = hmac(storedKey, authMessage);
  return clientKey.map((byte, index) => byte ^ clientSignature[index]);
}

/** ServerSignature: what only a backend that keeps ServerKey can have made. */
export function serverSignature(saltedPassword: Uint8Array, authMessage: string): Uint8Array {
  return hmac(hmac(saltedPassword, "Server Key"), authMessage);
}

function hmac(key: Uint8Array, message: string): Uint8Array {
  return new Uint8Array(createHmac("sha256", key).update(message).digest());
}
