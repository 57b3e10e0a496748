import type { Configuration } from "../config/configuration.ts";
import type { Census } from "../observe/census.ts";
import type { Observer } from "../observe/events.ts";
import { Proxy, type ProxyOptions } from "../proxy.ts";
import type { TokenEvent } from "../token/token_event.ts";
import { censusOf } from "./census.ts";
import type { Loaded } from "./load.ts";
import { proxyEventOf } from "./proxy_event.ts";

/** What a {@link Service} is made of. */
export interface ServiceOptions {
  /** Reads the configuration and opens what it needs; `report` is for what becomes of the issuers later on. */
  readonly load: (report: (event: TokenEvent) => void) => Promise<Loaded>;
  /** Where events go under a configuration. */
  readonly observerOf: (configuration: Configuration) => Observer;
  /** The proxy's clocks and timers; default: the machine's. */
  readonly clocks?: Pick<ProxyOptions, "now" | "wallClock" | "after" | "random">;
}

/** A proxy that serves, and that goes on by another configuration when told to. */
export class Service implements AsyncDisposable {
  readonly #options: ServiceOptions;
  // Until the log is open nothing happens that a problem does not tell as well.
  #observe: Observer = () => {};
  #proxy: Proxy | null = null;
  #loaded: Loaded | null = null;
  #reloading: Promise<void> | null = null;
  #isAskedAgain = false;
  #isClosed = false;

  private constructor(options: ServiceOptions) {
    this.#options = options;
  }

  /**
   * Loads the configuration and begins to serve.
   *
   * @throws what `load` throws; {CannotServe} what {@link Proxy.open} throws
   */
  static async open(options: ServiceOptions): Promise<Service> {
    const service = new Service(options);
    try {
      const loaded = service.#loaded = await service.#load();
      service.#observe = options.observerOf(loaded.configuration);
      service.#proxy = await Proxy.open({
        configuration: loaded.configuration,
        tokens: loaded.verifier,
        observe: (event) => service.#observe(event),
        ...options.clocks,
      });
      return service;
    } catch (error) {
      await service.close();
      throw error;
    }
  }

  /** What serves. */
  get proxy(): Proxy {
    return this.#proxy!;
  }

  /** What is so at this moment: for the metrics. */
  census(): Census {
    return censusOf(this.proxy, this.#loaded!);
  }

  /**
   * Loads the configuration anew, all or nothing: if anything is wrong with it the old one stays, and what is wrong is
   * observed. Asked again meanwhile, it does so once more when it is through. Never rejects.
   */
  reload(): Promise<void> {
    this.#isAskedAgain = this.#reloading !== null;
    return this.#reloading ??= this.#reloadUntilAskedNoMore().finally(() => this.#reloading = null);
  }

  /** Stops serving. */
  async close(): Promise<void> {
    this.#isClosed = true;
    await this.#proxy?.close();
    await this.#loaded?.verifier.close();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  async #reloadUntilAskedNoMore(): Promise<void> {
    do {
      this.#isAskedAgain = false;
      try {
        await this.#reload();
      } catch (error) {
        this.#observe({
          kind: "reload_failed",
          reason: error instanceof Error ? error.message : String(error),
        });
      }
    } while (this.#isAskedAgain && !this.#isClosed);
  }

  async #reload(): Promise<void> {
    const loaded = await this.#load();
    const { configuration, verifier } = loaded;
    const old = this.#loaded!.verifier;
    let loginsOver: Promise<unknown>;
    try {
      // Told to stop while it loaded: there is nothing left to go on with.
      if (this.#isClosed) return await verifier.close();
      ({ loginsOver } = await this.proxy.adopt(configuration, verifier));
    } catch (error) {
      await verifier.close();
      throw error;
    }
    this.#loaded = loaded;
    this.#observe = this.#options.observerOf(configuration);
    this.#observe({ kind: "configuration_reloaded", sessions: this.proxy.connectionCount });
    // A login under way may be asking it.
    loginsOver.then(() => old.close());
  }

  #load(): Promise<Loaded> {
    return this.#options.load((event) => {
      this.#observe(proxyEventOf(event));
      if (event.kind === "deny_list_changed") this.#proxy?.checkSessions();
    });
  }
}
