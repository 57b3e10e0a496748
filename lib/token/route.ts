import { type CompactJws, looksLikeJose, parseCompactJws } from "./compact_jws.ts";
import type { KnownIssuer } from "./known_issuer.ts";
import { TokenRefused } from "./refused_token.ts";

/** Who is to say whether a token is good, and what it says itself where it is signed. */
export interface Route {
  readonly issuer: KnownIssuer;
  readonly jws?: CompactJws;
}

/** What a route is found by. */
export interface RouteOptions {
  readonly issuers: readonly KnownIssuer[];
  /** Name of the only issuer whose tokens are taken; undefined: any. */
  readonly name?: string;
  readonly maxTokenBytes: number;
}

/**
 * Who is to say whether the token is good. A token is shown to no other issuer than its own: the one that the way in
 * names, or that it names itself, or the only one there is for tokens that say nothing.
 *
 * @throws {TokenRefused} unknown_issuer, other_issuer; and as {@link parseCompactJws} where nobody is asked about opaque tokens
 */
export function routeOf(token: string, { issuers, name, maxTokenBytes }: RouteOptions): Route {
  const named = name === undefined ? onlyOne(issuers) : issuerNamed(name, issuers);
  const asked = named ?? onlyOne(issuers.filter(isAsked));
  // An issuer without keys, as one with a validator is, is asked about whatever comes.
  const mustAsk = !looksLikeJose(token) || (named !== undefined && named.keys === undefined);
  if (mustAsk && asked !== undefined && isAsked(asked)) return { issuer: asked };
  const jws = parseCompactJws(token, maxTokenBytes);
  const issuer = issuerOf(jws.payload, issuers);
  // Before it is asked anything: whom a way in does not name, nobody who comes by it can have at work.
  if (name !== undefined) expectIssuer(issuer, name);
  return { issuer, jws };
}

/**
 * Holds that a token is of the only issuer whose tokens are taken.
 *
 * @throws {TokenRefused} other_issuer when it is not
 */
export function expectIssuer({ settings }: KnownIssuer, name: string): void {
  if (settings.name === name) return;
  throw new TokenRefused("other_issuer", `Only tokens of issuer "${name}" are taken here`);
}

/** The issuer of this name in the configuration. */
export function issuerNamed(name: string, issuers: readonly KnownIssuer[]): KnownIssuer | undefined {
  return issuers.find(({ settings }) => settings.name === name);
}

/** Equality of strings only: an array, a prefix or a trailing slash is another issuer (T9). */
function issuerOf(payload: CompactJws["payload"], issuers: readonly KnownIssuer[]): KnownIssuer {
  const iss = Object.hasOwn(payload, "iss") ? payload.iss : undefined;
  const issuer = typeof iss === "string" ? issuers.find((one) => one.iss === iss) : undefined;
  if (issuer === undefined) {
    throw new TokenRefused("unknown_issuer", "The token's iss is not a configured issuer");
  }
  return issuer;
}

/** Whether it, or a program, can be asked about a token that says nothing itself. */
function isAsked({ introspector, validator }: KnownIssuer): boolean {
  return (introspector ?? validator) !== undefined;
}

function onlyOne(issuers: readonly KnownIssuer[]): KnownIssuer | undefined {
  return issuers.length === 1 ? issuers[0] : undefined;
}
