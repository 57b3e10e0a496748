import { TokenRefused } from "./refused_token.ts";
import type { IssuerSettings } from "./schema.ts";

/** A token that passed every check of its issuer: what the other rooms learn of it. */
export interface VerifiedToken {
  /** Name of the issuer in the configuration, not the token's `iss`. */
  readonly issuer: string;
  /** All claims, deeply frozen. Read members with `Object.hasOwn`: names were chosen by the issuer. */
  readonly claims: Readonly<Record<string, unknown>>;
  /** `exp` in milliseconds since 1970, without the skew that verification allows. */
  readonly expiresAtMs: number;
  /** `iat` in milliseconds since 1970. */
  readonly issuedAtMs?: number;
  /** `jti`. */
  readonly tokenId?: string;
  /** `sub`. */
  readonly subject?: string;
  /** A rule that takes the identity from `email` must also see `email_verified` be `true`. */
  readonly requireEmailVerified: boolean;
}

/** What a token is known again by, and whose it is; of its claims `iss` is enough. */
export type TokenNames = Pick<VerifiedToken, "issuer" | "claims" | "tokenId" | "subject">;

/** The largest time a Date can hold: what `expiresAtMs` is cut to. */
const MAX_DATE_MS = 8.64e15;

/**
 * What the other rooms learn of claims that have passed every check.
 *
 * @throws {TokenRefused} malformed when `jti` or `sub` is not a string
 */
export function verifiedToken(claims: Record<string, unknown>, settings: IssuerSettings): VerifiedToken {
  return Object.freeze({
    issuer: settings.name,
    claims: deepFreeze(claims),
    expiresAtMs: Math.min(Math.floor((claims.exp as number) * 1000), MAX_DATE_MS),
    issuedAtMs: typeof claims.iat === "number" ? Math.floor(claims.iat * 1000) : undefined,
    tokenId: textClaim(claims, "jti"),
    subject: textClaim(claims, "sub"),
    requireEmailVerified: settings.require_email_verified,
  });
}

function textClaim(claims: Record<string, unknown>, name: string): string | undefined {
  if (!Object.hasOwn(claims, name)) return undefined;
  const value = claims[name];
  if (typeof value !== "string") throw new TokenRefused("malformed", `The token's ${name} is not a string`);
  return value;
}

/** One verdict is shared by all sessions of a token: none may change it for the others. */
function deepFreeze<T>(value: T): T {
  if (typeof value === "object" && value !== null) Object.values(Object.freeze(value)).forEach(deepFreeze);
  return value;
}
