// In: claims, and what the configuration says of them. Out: what a dotted path leads to, and whether a requirement holds.
// Nothing here knows where the claims come from: the rooms that check tokens and that ask the rules both read them.
// JSON Web Token: https://www.rfc-editor.org/rfc/rfc7519#section-4

import { Mistake } from "../mistake.ts";

/** Where a claim is in a token: the names to follow from the top, one object at a time. */
export interface ClaimPath {
  /** As it was written, for messages. */
  readonly text: string;
  readonly segments: readonly string[];
}

/**
 * A dotted path such as `realm_access.roles`; a name holding a dot is quoted: `"https://example.com/claims".role`.
 *
 * @throws {Mistake} when a segment is empty or a quote is not closed
 */
export function parseClaimPath(text: string): ClaimPath {
  const segments: string[] = [];
  const segment = /"([^"]+)"(?=\.|$)|([^".]+)(?=\.|$)/y;
  while (segment.lastIndex <= text.length) {
    const found = segment.exec(text);
    if (found === null) throw new Mistake("must be a dotted path of claim names, such as realm_access.roles");
    segments.push(found[1] ?? found[2]);
    segment.lastIndex += 1; // the dot, or past the end
  }
  return { text, segments };
}

/** The value at the path, or undefined: own properties of objects only, so a path never reaches a prototype or an index. */
export function claimAt(claims: unknown, path: ClaimPath): unknown {
  let value = claims;
  for (const segment of path.segments) {
    if (typeof value !== "object" || value === null || Array.isArray(value)) return undefined;
    if (!Object.hasOwn(value, segment)) return undefined;
    value = (value as Record<string, unknown>)[segment];
  }
  return value;
}

/**
 * The values a claim has: the elements of an array, the words of `scope` or `scp`, or the one that is there.
 *
 * A `scope` of text is a list of words with a space between them; Entra ID writes its `scp` the same way. Only at the top:
 * what a `scope` inside another claim means, its owner knows.
 *
 * @see RFC 8693 section 4.2, RFC 9068 section 2.2.3
 */
export function valuesAt(claims: unknown, path: ClaimPath): readonly unknown[] {
  const value = claimAt(claims, path);
  if (Array.isArray(value)) return value;
  if (value === undefined) return [];
  const isScope = path.segments.length === 1 && ["scope", "scp"].includes(path.segments[0]);
  return isScope && typeof value === "string" ? value.split(" ").filter((word) => word !== "") : [value];
}

/**
 * Whether the path is OIDC's `email`, which an issuer may let anybody type in: it counts only with `email_verified`.
 *
 * @see https://openid.net/specs/openid-connect-core-1_0.html#StandardClaims
 */
export function isEmail(path: ClaimPath): boolean {
  return path.segments.length === 1 && path.segments[0] === "email";
}
