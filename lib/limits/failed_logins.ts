/** Whose failed logins are counted together: one user's from one address, so that no neighbour is ever locked out. */
export interface Suspect {
  /** IP address. */
  readonly address: string;
  /** The startup message's user. */
  readonly user: string;
}

/** Failed logins in numbers are slowed, then refused for a while (T18). */
export class FailedLogins {
  /** @throws {PgError} 53300 when so many have failed that no more are looked at for a while */
  check(_suspect: Suspect): void {}

  /** Counts one; returns how long its answer is to be held back, in milliseconds. */
  failed(_suspect: Suspect): number {
    return 0;
  }

  /** Forgets what was counted. */
  succeeded(_suspect: Suspect): void {}
}
