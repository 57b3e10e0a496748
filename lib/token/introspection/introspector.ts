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
  /** Asks about a token that nobody has issued: what is wrong with the issuer or with the configuration, if anything is. */
  probe(): Promise<IntrospectionProblem | undefined>;
  close(): Promise<void>;
}

/** What is wrong with an issuer's introspection. */
export interface IntrospectionProblem {
  /** The key of the table `introspection` to look at first; undefined: the table. */
  readonly key?: string;
  /** A sentence. */
  readonly message: string;
}
