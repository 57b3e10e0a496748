/** A token that passed every check of its issuer: what the other rooms learn of it. */
export interface VerifiedToken {
  /** Name of the issuer in the configuration, not the token's `iss`. */
  readonly issuer: string;
  /** All claims, deeply frozen. Read members with `Object.hasOwn`: names were chosen by the issuer. */
  readonly claims: Readonly<Record<string, unknown>>;
  /** `exp` in milliseconds since 1970, without the skew that verification allows. */
  readonly expiresAtMs: number;
  /** `jti`. */
  readonly tokenId?: string;
  /** `sub`. */
  readonly subject?: string;
  /** A rule that takes the identity from `email` must also see `email_verified` be `true`. */
  readonly requireEmailVerified: boolean;
}
