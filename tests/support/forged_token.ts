/** A header or payload: an object, or the exact text when JSON itself is to be wrong. */
export type TokenPart = Readonly<Record<string, unknown>> | string;

/**
 * Writes a compact JWS (RFC 7515 section 7.1) by hand, so that a test can say anything in it: the key signs with its own
 * algorithm, whatever the header claims. Without a key the signature is empty.
 */
export async function forgeToken(header: TokenPart, payload: TokenPart, key?: CryptoKey): Promise<string> {
  const signed = `${encodePart(header)}.${encodePart(payload)}`;
  if (key === undefined) return `${signed}.`;
  const algorithm = key.algorithm.name === "ECDSA"
    ? { name: "ECDSA", hash: hashOf(key) }
    : key.algorithm.name;
  const signature = await crypto.subtle.sign(algorithm, key, new TextEncoder().encode(signed));
  return `${signed}.${base64Url(new Uint8Array(signature))}`;
}

/** An HMAC key of the given bytes, to sign as HS256 does. */
export async function hmacKey(bytes: Uint8Array<ArrayBuffer>): Promise<CryptoKey> {
  return await crypto.subtle.importKey("raw", bytes, { name: "HMAC", hash: "SHA-256" }, true, [
    "sign",
    "verify",
  ]);
}

/** The hash that JOSE pairs with the key's curve (RFC 7518 section 3.4). */
function hashOf(key: CryptoKey): string {
  const { namedCurve } = key.algorithm as EcKeyAlgorithm;
  return { "P-256": "SHA-256", "P-384": "SHA-384", "P-521": "SHA-512" }[namedCurve]!;
}

function encodePart(part: TokenPart): string {
  return base64Url(new TextEncoder().encode(typeof part === "string" ? part : JSON.stringify(part)));
}

function base64Url(bytes: Uint8Array): string {
  return bytes.toBase64({ alphabet: "base64url", omitPadding: true });
}
