import type { After } from "../timers.ts";

/** How often the event loop is looked at, in milliseconds. */
const PERIOD_MS = 500;

/** What watching takes. */
export interface EventLoopWatchOptions {
  /** Milliseconds on a clock that only goes forward. */
  readonly now: () => number;
  /** Calls `act` after so many milliseconds, without keeping the program running for it; what it gives takes that back. */
  readonly after: After;
}

/**
 * Tells by how much the event loop is late: every session waits as long for its turn. A timer that is due is late by just
 * the time that something else has taken.
 */
export class EventLoopWatch implements Disposable {
  readonly #told: (lagSeconds: number) => void;
  readonly #options: EventLoopWatchOptions;
  #stop: () => void;

  constructor(told: (lagSeconds: number) => void, options: EventLoopWatchOptions) {
    this.#told = told;
    this.#options = options;
    this.#stop = this.#wait();
  }

  [Symbol.dispose](): void {
    this.#stop();
  }

  #wait(): () => void {
    const { now, after } = this.#options;
    const dueMs = now() + PERIOD_MS;
    return after(PERIOD_MS, () => {
      this.#told(Math.max(0, now() - dueMs) / 1000);
      this.#stop = this.#wait();
    });
  }
}
