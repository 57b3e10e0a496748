/** A number of places, of which each is held by one at a time; those who find none wait in line. */
export class Places {
  readonly #line: (() => void)[] = [];
  #free: number;

  constructor(count: number) {
    this.#free = count;
  }

  /** Waits for a place at most so long. False: there was none, or the signal aborted. */
  async take(waitMs: number, signal: AbortSignal): Promise<boolean> {
    if (signal.aborted) return false;
    if (this.#free > 0) {
      this.#free -= 1;
      return true;
    }
    const { promise, resolve } = Promise.withResolvers<boolean>();
    const come = () => resolve(true);
    const leave = () => {
      // Whoever has been called holds a place already, and must not be lost with it.
      const at = this.#line.indexOf(come);
      if (at < 0) return;
      this.#line.splice(at, 1);
      resolve(false);
    };
    this.#line.push(come);
    const timer = setTimeout(leave, waitMs);
    signal.addEventListener("abort", leave);
    try {
      return await promise;
    } finally {
      clearTimeout(timer);
      signal.removeEventListener("abort", leave);
    }
  }

  /** Gives a place back, to the first in line. */
  give(): void {
    const next = this.#line.shift();
    if (next === undefined) this.#free += 1;
    else next();
  }
}
