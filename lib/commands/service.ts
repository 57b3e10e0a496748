import type { Configuration } from "../config/configuration.ts";
import type { Census } from "../observe/census.ts";
import type { Observer } from "../observe/events.ts";
import { startTimer } from "../timers.ts";
import type { TokenEvent } from "../token/token_event.ts";
import type { Surroundings } from "../workers/alone.ts";
import type { StartThread } from "../workers/member.ts";
import { openServing } from "../workers/open_serving.ts";
import type { Change, Serving } from "../workers/serving.ts";
import { censusOf } from "./census.ts";
import type { Loaded } from "./load.ts";
import { proxyEventOf } from "./proxy_event.ts";
import { ReloadTriggers } from "./reload_triggers.ts";
import type { WatchingOutside } from "./watched_files.ts";

/** What a {@link Service} is made of. */
export interface ServiceOptions {
  /**
   * Reads the configuration and opens what it needs; `report` is for what becomes of the issuers later on. What `before` has
   * open of the same may go on being used, by both until either is closed.
   */
  readonly load: (report: (event: TokenEvent) => void, before?: Loaded) => Promise<Loaded>;
  /** What was loaded last cannot be served: what was opened for it besides its issuers is to be closed. */
  readonly discard?: () => Promise<void>;
  /** Where events go under a configuration. */
  readonly observerOf: (configuration: Configuration) => Observer;
  /** Starts the threads of workers, if the configuration wants any. */
  readonly startThread: StartThread;
  /** The proxy's clocks and timers; default: the machine's. */
  readonly clocks?: Omit<Surroundings, "observe">;
  /** Default: asks the disk. */
  readonly stat?: WatchingOutside["stat"];
}

/** A proxy that serves, and that goes on by another configuration when told to. */
export class Service implements AsyncDisposable {
  readonly #options: ServiceOptions;
  readonly #triggers: ReloadTriggers;
  // Until the log is open nothing happens that a problem does not tell as well.
  #observe: Observer = () => {};
  #serving: Serving | null = null;
  #loaded: Loaded | null = null;
  #reloading: Promise<void> | null = null;
  #isAskedAgain = false;
  /** Verifiers of before that are being closed. */
  readonly #leaving = new Set<Promise<void>>();
  /** It is to stop: nothing is loaded anew any more. */
  #isEnding = false;

  private constructor(options: ServiceOptions) {
    this.#options = options;
    const { stat = Deno.stat, clocks: { after = startTimer } = {} } = options;
    this.#triggers = new ReloadTriggers(() => void this.reload(), { stat, after });
  }

  /**
   * Loads the configuration and begins to serve.
   *
   * @throws what `load` throws; {CannotServe} when what was loaded cannot be served
   */
  static async open(options: ServiceOptions): Promise<Service> {
    const service = new Service(options);
    try {
      const readAtMs = service.#wallClock();
      const loaded = service.#loaded = await service.#load();
      service.#observe = options.observerOf(loaded.configuration);
      service.#serving = await openServing(loaded, {
        observe: (event) => service.#observe(event),
        startThread: options.startThread,
        ...options.clocks,
      });
      service.#triggers.follow(loaded.configuration, readAtMs);
      return service;
    } catch (error) {
      await service.close();
      throw error;
    }
  }

  /** What serves. */
  get serving(): Serving {
    return this.#serving!;
  }

  /** What is so at this moment: for the metrics. */
  census(): Promise<Census> {
    return censusOf(this.serving, this.#loaded!);
  }

  /**
   * Loads the configuration anew, all or nothing: if anything is wrong with it the old one stays, and what is wrong is
   * observed. Asked again meanwhile, it does so once more when it is through. Does nothing once it is to stop. Never rejects.
   */
  reload(): Promise<void> {
    if (this.#isEnding) return Promise.resolve();
    this.#isAskedAgain = this.#reloading !== null;
    return this.#reloading ??= this.#reloadUntilAskedNoMore().finally(() => this.#reloading = null);
  }

  /**
   * Stops serving as soon as nobody loses by it, in the time that the configuration gives; `now` aborts when that is over.
   *
   * @returns how many sessions were cut off
   */
  drain(now?: AbortSignal): Promise<{ readonly cut: number }> {
    this.#isEnding = true;
    const { grace_period: graceMs, drain_delay: delayMs } = this.#loaded!.configuration.service;
    return this.serving.drain({ graceMs, delayMs, signal: now });
  }

  /** Stops serving. */
  async close(): Promise<void> {
    this.#isEnding = true;
    this.#triggers[Symbol.dispose]();
    await this.#serving?.close();
    await Promise.all([this.#loaded?.verifier.close(), ...this.#leaving]);
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
    } while (this.#isAskedAgain && !this.#isEnding);
  }

  async #reload(): Promise<void> {
    const readAtMs = this.#wallClock();
    const loaded = await this.#load();
    const { configuration, verifier } = loaded;
    const old = this.#loaded!.verifier;
    let change: ReturnType<Change["adopt"]>;
    try {
      const prepared = this.#isEnding ? null : await this.serving.prepare(loaded);
      // Told to stop meanwhile: there is nothing left to go on with.
      if (prepared === null || this.#isEnding) {
        prepared?.discard();
        return await verifier.close();
      }
      change = prepared.adopt();
    } catch (error) {
      await Promise.all([verifier.close(), this.#options.discard?.()]);
      throw error;
    }
    this.#loaded = loaded;
    this.#triggers.follow(configuration, readAtMs);
    this.#observe = this.#options.observerOf(configuration);
    // A login under way may be asking it.
    const leaving = change.loginsOver.then(() => old.close()).finally(() => this.#leaving.delete(leaving));
    this.#leaving.add(leaving);
    await change.adopted;
    if (this.#isEnding) return;
    this.#observe({ kind: "configuration_reloaded", sessions: this.serving.connectionCount });
    // What issuers say now is no reason to keep anybody waiting.
    void verifier.recheck();
  }

  #load(): Promise<Loaded> {
    return this.#options.load((event) => {
      this.#observe(proxyEventOf(event));
      if (event.kind === "deny_list_changed") this.#serving?.checkSessions();
    }, this.#loaded ?? undefined);
  }

  #wallClock(): number {
    return (this.#options.clocks?.wallClock ?? Date.now)();
  }
}
