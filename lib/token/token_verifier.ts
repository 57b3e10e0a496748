// In: a bearer token as the client sent it, and the issuers of the configuration.
// Out: its claims with what the other rooms need of them, or a TokenRefused that says why.
// RFC 7519 (JWT), RFC 7515 (JWS), RFC 7517 (JWK), RFC 8725 (best current practices), OpenID Connect Discovery 1.0.

import { compactVerify, errors } from "jose";
import type { Algorithm } from "./algorithms.ts";
import { checkClaims, checkType, CLOCK_SKEW_SECONDS } from "./claim_checks.ts";
import { type CompactJws, type JwsHeader, parseCompactJws } from "./compact_jws.ts";
import { type IssuersOutside, type KnownIssuer, openIssuers } from "./known_issuer.ts";
import { TokenRefused } from "./refused_token.ts";
import type { IssuerSettings } from "./schema.ts";
import type { IssuerProblem } from "./token_event.ts";
import { TokenMemory } from "./token_memory.ts";
import type { VerificationKeys } from "./verification_keys.ts";
import { type VerifiedToken, verifiedToken } from "./verified_token.ts";

/** How often issuers are looked at for keys that have become old, in milliseconds. */
const TICK_MS = 30_000;

/** What a verifier needs from outside. */
export interface TokenVerifierOutside extends IssuersOutside {
  /** Longest token looked at, in bytes; 16384 unless given. */
  readonly maxTokenBytes?: number;
}

interface Verdict {
  readonly verified: VerifiedToken;
  readonly issuer: KnownIssuer;
  readonly keys: VerificationKeys;
}

/** Says of a bearer token whether it is good. Holds the issuers' keys, and for a minute the tokens found good. */
export class TokenVerifier implements AsyncDisposable {
  readonly #issuers: ReadonlyMap<string, KnownIssuer>;
  readonly #memory = new TokenMemory<Verdict>();
  readonly #now: () => number;
  readonly #maxTokenBytes: number;
  readonly #ticking: ReturnType<typeof setInterval>;

  private constructor(issuers: readonly KnownIssuer[], { now, maxTokenBytes = 16384 }: TokenVerifierOutside) {
    this.#issuers = new Map(issuers.map((issuer) => [issuer.iss, issuer]));
    this.#now = now;
    this.#maxTokenBytes = maxTokenBytes;
    this.#ticking = setInterval(() => issuers.forEach((issuer) => issuer.keys.tick()), TICK_MS);
    Deno.unrefTimer(this.#ticking);
  }

  /**
   * Sets the issuers up and reads their key files. Nothing is fetched yet: ask {@link probe} for that.
   *
   * @throws {IssuersMisconfigured} with every problem of names and key files
   */
  static async create(
    issuers: readonly IssuerSettings[],
    outside: TokenVerifierOutside,
  ): Promise<TokenVerifier> {
    return new TokenVerifier(await openIssuers(issuers, outside), outside);
  }

  /** Fetches the keys of every issuer that has none yet, and tells which issuers still have none, and why. */
  async probe(): Promise<readonly IssuerProblem[]> {
    const problems = await Promise.all([...this.#issuers.values()].map(async ({ settings, keys }) => {
      if (await keys.usable() !== undefined) return [];
      return [{ issuer: settings.name, message: keys.problem() ?? "Its keys have not been fetched" }];
    }));
    return problems.flat();
  }

  /** Fetches every key set again; one that cannot be had leaves its keys as they are and is reported. */
  async refresh(): Promise<void> {
    await Promise.all([...this.#issuers.values()].map(({ keys }) => keys.refresh()));
  }

  /**
   * The token's claims, if it is good.
   *
   * @throws {TokenRefused} with its fault when it is not
   */
  async verify(token: string): Promise<VerifiedToken> {
    const remembered = this.#recall(token);
    if (remembered !== undefined) return remembered;
    const { header, payload } = parseCompactJws(token, this.#maxTokenBytes);
    const issuer = this.#issuerOf(payload);
    const algorithm = configuredAlgorithm(header, issuer.settings);
    checkType(header.typ, issuer.settings);
    const keys = await this.#checkSignature(token, { issuer, algorithm, kid: header.kid });
    // Only now: a stranger without a key must not learn by the time taken which claims would do (T16).
    checkClaims(payload, { settings: issuer.settings, nowMs: this.#now() });
    const verified = verifiedToken(payload, issuer.settings);
    this.#memory.remember(token, { verified, issuer, keys }, {
      nowMs: this.#now(),
      notPastMs: verified.expiresAtMs + CLOCK_SKEW_SECONDS * 1000,
    });
    return verified;
  }

  /** Stops fetching and forgets every token. */
  async close(): Promise<void> {
    clearInterval(this.#ticking);
    this.#memory.clear();
    await Promise.all([...this.#issuers.values()].map(({ keys }) => keys.close()));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  /** A verdict holds as long as the keys it was reached with: a withdrawn key takes its tokens along at once. */
  #recall(token: string): VerifiedToken | undefined {
    const verdict = this.#memory.recall(token, this.#now());
    if (verdict === undefined || verdict.keys !== verdict.issuer.keys.current()) return undefined;
    return verdict.verified;
  }

  /** Equality of strings only: an array, a prefix or a trailing slash is another issuer (T9). */
  #issuerOf(payload: CompactJws["payload"]): KnownIssuer {
    const iss = Object.hasOwn(payload, "iss") ? payload.iss : undefined;
    const issuer = typeof iss === "string" ? this.#issuers.get(iss) : undefined;
    if (issuer === undefined) {
      throw new TokenRefused("unknown_issuer", "The token's iss is not a configured issuer");
    }
    return issuer;
  }

  async #checkSignature(
    token: string,
    { issuer, algorithm, kid }: { issuer: KnownIssuer; algorithm: Algorithm; kid?: string },
  ): Promise<VerificationKeys> {
    let keys = await issuer.keys.usable();
    if (keys?.match(kid, algorithm).kind === "unknown_kid") {
      await issuer.keys.askAgain();
      keys = issuer.keys.current();
    }
    if (keys === undefined) {
      throw new TokenRefused(
        "keys_unavailable",
        `The keys of issuer "${issuer.settings.name}" cannot be had`,
      );
    }
    const match = keys.match(kid, algorithm);
    switch (match.kind) {
      case "unknown_kid":
        throw new TokenRefused("unknown_key", "The header's kid is none of the issuer's keys");
      case "no_fit":
        throw new TokenRefused("algorithm", "The header's alg does not fit the issuer's key");
      case "found":
        if (await isSigned(token, { keys: match.keys, algorithm })) return keys;
        throw new TokenRefused("signature", "The signature is wrong");
    }
  }
}

/** The algorithm is the configuration's choice; the token may only name one of it (T1). */
function configuredAlgorithm({ alg }: JwsHeader, { algorithms }: IssuerSettings): Algorithm {
  const algorithm = algorithms.find((one) => one === alg);
  if (algorithm === undefined) {
    throw new TokenRefused("algorithm", "The header's alg is not one of the issuer's algorithms");
  }
  return algorithm;
}

/** Whether one of the keys has signed the token. */
async function isSigned(
  token: string,
  { keys, algorithm }: { keys: readonly CryptoKey[]; algorithm: Algorithm },
): Promise<boolean> {
  for (const key of keys) {
    try {
      await compactVerify(token, key, { algorithms: [algorithm] });
      return true;
    } catch (error) {
      if (!(error instanceof errors.JOSEError)) throw error;
    }
  }
  return false;
}
