import assert from "node:assert/strict";
import { CompactSign, exportJWK, generateKeyPair, type JWK } from "jose";
import * as v from "valibot";
import { TokenRefused } from "../../lib/token/refused_token.ts";
import { issuerSchema, type IssuerSettings } from "../../lib/token/schema.ts";
import type { TokenEvent } from "../../lib/token/token_event.ts";
import { TokenVerifier, type TokenVerifierOutside } from "../../lib/token/token_verifier.ts";

export const ISS = "https://issuer.example";
export const JWKS_URL = "https://issuer.example/jwks";
export const START_MS = Date.UTC(2026, 0, 1);
export const START_SECONDS = START_MS / 1000;

/** A key pair as an issuer has it. */
export interface SigningKey {
  readonly alg: string;
  readonly privateKey: CryptoKey;
  readonly publicKey: CryptoKey;
  readonly jwk: JWK;
}

export async function signingKey(alg: string, kid?: string): Promise<SigningKey> {
  const { privateKey, publicKey } = await generateKeyPair(alg, { extractable: true });
  const jwk = await exportJWK(publicKey);
  return {
    alg,
    privateKey,
    publicKey,
    jwk: { ...jwk, alg, use: "sig", ...(kid === undefined ? {} : { kid }) },
  };
}

/** Claims of a token that is good for an hour from {@link START_MS}; a claim given as `undefined` is left out. */
export function claims(changes: Record<string, unknown> = {}): Record<string, unknown> {
  return {
    iss: ISS,
    aud: "pg",
    sub: "alice",
    iat: START_SECONDS,
    exp: START_SECONDS + 3600,
    ...changes,
  };
}

/** A signed token; `kid` and `alg` are those of the key unless the header says otherwise. */
export function sign(key: SigningKey, payload: unknown = claims(), header: Record<string, unknown> = {}) {
  return new CompactSign(new TextEncoder().encode(JSON.stringify(payload)))
    .setProtectedHeader({
      alg: key.alg,
      ...(key.jwk.kid === undefined ? {} : { kid: key.jwk.kid }),
      ...header,
    })
    .sign(key.privateKey, { crit: { odd: true } });
}

/** A token with exactly these bytes as header and payload, truly signed with ES256. */
export async function signBytes(
  key: SigningKey,
  { header, payload }: { header: string; payload: string | Uint8Array },
): Promise<string> {
  const input = `${encode(header)}.${encode(payload)}`;
  const algorithm = { name: "ECDSA", hash: "SHA-256" };
  const signature = await crypto.subtle.sign(algorithm, key.privateKey, new TextEncoder().encode(input));
  return `${input}.${encode(new Uint8Array(signature))}`;
}

/** Base64url without padding. */
export function encode(part: string | Uint8Array): string {
  const bytes = typeof part === "string" ? new TextEncoder().encode(part) : part;
  return bytes.toBase64({ alphabet: "base64url", omitPadding: true });
}

/** Settings as the configuration would give them. */
export function settings(changes: Record<string, unknown> = {}): IssuerSettings {
  return v.parse(issuerSchema, {
    name: "corp",
    jwks_url: JWKS_URL,
    issuer: ISS,
    audience: ["pg"],
    ...changes,
  });
}

type Answer = (request: { signal: AbortSignal }) => Response | Promise<Response>;

/** The issuer's web server, the clock, and what was reported. */
export class FakeIssuer {
  readonly requests: string[] = [];
  readonly events: TokenEvent[] = [];
  readonly #answers = new Map<string, Answer>();
  nowMs = START_MS;

  answer(url: string, answer: Answer): void {
    this.#answers.set(url, answer);
  }

  /** Serves these keys at {@link JWKS_URL}. */
  serve(...keys: readonly unknown[]): void {
    this.answer(JWKS_URL, () => Response.json({ keys }));
  }

  /** Refuses connections. */
  goDown(): void {
    this.answer(JWKS_URL, () => Promise.reject(new TypeError("connection refused")));
  }

  /** Answers only when the returned function is called. */
  hold(...keys: readonly unknown[]): () => void {
    const { promise, resolve } = Promise.withResolvers<void>();
    this.answer(JWKS_URL, async ({ signal }) => {
      const aborted = Promise.withResolvers<never>();
      signal.addEventListener("abort", () => aborted.reject(signal.reason));
      await Promise.race([promise, aborted.promise]);
      return Response.json({ keys });
    });
    return resolve;
  }

  readonly fetch: typeof fetch = async (input, init) => {
    const url = String(input instanceof Request ? input.url : input);
    this.requests.push(url);
    const answer = this.#answers.get(url);
    if (answer === undefined) return new Response("not here", { status: 404 });
    return await answer({ signal: init?.signal as AbortSignal });
  };

  verifier(
    issuers: readonly IssuerSettings[] = [settings()],
    outside: Partial<TokenVerifierOutside> = {},
  ): Promise<TokenVerifier> {
    return TokenVerifier.create(issuers, {
      fetch: this.fetch,
      now: () => this.nowMs,
      report: (event) => this.events.push(event),
      ...outside,
    });
  }
}

/** An issuer that serves these keys. */
export function issuerWith(...keys: readonly SigningKey[]): FakeIssuer {
  const issuer = new FakeIssuer();
  issuer.serve(...keys.map((key) => key.jwk));
  return issuer;
}

/** The error a token is refused with; fails when it is not refused. */
export async function refusalOf(verifier: TokenVerifier, token: string): Promise<TokenRefused> {
  try {
    await verifier.verify(token);
  } catch (error) {
    assert.ok(error instanceof TokenRefused, `not a TokenRefused: ${Deno.inspect(error)}`);
    return error;
  }
  assert.fail("the token was accepted");
}

/** The fault a token is refused with. */
export async function faultOf(verifier: TokenVerifier, token: string): Promise<string> {
  return (await refusalOf(verifier, token)).fault;
}
