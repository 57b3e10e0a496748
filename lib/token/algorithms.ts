/** The kind of key one JWS algorithm needs. */
export interface KeyKind {
  readonly kty: "RSA" | "EC" | "OKP";
  readonly crv?: "P-256" | "P-384" | "P-521" | "Ed25519";
}

/**
 * Signature algorithms an issuer may be configured with, each with the key it needs.
 *
 * All are asymmetric. `none` and HS* are not here, so that no configuration can let a published key be used as an
 * HMAC secret (CVE-2026-34950).
 *
 * @see RFC 7518 section 3.1, RFC 8037 section 3.1, RFC 9864 section 2.2
 */
export const ALGORITHMS = {
  RS256: { kty: "RSA" },
  RS384: { kty: "RSA" },
  RS512: { kty: "RSA" },
  PS256: { kty: "RSA" },
  PS384: { kty: "RSA" },
  PS512: { kty: "RSA" },
  ES256: { kty: "EC", crv: "P-256" },
  ES384: { kty: "EC", crv: "P-384" },
  ES512: { kty: "EC", crv: "P-521" },
  EdDSA: { kty: "OKP", crv: "Ed25519" },
  Ed25519: { kty: "OKP", crv: "Ed25519" },
} as const satisfies Record<string, KeyKind>;

/** The name of a supported signature algorithm. */
export type Algorithm = keyof typeof ALGORITHMS;

/** Every supported name, in the order they are documented. */
export const ALGORITHM_NAMES = Object.keys(ALGORITHMS) as readonly Algorithm[];
