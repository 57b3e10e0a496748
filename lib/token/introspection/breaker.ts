/** Failures in a row after which nobody is asked any more. */
export const FAILURES_TO_OPEN = 5;

/** How long nobody is asked then, and the time from one trial to the next, in milliseconds. */
export const OPEN_FOR_MS = 5_000;

/**
 * Keeps those who wait from waiting for somebody who does not answer. After some failures in a row it opens: for a while
 * nobody asks, then one at a time tries, until one succeeds.
 */
export class Breaker {
  readonly #now: () => number;
  #failures = 0;
  #openedAtMs?: number;

  /** `now` counts milliseconds. */
  constructor(now: () => number) {
    this.#now = now;
  }

  /** Whether nobody may ask at present. */
  get refuses(): boolean {
    return this.#openedAtMs !== undefined && !this.#hasPassed(this.#openedAtMs);
  }

  /** Whether the caller may ask: of those who come while it is open, one in each period. */
  admits(): boolean {
    if (this.refuses) return false;
    // The next trial is a whole period away, whatever becomes of this one: a caller that vanishes holds nobody up.
    if (this.#openedAtMs !== undefined) this.#openedAtMs = this.#now();
    return true;
  }

  /** There was an answer. Tells whether that has closed it. */
  succeeded(): boolean {
    const wasOpen = this.#openedAtMs !== undefined;
    this.#failures = 0;
    this.#openedAtMs = undefined;
    return wasOpen;
  }

  /** There was none. Tells whether that has opened it. */
  failed(): boolean {
    this.#failures += 1;
    if (this.#openedAtMs !== undefined || this.#failures < FAILURES_TO_OPEN) return false;
    this.#openedAtMs = this.#now();
    return true;
  }

  /** A clock that was set back counts as passed: else nobody would ask until it has caught up. */
  #hasPassed(sinceMs: number): boolean {
    const ageMs = this.#now() - sinceMs;
    return ageMs >= OPEN_FOR_MS || ageMs < 0;
  }
}
