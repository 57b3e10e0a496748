import { CLOCK_SKEW_SECONDS } from "../claims/clock_skew.ts";
import { holds } from "../claims/requirement.ts";
import { TokenRefused } from "./refused_token.ts";
import type { IssuerSettings } from "./schema.ts";

type Claims = Readonly<Record<string, unknown>>;

/** Kinds of token accepted when `types` is not set: what the sessions of people and programs use. */
const DEFAULT_TYPES = ["JWT", "at+jwt"];

/**
 * Refuses a kind of token that is not meant for signing in here, such as a logout token or an ID token.
 *
 * @throws {TokenRefused} type
 * @see RFC 8725 section 3.11, RFC 9068 section 4
 */
export function checkType(typ: string | undefined, { types }: IssuerSettings): void {
  if (typ === undefined && types === undefined) return;
  if (typ !== undefined && (types ?? DEFAULT_TYPES).map(mediaType).includes(mediaType(typ))) return;
  throw new TokenRefused("type", "The header's typ is not one the issuer's types accept");
}

/**
 * Checks every claim but `iss`, which has chosen the issuer.
 *
 * @throws {TokenRefused} expired, not_yet_valid, audience, client, claim
 * @see RFC 7519 section 4.1
 */
export function checkClaims(
  claims: Claims,
  { settings, nowMs }: { settings: IssuerSettings; nowMs: number },
): void {
  checkTimes(claims, nowMs / 1000);
  checkAudience(claims, settings.audience);
  checkClient(claims, settings.clients);
  checkRequired(claims, settings.required_claims);
}

function checkTimes(claims: Claims, nowSeconds: number): void {
  const exp = timeClaim(claims, "exp");
  if (exp === undefined) throw new TokenRefused("expired", "The token has no exp");
  if (exp <= 0) throw new TokenRefused("expired", "The token's exp is not after 1970");
  if (nowSeconds >= exp + CLOCK_SKEW_SECONDS) throw new TokenRefused("expired", "The token has expired");
  for (const name of ["nbf", "iat"] as const) {
    const time = timeClaim(claims, name);
    if (time !== undefined && time > nowSeconds + CLOCK_SKEW_SECONDS) {
      throw new TokenRefused("not_yet_valid", `The token's ${name} is in the future; compare the clocks`);
    }
  }
}

/** The claims that are times, and what a token is when one is not usable. */
const TIME_FAULTS = { exp: "expired", nbf: "not_yet_valid", iat: "not_yet_valid" } as const;

/** A NumericDate, in seconds. JSON's 1e309 reads as Infinity: a token for ever. */
function timeClaim(claims: Claims, name: keyof typeof TIME_FAULTS): number | undefined {
  if (!Object.hasOwn(claims, name)) return undefined;
  const time = claims[name];
  if (typeof time === "number" && Number.isFinite(time)) return time;
  throw new TokenRefused(TIME_FAULTS[name], `The token's ${name} is not a finite number`);
}

/** Equality of strings, or membership of an array; never a part of a string. */
function checkAudience(claims: Claims, accepted: readonly string[]): void {
  const aud = Object.hasOwn(claims, "aud") ? claims.aud : undefined;
  if (Array.isArray(aud) ? aud.some((one) => accepted.includes(one)) : accepted.includes(aud as string)) {
    return;
  }
  throw new TokenRefused("audience", "The token's aud is not one of the issuer's audience");
}

/** `azp` and `client_id` both name whom the token was issued to: each that is there must be known. */
function checkClient(claims: Claims, clients: readonly string[] | undefined): void {
  if (clients === undefined) return;
  const named = ["azp", "client_id"].filter((name) => Object.hasOwn(claims, name));
  if (named.length === 0) throw new TokenRefused("client", "The token has neither azp nor client_id");
  for (const name of named) {
    if (!clients.includes(claims[name] as string)) {
      throw new TokenRefused("client", `The token's ${name} is not one of the issuer's clients`);
    }
  }
}

function checkRequired(claims: Claims, required: IssuerSettings["required_claims"]): void {
  const unmet = required.find((requirement) => !holds(requirement, claims));
  if (unmet === undefined) return;
  throw new TokenRefused("claim", `The token lacks the required claim "${unmet.claim.text}" or its value`);
}

/** @see RFC 7515 section 4.1.9: case does not count, and "application/" may be left out when no other slash follows. */
function mediaType(typ: string): string {
  const lower = typ.toLowerCase();
  return lower.includes("/") ? lower : `application/${lower}`;
}
