// In: a bearer token as the client sent it, and the issuers of the configuration.
// Out: its claims with what the other rooms need of them, or a TokenRefused that says why.
// RFC 7519 (JWT), RFC 7515 (JWS), RFC 7517 (JWK), RFC 8725 (best current practices), OpenID Connect Discovery 1.0.

import { CLOCK_SKEW_SECONDS } from "../claims/clock_skew.ts";
import { checkBinding } from "./binding.ts";
import { checkClaims } from "./claim_checks.ts";
import { looksLikeJose } from "./compact_jws.ts";
import type { IssuersOutside } from "./issuer_parts.ts";
import { keySetsOf, probeIssuers, probeValidators, problemsOf, recheckIssuers } from "./issuer_probes.ts";
import type { KeySetAge } from "./key_source.ts";
import { type KnownIssuer, openIssuers } from "./known_issuer.ts";
import type { Presentation } from "./presentation.ts";
import { TokenRefused } from "./refused_token.ts";
import { expectIssuer, issuerNamed, routeOf } from "./route.ts";
import type { IssuerSettings } from "./schema.ts";
import { checkSignature } from "./signature_check.ts";
import type { IssuerProblem } from "./token_event.ts";
import { REMEMBER_FOR_MS, TokenMemory } from "./token_memory.ts";
import type { VerificationKeys } from "./verification_keys.ts";
import { type TokenNames, type VerifiedToken, verifiedToken } from "./verified_token.ts";

/** How often issuers are looked at for keys that have become old, in milliseconds. */
const TICK_MS = 30_000;

/** What a verifier needs from outside. */
export interface TokenVerifierOutside extends IssuersOutside {
  /** Longest token looked at, in bytes; 16384 unless given. */
  readonly maxTokenBytes?: number;
  /**
   * The verifier of the configuration before. What issuers of the same name have the same stays open when it is closed: keys
   * that were fetched, introspections, validators.
   */
  readonly before?: TokenVerifier;
}

/** What became of a token before, by the keys of then; an opaque one has none. */
interface Verdict {
  readonly verified: VerifiedToken;
  readonly issuer: KnownIssuer;
  readonly keys?: VerificationKeys;
}

/** What an issuer says now of a token it has called good before. */
export type StandingOfToken = "good" | "revoked" | "unknown";

/** Says of a bearer token whether it is good. Holds the issuers' keys, and for a minute the tokens found good. */
export class TokenVerifier implements AsyncDisposable {
  readonly #issuers: readonly KnownIssuer[];
  readonly #memory = new TokenMemory<Verdict>();
  readonly #now: () => number;
  readonly #report: NonNullable<TokenVerifierOutside["report"]>;
  readonly #maxTokenBytes: number;
  readonly #ticking: ReturnType<typeof setInterval>;
  #rechecking: Promise<void> | null = null;
  #isClosed = false;

  private constructor(issuers: readonly KnownIssuer[], outside: TokenVerifierOutside) {
    const { now, report = () => {}, maxTokenBytes = 16384 } = outside;
    this.#issuers = issuers;
    this.#now = now;
    this.#report = report;
    this.#maxTokenBytes = maxTokenBytes;
    this.#ticking = setInterval(() => issuers.forEach((issuer) => issuer.keys?.tick()), TICK_MS);
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
    const { before, ...rest } = outside;
    const issuersBefore = before === undefined ? [] : before.#issuers;
    return new TokenVerifier(await openIssuers(issuers, { ...rest, issuersBefore }), rest);
  }

  /**
   * Fetches the keys of every issuer that has none yet and tries every introspection: what cannot be had, and why. What was
   * taken over from before is left to {@link recheck}: an issuer that is down now is no reason against a configuration.
   */
  async probe(): Promise<readonly IssuerProblem[]> {
    return await probeIssuers(this.#issuers);
  }

  /** Asks for what was taken over from before: what cannot be had now stays as it is, and is reported. Never rejects. */
  recheck(): Promise<void> {
    this.#rechecking = recheckIssuers(this.#issuers, (event) => {
      if (!this.#isClosed) this.#report(event);
    });
    return this.#rechecking;
  }

