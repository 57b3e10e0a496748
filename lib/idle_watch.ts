import type { Lifetime } from "./authorize/lifetime.ts";
import type { PgError } from "./errors.ts";
import type { Relay } from "./relay/relay.ts";
import { idleInTransactionTooLong, idleTooLong } from "./tenure_words.ts";

/** How long a session may be idle, in milliseconds; undefined: as long as it likes. */
export type Patience = Pick<Lifetime, "idleMs" | "idleInTransactionMs">;

/** A session is looked at so many times in the time it may be idle, and ends that much too late at most. */
const LOOKS = 8;

/** What a session does when it does nothing. */
type Idleness = "idle" | "idle in transaction";

/**
 * Whether a session has been idle for too long: its client has all answers, and asks for nothing.
 *
 * That is found out by looking now and then, so that what passes costs nothing: a session was idle all the time between two
 * looks if it is at both, and nothing has come from its client. What a backend says by itself, as to LISTEN, makes no
 * session busy: PostgreSQL's own idle_session_timeout sees it so too.
 *
 * @see https://www.postgresql.org/docs/18/runtime-config-client.html#GUC-IDLE-SESSION-TIMEOUT
 */
export class IdleWatch {
  #patience: Patience;
  #idleness: Idleness | null = null;
  #sinceMs = 0;
  #bytesIn = 0;

  constructor(patience: Patience) {
    this.#patience = patience;
  }

  /** Whether there is anything to watch for. */
  static isNeeded({ idleMs, idleInTransactionMs }: Patience): boolean {
    return idleMs !== undefined || idleInTransactionMs !== undefined;
  }

  /** Goes by another patience; how long the session has been idle is not forgotten. */
  apply(patience: Patience): void {
    this.#patience = patience;
  }

  /** Looks; gives the error that the session is to end with, if it is. `nowMs` is on any clock. */
  look({ state, bytesIn }: Pick<Relay["standing"], "state" | "bytesIn">, nowMs: number): PgError | null {
    const idleness = idlenessOf(state);
    // A clock that was set back says nothing of how much time has passed.
    if (idleness !== this.#idleness || bytesIn !== this.#bytesIn || nowMs < this.#sinceMs) {
      this.#idleness = idleness;
      this.#bytesIn = bytesIn;
      this.#sinceMs = nowMs;
    }
    return this.#endsAtMs <= nowMs ? this.#error() : null;
  }

  /** When to look again. */
  nextMs(nowMs: number): number {
    const { idleMs = Infinity, idleInTransactionMs = Infinity } = this.#patience;
    return Math.min(this.#endsAtMs, nowMs + Math.min(idleMs, idleInTransactionMs) / LOOKS);
  }

  get #endsAtMs(): number {
    const { idleMs = Infinity, idleInTransactionMs = Infinity } = this.#patience;
    if (this.#idleness === null) return Infinity;
    return this.#sinceMs + (this.#idleness === "idle" ? idleMs : idleInTransactionMs);
  }

  #error(): PgError {
    return this.#idleness === "idle" ? idleTooLong() : idleInTransactionTooLong();
  }
}

/** A transaction that has failed is one all the same: it keeps its snapshot until somebody ends it. */
function idlenessOf(state: Relay["standing"]["state"]): Idleness | null {
  if (state === "active") return null;
  return state === "idle" ? "idle" : "idle in transaction";
}
