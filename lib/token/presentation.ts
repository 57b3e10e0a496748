/** How a token was presented: what the token alone does not say, and what its checks may depend on. */
export interface Presentation {
  /** Name of the only issuer whose tokens are taken, where the way in says so; undefined: any. */
  readonly issuer?: string;
  /** The certificate the client has shown in TLS, in DER; its key has signed the handshake. */
  readonly clientCertificate?: Uint8Array | null;
  /** What the client asks for, for an external validator. */
  readonly asked?: AskedOfUs;
  /**
   * Waits for the client's turn before an issuer is asked about its token, or a validator, which may take their time; what
   * it gives ends the turn. A signature is checked without: keys that are here must go on working whoever else is slow (T4).
   */
  readonly takeTurn?: (issuer: string) => Promise<Disposable>;
}

/** What a client asks for, and where it comes from. */
export interface AskedOfUs {
  readonly user: string;
  readonly database: string;
  /** IP address without port. */
  readonly clientAddress: string;
  /** The name the client gave in TLS (SNI), if it gave one. */
  readonly serverName?: string;
}
