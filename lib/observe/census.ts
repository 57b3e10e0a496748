/** What is so at one moment, counted when it is asked for. */
export interface Census {
  /** Connections whose login is not over. */
  readonly logins: number;
  /** Those that have been let in. */
  readonly sessions: Iterable<SessionTally>;
  /** By all sessions since the program started. */
  readonly carried: Iterable<CarriedTally>;
  /** What is so of other threads than the main one, if there are any. */
  readonly workers?: WorkersStanding;
  readonly keySets: Iterable<KeySetStanding>;
  readonly certificates: Iterable<CertificateStanding>;
}

/** What is so of connections. */
export type ConnectionCensus = Pick<Census, "logins" | "sessions" | "carried" | "workers">;

/** What is so of all workers together. */
export interface WorkersStanding {
  readonly heapBytes: number;
  /** By how much their event loops were late, in seconds, each time that one was looked at since the last census. */
  readonly lagsSeconds: readonly number[];
}

/** So many sessions at a backend that do the same. */
export interface SessionTally {
  readonly backend: string;
  /** As the view `pg_stat_activity` has it. */
  readonly state: "active" | "idle" | "idle in transaction" | "idle in transaction (aborted)";
  readonly count: number;
}

/** What sessions at one backend have carried. */
export interface CarriedTally {
  readonly backend: string;
  /** From the client to the backend. */
  readonly bytesIn: number;
  /** From the backend to the client. */
  readonly bytesOut: number;
  readonly transactions: number;
}

/** The keys of an issuer. */
export interface KeySetStanding {
  readonly issuer: string;
  readonly keys: number;
  /** Since they were fetched, in milliseconds; keys from files have no age. */
  readonly ageMs?: number;
}

/** A certificate that the proxy shows to somebody. */
export interface CertificateStanding {
  /** Where it is in the configuration: `listen.certificate`. */
  readonly certificate: string;
  /** In milliseconds since 1970; of a chain, the first end in it. */
  readonly expiresAtMs: number;
}
