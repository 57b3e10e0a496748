/** Lets one through after the other: the next when the one before has left. */
export class Turnstile {
  #last: Promise<void> = Promise.resolve();

  /** Settles when it is free, with what leaves it again. */
  async enter(): Promise<() => void> {
    const before = this.#last;
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#last = promise;
    await before;
    return resolve;
  }
}
