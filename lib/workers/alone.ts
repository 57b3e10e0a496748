import { Limits } from "../limits/limits.ts";
import { Proxy, type ProxyOptions } from "../proxy.ts";
import { tokenDesk } from "../token_desk.ts";
import { type Change, type Served, type Serving, workersChanged } from "./serving.ts";

/** What sees that a proxy runs, besides what it serves. */
export type Surroundings = Pick<ProxyOptions, "observe" | "now" | "wallClock" | "after" | "random" | "pace">;

/** The one event loop of a program that has no workers: everything is at hand. */
export class Alone implements Serving {
  /** Nobody is left to tell. */
  readonly broken = new Promise<never>(() => {});
  readonly #limits: Limits;
  readonly #proxy: Proxy;
  readonly #workers: number | "auto";

  private constructor(proxy: Proxy, { limits, workers }: { limits: Limits; workers: number | "auto" }) {
    this.#proxy = proxy;
    this.#limits = limits;
    this.#workers = workers;
  }

  /**
   * Begins to serve.
   *
   * @throws {CannotServe} as {@link Proxy.open}
   */
  static async open({ configuration, verifier }: Served, surroundings: Surroundings): Promise<Alone> {
    const { now = () => performance.now() } = surroundings;
    const limits = new Limits(configuration.limits, now);
    const tokens = tokenDesk(verifier, limits);
    const proxy = await Proxy.open({ ...surroundings, configuration, tokens, counts: limits });
    return new Alone(proxy, { limits, workers: configuration.service.workers });
  }

  get addresses() {
    return this.#proxy.addresses;
  }

  get connectionCount() {
    return this.#proxy.connectionCount;
  }

  get counted() {
    return this.#limits.counted;
  }

  census() {
    return this.#proxy.census();
  }

  async prepare({ configuration, verifier }: Served): Promise<Change> {
    // Those who are connected cannot move to other threads.
    if (configuration.service.workers !== this.#workers) throw workersChanged();
    const tokens = tokenDesk(verifier, this.#limits);
    const { adopt, discard } = await this.#proxy.prepare({ configuration, tokens });
    return {
      adopt: () => {
        this.#limits.apply(configuration.limits);
        const { asked, loginsOver } = adopt();
        return { adopted: asked, loginsOver };
      },
      discard,
    };
  }

  checkSessions(): void {
    this.#proxy.checkSessions();
  }

  drain(options: Parameters<Proxy["drain"]>[0]) {
    return this.#proxy.drain(options);
  }

  close(): Promise<void> {
    return this.#proxy.close();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }
}
