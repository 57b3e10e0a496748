import { createPublicKey } from "node:crypto";
import { importJWK, type JWK } from "jose";
import { type Algorithm, ALGORITHMS, type KeyKind } from "./algorithms.ts";

/** One public key, imported for each configured algorithm it may be used with. */
export interface VerificationKey {
  readonly kid?: string;
  readonly byAlgorithm: ReadonlyMap<Algorithm, CryptoKey>;
}

/** Keys to try, or why there are none: only an unknown `kid` is worth asking the issuer again. */
export type KeyMatch =
  | { readonly kind: "found"; readonly keys: readonly CryptoKey[] }
  | { readonly kind: "unknown_kid" }
  | { readonly kind: "no_fit" };

/** Most keys tried for one token, when it has no `kid` or several keys share one. */
export const MAX_KEYS_TRIED = 16;

const MIN_RSA_BITS = 2048;

/** Deno 2.9's WebCrypto imports longer keys, and then verifies nothing with them. */
const MAX_RSA_BITS = 4096;

/** The keys of one issuer as they were at one moment. */
export class VerificationKeys {
  readonly #all: readonly VerificationKey[];
  readonly #byKid: ReadonlyMap<string, VerificationKey[]>;
  readonly #matchesAnyKid: boolean;

  /** With `matchesAnyKid` a token's `kid` is not looked at: PEM files have none. */
  constructor(keys: readonly VerificationKey[], { matchesAnyKid = false } = {}) {
    this.#all = keys;
    this.#byKid = Map.groupBy(keys.filter((key) => key.kid !== undefined), (key) => key.kid!);
    this.#matchesAnyKid = matchesAnyKid;
  }

  get size(): number {
    return this.#all.length;
  }

  /** The keys a token of this header may have been signed with. A `kid` is nothing but a Map key (T3). */
  match(kid: string | undefined, algorithm: Algorithm): KeyMatch {
    const named = kid === undefined || this.#matchesAnyKid ? this.#all : this.#byKid.get(kid);
    if (named === undefined) return { kind: "unknown_kid" };
    const keys = named.flatMap((key) => key.byAlgorithm.get(algorithm) ?? []).slice(0, MAX_KEYS_TRIED);
    return keys.length > 0 ? { kind: "found", keys } : { kind: "no_fit" };
  }
}

/**
 * Imports a public JWK for those of `algorithms` it fits.
 *
 * @returns the key, or a clause that says why it cannot be used
 * @see RFC 7517 section 4
 */
export async function importVerificationKey(
  jwk: unknown,
  algorithms: readonly Algorithm[],
): Promise<VerificationKey | string> {
  if (typeof jwk !== "object" || jwk === null) return "is not an object";
  const { kty, crv, use, key_ops, alg, kid, d, n, e, x, y } = jwk as Record<string, unknown>;
  if (kty === "oct") return "is a shared secret";
  if (d !== undefined) return "is a private key";
  if (use !== undefined && use !== "sig") return "is not for signatures (use)";
  if (key_ops !== undefined && !(Array.isArray(key_ops) && key_ops.includes("verify"))) {
    return "is not for verifying (key_ops)";
  }
  if (kid !== undefined && typeof kid !== "string") return "has a kid that is not a string";
  const fitting = algorithms.filter((one) => fits(ALGORITHMS[one], { kty, crv }) && isAlgorithmOf(one, alg));
  if (fitting.length === 0) return "fits none of the issuer's algorithms";

  const byAlgorithm = new Map<Algorithm, CryptoKey>();
  for (const algorithm of fitting) {
    // Only what makes up the public key: `ext`, `x5c` and the like have no say.
    const key = await tryImport({ kty, crv, n, e, x, y } as JWK, algorithm);
    if (typeof key === "string") return key;
    byAlgorithm.set(algorithm, key);
  }
  return { kid, byAlgorithm };
}

async function tryImport(jwk: JWK, algorithm: Algorithm): Promise<CryptoKey | string> {
  try {
    const key = await importJWK(jwk, algorithm);
    if (key instanceof Uint8Array) return "is a shared secret";
    if ("modulusLength" in key.algorithm) {
      const bits = key.algorithm.modulusLength as number;
      if (bits < MIN_RSA_BITS) return `is an RSA key of less than ${MIN_RSA_BITS} bits`;
      if (bits > MAX_RSA_BITS) return `is an RSA key of more than ${MAX_RSA_BITS} bits`;
    }
    // Deno's WebCrypto takes points off their curve and an RSA exponent of 1; its node:crypto refuses them.
    createPublicKey({ key: { ...jwk }, format: "jwk" });
    return key;
  } catch {
    return "cannot be imported";
  }
}

function fits(kind: KeyKind, { kty, crv }: { kty: unknown; crv: unknown }): boolean {
  return kind.kty === kty && (kind.crv === undefined || kind.crv === crv);
}

/** EdDSA and Ed25519 are two names of one algorithm as soon as the curve is known. */
function isAlgorithmOf(algorithm: Algorithm, keyAlg: unknown): boolean {
  if (keyAlg === undefined || keyAlg === algorithm) return true;
  return ALGORITHMS[algorithm].kty === "OKP" && (keyAlg === "EdDSA" || keyAlg === "Ed25519");
}