  /** Asks every validator about a token that nobody has issued: those that give no answer, or call it good. */
  async probeValidators(): Promise<readonly IssuerProblem[]> {
    return await probeValidators(this.#issuers, this.#now());
  }

  /** What is wrong with issuers now, as far as that is known without asking them: keys that are missing, or too old. */
  problems(): readonly IssuerProblem[] {
    return problemsOf(this.#issuers);
  }

  /** Fetches every key set again; one that cannot be had leaves its keys as they are and is reported. */
  async refresh(): Promise<void> {
    await Promise.all(this.#issuers.map(({ keys }) => keys?.refresh()));
  }

  /**
   * The token's claims, if it is good and was presented by whom it may be.
   *
   * @throws {TokenRefused} with its fault when it is not
   */
  async verify(token: string, presentation: Presentation = {}): Promise<VerifiedToken> {
    if (token === "") throw new TokenRefused("not_a_token", "The password is empty");
    if (token.length > this.#maxTokenBytes) {
      throw new TokenRefused("too_long", `The token is longer than ${this.#maxTokenBytes} bytes`);
    }
    const { issuer, verified } = this.#recall(token) ?? await this.#judge(token, presentation);
    // What depends on who presents it, or on what has been withdrawn meanwhile, is never remembered.
    if (presentation.issuer !== undefined) expectIssuer(issuer, presentation.issuer);
    checkBinding(verified, {
      settings: issuer.settings,
      certificate: presentation.clientCertificate ?? null,
    });
    if (this.isDenied(verified)) {
      throw new TokenRefused("denied", "The token's jti or sub is on the deny list");
    }
    return verified;
  }

  /** Whether the deny list of the token's issuer names it, or whose it is, by now. */
  isDenied(named: TokenNames): boolean {
    return this.#named(named.issuer)?.denyList?.has(named) ?? false;
  }

  /** Whether the issuer of a token found good before, by another configuration, is one of ours by that name. */
  knowsIssuerOf({ issuer: name, claims }: TokenNames): boolean {
    const issuer = this.#named(name);
    if (issuer === undefined) return false;
    // A name may have been given to another issuer since; a token that is introspected need not say whose it is.
    const iss = Object.hasOwn(claims, "iss") ? claims.iss : undefined;
    return iss === undefined || issuer.iss === undefined || iss === issuer.iss;
  }

  /** How many usable keys each issuer has that has any of its own, and how old they are. */
  keySets(): readonly KeySetAge[] {
    return keySetsOf(this.#issuers, this.#now());
  }

  /** Asks its issuer once more about a token that was good at login; `unknown` when the issuer cannot be asked. */
  async introspectAgain(token: string, verified: VerifiedToken): Promise<StandingOfToken> {
    const issuer = this.#named(verified.issuer);
    if (issuer?.introspector === undefined) return "unknown";
    try {
      const told = await issuer.introspector.introspect(token);
      // As at login: what the issuer has signed has the last word.
      const isSigned = issuer.keys !== undefined && looksLikeJose(token);
      const claims = isSigned ? { ...told, ...verified.claims } : { ...verified.claims, ...told };
      checkClaims(claims, { settings: issuer.settings, nowMs: this.#now() });
      return "good";
    } catch (error) {
      if (!(error instanceof TokenRefused)) throw error;
      return error.fault === "issuer_unavailable" ? "unknown" : "revoked";
    }
  }

  /** Stops fetching and forgets every token. */
  async close(): Promise<void> {
    clearInterval(this.#ticking);
    this.#memory.clear();
    this.#isClosed = true;
    await Promise.all(this.#issuers.map((issuer) => issuer.close()));
    await this.#rechecking;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  /** A verdict holds as long as the keys it was reached with: a withdrawn key takes its tokens along at once. */
  #recall(token: string): Verdict | undefined {
    const verdict = this.#memory.recall(token, this.#now());
    if (verdict?.keys !== undefined && verdict.keys !== verdict.issuer.keys?.current()) return undefined;
    return verdict;
  }

  async #judge(token: string, presentation: Presentation): Promise<Verdict> {
    const route = { issuers: this.#issuers, name: presentation.issuer, maxTokenBytes: this.#maxTokenBytes };
    const { issuer, jws } = routeOf(token, route);
    const { settings, validator } = issuer;
    if (validator !== undefined) {
      using _turn = await presentation.takeTurn?.(settings.name);
      // What it says may depend on all that it is told, and on the moment.
      const claims = await validator.validate({ token, asked: presentation.asked, nowMs: this.#now() });
      return { issuer, verified: verifiedToken(claims, settings) };
    }
    const keys = jws && issuer.keys &&
      await checkSignature(token, { ...jws, settings, keySource: issuer.keys });
    const told = keys === undefined || settings.introspect === "always"
      ? await introspect(token, issuer, presentation)
      : undefined;
    // What the issuer has signed has the last word; what it adds, as it does to a lightweight token, is as good.
    const claims = keys === undefined ? told! : { ...told, ...jws!.payload };
    // Only now: a stranger without a key must not learn by the time taken which claims would do (T16).
    checkClaims(claims, { settings, nowMs: this.#now() });
    const verdict = { issuer, keys, verified: verifiedToken(claims, settings) };
    const notPastMs = verdict.verified.expiresAtMs + CLOCK_SKEW_SECONDS * 1000;
    const forMs = told === undefined ? REMEMBER_FOR_MS : issuer.introspector!.rememberForMs;
    this.#memory.remember(token, verdict, {
      nowMs: this.#now(),
      notPastMs: Math.min(notPastMs, this.#now() + forMs),
    });
    return verdict;
  }

  #named(name: string): KnownIssuer | undefined {
    return issuerNamed(name, this.#issuers);
  }
}

async function introspect(
  token: string,
  { settings, introspector }: KnownIssuer,
  { takeTurn }: Presentation,
): Promise<Record<string, unknown>> {
  if (introspector !== undefined) {
    using _turn = await takeTurn?.(settings.name);
    return await introspector.introspect(token);
  }
  throw new TokenRefused("not_a_token", `Issuer "${settings.name}" has no introspection for such a token`);
}
