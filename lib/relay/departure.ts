import type { PgError } from "../errors.ts";

/** How long an idle session is given to show that its client has asked more already, in milliseconds. */
const LOOK_MS = 2;

/** How long it may go on being given that, in milliseconds: a client that always asks more would stay for ever. */
const PATIENCE_MS = 1_000;

/**
 * A session that is to end as soon as it is idle.
 *
 * When it is, what its client has just sent may lie unread in a socket's buffer. So it is looked at once more a moment
 * later, and leaves only if nothing has come.
 */
export class Departure implements Disposable {
  readonly error: PgError;
  readonly #leave: () => void;
  #isPatient = true;
  #patience: ReturnType<typeof setTimeout> | undefined;
  #look: ReturnType<typeof setTimeout> | undefined;

  /** `leave` is called when the session has been idle for a moment; it must ask again whether it is. */
  constructor(error: PgError, leave: () => void) {
    this.error = error;
    this.#leave = leave;
  }

  /** The session is idle now: true when it has been looked at often enough, and may be ended. */
  idle(): boolean {
    if (!this.#isPatient) return true;
    this.#patience ??= setTimeout(() => this.#isPatient = false, PATIENCE_MS);
    clearTimeout(this.#look);
    this.#look = setTimeout(this.#leave, LOOK_MS);
    return false;
  }

  [Symbol.dispose](): void {
    clearTimeout(this.#patience);
    clearTimeout(this.#look);
  }
}
