import type { Rule } from "../authorize/schema.ts";
import { claimAt, type ClaimPath } from "../claims/claim_path.ts";
import { printable } from "../printable.ts";
import type { Secret } from "../secret.ts";
import { parseCompactJws } from "../token/compact_jws.ts";
import { TokenRefused } from "../token/refused_token.ts";
import type { VerifiedToken } from "../token/verified_token.ts";

type Line = readonly [label: string, text: string];

/** A claim that lists a thousand groups is cut. */
const CLAIM_LENGTH = 400;

/** What of a token decides whether it is good at all. */
const CLAIMS_OF_STRANGER = ["iss", "aud", "azp", "client_id", "sub", "exp", "nbf", "iat"];

/** The claims that the rules for the token's issuer look at, and what the token says there. */
export function claimsLookedAt(rules: readonly Rule[], { issuer, claims }: VerifiedToken): readonly Line[] {
  const paths = new Map<string, ClaimPath>();
  for (const rule of rules) {
    if (rule.issuer !== issuer) continue;
    const { claim, match, roles, require } = rule;
    const used = [match && claim, roles?.claim, ...require.map((one) => one.claim)];
    for (const path of used) if (path !== undefined) paths.set(path.text, path);
  }
  return [...paths.values()].map((path) => ["claim", shown(path.text, claimAt(claims, path))]);
}

/** What a token that is not good says of itself: nobody vouches for it. Nothing, if it is not a signed one. */
export function claimsOfStranger(token: Secret): readonly Line[] {
  try {
    const { header, payload } = parseCompactJws(token.reveal(), Infinity);
    const said = CLAIMS_OF_STRANGER.filter((name) => Object.hasOwn(payload, name));
    const { alg, kid, typ } = header;
    return [
      ["it says", `alg ${shownValue(alg)}, kid ${shownValue(kid)}, typ ${shownValue(typ)}`],
      ...said.map((name): Line => ["it says", shown(name, payload[name])]),
    ];
  } catch (error) {
    if (error instanceof TokenRefused) return [];
    throw error;
  }
}

/** A moment, and how far it is from now; both in milliseconds since 1970. */
export function timeOf(ms: number, nowMs: number): string {
  const away = roundly(Math.abs(ms - nowMs));
  return `${new Date(ms).toISOString()} (${ms < nowMs ? `${away} ago` : `in ${away}`})`;
}

const UNITS = [["d", 86_400_000], ["h", 3_600_000], ["m", 60_000]] as const;

/** In the largest unit of which there are two. */
function roundly(ms: number): string {
  const [unit, size] = UNITS.find(([, size]) => ms >= 2 * size) ?? ["s", 1_000];
  return `${Math.floor(ms / size)}${unit}`;
}

function shown(name: string, value: unknown): string {
  const isTime = ["exp", "nbf", "iat"].includes(name) && typeof value === "number" &&
    Math.abs(value) < 8.64e12;
  return `${name} = ${shownValue(value)}${isTime ? `, ${timeOf(value * 1000, Date.now())}` : ""}`;
}

function shownValue(value: unknown): string {
  return value === undefined ? "not there" : printable(JSON.stringify(value), CLAIM_LENGTH);
}
