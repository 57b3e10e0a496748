/** Who asks for what. */
export interface DecisionRequest {
  readonly token: VerifiedToken;
  /** The startup message's user. */
  readonly user: string;
  /** The startup message's database, or the user if it named none. */
  readonly database: string;
  /** Whether the startup message asked for replication. */
  readonly replication: boolean;
  /** IP address it comes from. */
  readonly clientAddress: string;
  /** When it asks, in milliseconds since 1970. */
  readonly nowMs: number;
}

/** What authorisation needs of a token that was found good. */
export interface VerifiedToken {
  /** The configured name of the issuer. */
  readonly issuer: string;
  readonly claims: Readonly<Record<string, unknown>>;
  /** Whether `email` counts only beside `email_verified: true`. */
  readonly requireEmailVerified: boolean;
  /** `iat` in milliseconds since 1970. */
  readonly issuedAtMs?: number;
  /** `jti`. */
  readonly tokenId?: string;
  /** `sub`. */
  readonly subject?: string;
}
