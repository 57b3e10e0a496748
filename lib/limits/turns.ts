import { clientNetwork } from "./client_network.ts";
import type { LimitsSettings } from "./schema.ts";

/** What a turn is waited for with. */
export interface TurnOptions {
  /** Name of the issuer that is to be asked. */
  readonly issuer: string;
  /** Aborts when it is not waited for any more. */
  readonly signal: AbortSignal;
}

/** Those of one address by one issuer. Never without a turn taken: with the last one it is forgotten. */
interface Line {
  taken: number;
  /** In the order in which they came. */
  readonly waiting: Set<() => void>;
}

/**
 * About whose token an issuer is asked: only so many of one address at a time, and the others of that address wait in line.
 *
 * An issuer or a validator that takes its time answers one question behind the other. Without turns whoever sends it two
 * hundred would be asked for first by everyone who comes later, and their logins be over before it is their turn.
 */
export class Turns {
  readonly #lines = new Map<string, Line>();
  #settings: LimitsSettings;

  constructor(settings: LimitsSettings) {
    this.#settings = settings;
  }

  /** How many lines there are. */
  get size(): number {
    return this.#lines.size;
  }

  /** Goes by other settings from now on; who has a turn keeps it. */
  apply(settings: LimitsSettings): void {
    this.#settings = settings;
    for (const line of this.#lines.values()) {
      while (line.taken < this.#max && this.#callNext(line)) line.taken++;
    }
  }

  /**
   * Waits for a turn, which lasts until it is disposed of.
   *
   * @throws the signal's reason when it aborts before
   */
  async take(address: string, { issuer, signal }: TurnOptions): Promise<Disposable> {
    signal.throwIfAborted();
    const key = JSON.stringify([clientNetwork(address), issuer]);
    const line = this.#lines.get(key) ?? { taken: 0, waiting: new Set() };
    this.#lines.set(key, line);
    if (line.taken < this.#max) line.taken++;
    else await stand(line, signal);
    let isOver = false;
    return {
      [Symbol.dispose]: () => {
        if (!isOver) this.#end(line, key);
        isOver = true;
      },
    };
  }

  get #max(): number {
    return this.#settings.judged_per_address || Infinity;
  }

  #end(line: Line, key: string): void {
    // Its turn goes on to the next one, unless there are more of them than there may be by now.
    if (line.taken <= this.#max && this.#callNext(line)) return;
    if (--line.taken === 0) this.#lines.delete(key);
  }

  #callNext({ waiting }: Line): boolean {
    for (const call of waiting) {
      waiting.delete(call);
      call();
      return true;
    }
    return false;
  }
}

/** Waits in line until called. */
async function stand({ waiting }: Line, signal: AbortSignal): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  // Whoever has been called has a turn already, and must not be lost with it.
  const leave = () => {
    if (waiting.delete(resolve)) reject(signal.reason);
  };
  waiting.add(resolve);
  signal.addEventListener("abort", leave);
  try {
    await promise;
  } finally {
    signal.removeEventListener("abort", leave);
  }
}
