/** Asks an issuer about a token that says nothing itself. */
export interface Introspector {
  /** How long a positive answer may be remembered, in milliseconds; at most a minute. */
  readonly rememberForMs: number;
  /**
   * What the issuer says of an active access token, in the names of claims.
   *
   * @throws {TokenRefused} inactive when it is none; issuer_unavailable when the issuer cannot be asked
   */
  introspect(token: string): Promise<Record<string, unknown>>;
  close(): Promise<void>;
}
