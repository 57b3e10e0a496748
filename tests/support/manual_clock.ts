interface Timer {
  readonly atMs: number;
  readonly act: () => void;
}

/** A clock that goes only when a test lets it, and the timers by it. */
export class ManualClock {
  #nowMs: number;
  readonly #timers = new Set<Timer>();

  /** Default: it begins at the time it is, so that tokens just issued are good by it. */
  constructor(nowMs = Date.now()) {
    this.#nowMs = nowMs;
  }

  /** Milliseconds since 1970. */
  readonly now = (): number => this.#nowMs;

  /** Calls `act` when so many milliseconds have passed; what it gives takes that back. */
  readonly after = (ms: number, act: () => void): () => void => {
    const timer = { atMs: this.#nowMs + ms, act };
    this.#timers.add(timer);
    return () => void this.#timers.delete(timer);
  };

  /** How many timers are set. */
  get timerCount(): number {
    return this.#timers.size;
  }

  /** Lets time pass; each timer that is due is called at its own time. */
  advance(ms: number): void {
    const untilMs = this.#nowMs + ms;
    for (;;) {
      const due = [...this.#timers].filter(({ atMs }) => atMs <= untilMs).sort((one, other) =>
        one.atMs - other.atMs
      );
      if (due.length === 0) break;
      this.#timers.delete(due[0]);
      this.#nowMs = Math.max(this.#nowMs, due[0].atMs);
      due[0].act();
    }
    this.#nowMs = untilMs;
  }

  /** Sets the time, calling nothing: as when somebody sets the machine's clock. */
  set(nowMs: number): void {
    this.#nowMs = nowMs;
  }
}
