import { createHash, createHmac } from "node:crypto";

/** What a client and a server of SCRAM need of a password; whoever has the first of them can log in with it. */
export interface ScramKeys {
  readonly clientKey: Uint8Array;
  readonly storedKey: Uint8Array;
  readonly serverKey: Uint8Array;
}

/**
 * The keys that a salted password stands for.
 *
 * @see https://www.rfc-editor.org/rfc/rfc5802#section-3
 */
export function scramKeys(saltedPassword: Uint8Array): ScramKeys {
  const clientKey = hmac(saltedPassword, "Client Key");
  const storedKey = new Uint8Array(createHash("sha256").update(clientKey).digest());
  return { clientKey, storedKey, serverKey: hmac(saltedPassword, "Server Key") };
}

/** ClientProof: shows that we know the password to whoever keeps StoredKey. */
export function clientProof({ clientKey, storedKey }: ScramKeys, authMessage: string): Uint8Array {
  const clientSignature = hmac(storedKey, authMessage);
  return clientKey.map((byte, index) => byte ^ clientSignature[index]);
}

/** ServerSignature: what only a backend that keeps ServerKey can have made. */
export function serverSignature({ serverKey }: ScramKeys, authMessage: string): Uint8Array {
  return hmac(serverKey, authMessage);
}

function hmac(key: Uint8Array, message: string): Uint8Array {
  return new Uint8Array(createHmac("sha256", key).update(message).digest());
}
