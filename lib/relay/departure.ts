import type { PgError } from "../errors.ts";

/** How often an idle session is looked at again before it ends, and how long after the look before, in milliseconds. */
const LOOKS = 3;
const LOOK_MS = 10;

/** How long it may go on being given that, in milliseconds: a client that always asks more would stay for ever. */
const PATIENCE_MS = 1_000;

/**
 * A session that is to end as soon as it is idle.
 *
 * When it is, what its client has just sent may lie unread in a socket's buffer. So it is looked at again, and leaves only
 * if nothing has come. One look is not enough: on a busy event loop a timer is due before the sockets are asked, and TLS
 * takes a turn of its own.
 */
export class Departure implements Disposable {
  readonly error: PgError;
  readonly #isAtRest: () => boolean;
  readonly #leave: () => void;
  #isPatient = true;
  #patience: ReturnType<typeof setTimeout> | undefined;
  #look: ReturnType<typeof setTimeout> | undefined;

  /** `leave` is called once, when `isAtRest` has been true for a moment. */
  constructor(error: PgError, { isAtRest, leave }: { isAtRest: () => boolean; leave: () => void }) {
    this.error = error;
    this.#isAtRest = isAtRest;
    this.#leave = leave;
  }

  /** Something has happened that may have left the session at rest. */
  check(): void {
    if (!this.#isAtRest()) return;
    if (!this.#isPatient) return this.#leave();
    this.#patience ??= setTimeout(() => this.#isPatient = false, PATIENCE_MS);
    clearTimeout(this.#look);
    this.#lookAgain(LOOKS);
  }

  [Symbol.dispose](): void {
    clearTimeout(this.#patience);
    clearTimeout(this.#look);
  }

  #lookAgain(looks: number): void {
    this.#look = setTimeout(() => {
      if (!this.#isAtRest()) return;
      if (looks > 1) this.#lookAgain(looks - 1);
      else this.#leave();
    }, LOOK_MS);
  }
}
