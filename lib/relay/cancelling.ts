import type { Activity } from "./activity.ts";

/** Who can ask the backend to cancel what a session runs. */
export interface Canceller {
  /**
   * Sends the backend a CancelRequest and settles when it has been delivered; it asks `isStillMeant` at the last moment
   * before. Never rejects.
   */
  cancel(isStillMeant: () => boolean): Promise<void>;
}

/** The cancels of one session: each is passed on only while what it means is still running. */
export class Cancelling {
  readonly #activity: Activity;
  readonly #canceller: Canceller;
  /** By what they mean: who cancels the same twice waits for the same. */
  readonly #underWay = new Map<number, Promise<void>>();
  #deliveries = 0;
  #delivered = Promise.withResolvers<void>();

  constructor(activity: Activity, canceller: Canceller) {
    this.#activity = activity;
    this.#canceller = canceller;
  }

  /** A cancel is on its last way: what is asked of the backend now could be hit by it. */
  get isDelivering(): boolean {
    return this.#deliveries > 0;
  }

  /** Settles when no cancel is on its last way. */
  async untilDelivered(): Promise<void> {
    while (this.isDelivering) await this.#delivered.promise;
  }

  /** Cancels what runs now; settles when that is delivered, or not meant any more. */
  async cancel(): Promise<void> {
    if (this.#activity.isQuiet) return;
    const mark = this.#activity.mark();
    const underWay = this.#underWay.get(mark) ?? this.#cancel(mark);
    this.#underWay.set(mark, underWay);
    await underWay;
  }

  /** Cancels whatever runs, because there is nobody left it could be for. */
  abandon(): Promise<void> {
    return this.#activity.isQuiet ? Promise.resolve() : this.#canceller.cancel(() => true);
  }

  async #cancel(mark: number): Promise<void> {
    let isSent = false;
    await this.#canceller.cancel(() => {
      isSent = !this.#activity.isPast(mark);
      if (isSent) this.#deliveries++;
      return isSent;
    });
    this.#underWay.delete(mark);
    if (!isSent || --this.#deliveries > 0) return;
    this.#delivered.resolve();
    this.#delivered = Promise.withResolvers();
  }
}
