import type { After } from "../timers.ts";

/** The time until a worker that was lost is started anew, in milliseconds: it doubles while new ones do not last. */
const FIRST_DELAY_MS = 100;
const LONGEST_DELAY_MS = 30_000;

/** A worker that has lasted so long, in milliseconds, was not lost because of what it began with. */
const LASTING_MS = 60_000;

/** What a {@link Restarts} needs. */
export interface RestartsOptions {
  readonly after: After;
  /** Starts a worker; tells {@link Restarts.plan} if that comes to nothing. */
  readonly start: (index: number) => void;
}

/** When workers that were lost are started anew: each has a delay of its own. */
export class Restarts implements Disposable {
  readonly #options: RestartsOptions;
  readonly #planned = new Map<number, { readonly delayMs: number; readonly stop: () => void }>();

  constructor(options: RestartsOptions) {
    this.#options = options;
  }

  /**
   * Plans to start one that was lost.
   *
   * @param lastedMs how long it has run, in milliseconds
   * @returns after how long, in milliseconds
   */
  plan(index: number, lastedMs: number): number {
    const { after, start } = this.#options;
    const before = this.#planned.get(index)?.delayMs;
    const isFirst = before === undefined || lastedMs >= LASTING_MS;
    const delayMs = isFirst ? FIRST_DELAY_MS : Math.min(before * 2, LONGEST_DELAY_MS);
    this.#planned.set(index, { delayMs, stop: after(delayMs, () => start(index)) });
    return delayMs;
  }

  /** Nothing that is planned is done any more. */
  [Symbol.dispose](): void {
    for (const { stop } of this.#planned.values()) stop();
  }
}
