/** How often an idle session is looked at again before it ends, and how long after the look before, in milliseconds. */
const LOOKS = 3;
const LOOK_MS = 10;

/** How long a session may go on as it likes until it is idle, in milliseconds: a client could see to it that it never is. */
export const PATIENCE_MS = 2_000;

/** What a departure asks of its session. */
export interface Departing {
  /** Whatever the client has sent is done, and answered; its transaction is over. Half a message is nothing. */
  readonly isDone: () => boolean;
  /** The client has sent half a message. */
  readonly isAwaitingRest: () => boolean;
  /** What is under way needs more of the client to come to its end. */
  readonly needsClient: () => boolean;
  /** Ends it. */
  readonly leave: () => void;
}

/**
 * A session that is to end as soon as it is idle.
 *
 * When it is, what its client has just sent may lie unread in a socket's buffer. So it is looked at again, and leaves only
 * if nothing has come. One look is not enough: on a busy event loop a timer is due before the sockets are asked, and TLS
 * takes a turn of its own.
 *
 * Whoever always asks one more thing, or leaves one byte of it unsent, would stay for ever so. Patience has an end: then it
 * leaves in the first moment when what was asked is done, and the client is held back but for what that takes.
 */
export class Departure implements Disposable {
  readonly #session: Departing;
  readonly #patience: ReturnType<typeof setTimeout>;
  #look: ReturnType<typeof setTimeout> | undefined;
  #isPatient = true;
  #isOver = false;
  #change: PromiseWithResolvers<void> | null = null;

  constructor(session: Departing, patienceMs: number = PATIENCE_MS) {
    this.#session = session;
    this.#patience = setTimeout(() => {
      this.#isPatient = false;
      this.check();
    }, patienceMs);
  }

  /** The client is held back. */
  get isHoldingBack(): boolean {
    return !this.#isPatient;
  }

  /** Something has happened that may have left the session idle, or in need of its client. */
  check(): void {
    this.#change?.resolve();
    this.#change = null;
    if (!this.#session.isDone()) return;
    if (!this.#isPatient) this.#session.leave();
    else if (!this.#session.isAwaitingRest()) this.#lookAgain(LOOKS);
  }

  /** Settles when more of the client is needed, or the session is over. */
  async untilNeeded(): Promise<void> {
    while (!this.#isOver && !this.#session.needsClient()) {
      this.#change ??= Promise.withResolvers();
      await this.#change.promise;
    }
  }

  /** The session is over. */
  [Symbol.dispose](): void {
    this.#isOver = true;
    this.#change?.resolve();
    clearTimeout(this.#patience);
    clearTimeout(this.#look);
  }

  #lookAgain(looks: number): void {
    clearTimeout(this.#look);
    this.#look = setTimeout(() => {
      if (!this.#session.isDone() || this.#session.isAwaitingRest()) return;
      if (looks > 1) this.#lookAgain(looks - 1);
      else this.#session.leave();
    }, LOOK_MS);
  }
}
