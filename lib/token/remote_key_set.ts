import { nextTurn } from "../timers.ts";
import type { Algorithm } from "./algorithms.ts";
import { DocumentUnavailable } from "./fetch_document.ts";
import type { KeySource } from "./key_source.ts";
import type { TokenEvent } from "./token_event.ts";
import { importVerificationKey, type VerificationKey, VerificationKeys } from "./verification_keys.ts";

/** Age at which keys are fetched again in the background, in milliseconds. */
export const REFRESH_AFTER_MS = 5 * 60_000;

/** Age up to which keys are used while the issuer is down, in milliseconds. */
export const USABLE_FOR_MS = 60 * 60_000;

/** Time from one attempt to the next, in milliseconds: attempts, because failures must not make a flood cheaper. */
export const COOLDOWN_MS = 30_000;

/** Most keys in one set: 64 KiB hold thousands of bad ones, and each is reported. */
const MAX_KEYS = 128;

/** So many are imported in a few milliseconds, during which nobody else has their turn. */
const KEYS_A_TURN = 32;

/** What a key set needs from outside. */
export interface RemoteKeySetOptions {
  /** Name of the issuer, for events. */
  readonly issuer: string;
  readonly algorithms: readonly Algorithm[];
  /** Finds and fetches the key set document; must end soon after the signal aborts. */
  readonly fetchKeySet: (signal: AbortSignal) => Promise<Record<string, unknown>>;
  /** Milliseconds since 1970. */
  readonly now: () => number;
  readonly report: (event: TokenEvent) => void;
  /** Lets others have their turn; default: {@link nextTurn}. */
  readonly pause?: () => Promise<void>;
}

/**
 * An issuer's key set with its age. One fetch is in flight at most and everyone waits for the same one; a flood of
 * unknown `kid`s costs one fetch per cooldown; a failing issuer leaves the keys as they were (T4).
 */
export class RemoteKeySet implements KeySource {
  readonly #options: RemoteKeySetOptions;
  readonly #closing = new AbortController();
  #keys?: VerificationKeys;
  #document?: string;
  #loadedAtMs = 0;
  #attemptedAtMs?: number;
  #inFlight?: Promise<void>;
  #problem?: string;

  constructor(options: RemoteKeySetOptions) {
    this.#options = options;
  }

  current(): VerificationKeys | undefined {
    return this.#options.now() - this.#loadedAtMs < USABLE_FOR_MS ? this.#keys : undefined;
  }

  async usable(): Promise<VerificationKeys | undefined> {
    if (this.current() === undefined) await this.askAgain();
    else this.tick();
    return this.current();
  }

  askAgain(): Promise<void> {
    if (this.#inFlight !== undefined) return this.#inFlight;
    return this.#hasPassed(this.#attemptedAtMs, COOLDOWN_MS) ? this.refresh() : Promise.resolve();
  }

  refresh(): Promise<void> {
    this.#inFlight ??= this.#load().finally(() => this.#inFlight = undefined);
    return this.#inFlight;
  }

  tick(): void {
    if (this.#keys === undefined || this.#hasPassed(this.#loadedAtMs, REFRESH_AFTER_MS)) void this.askAgain();
  }

  loadedAtMs(): number | undefined {
    return this.#keys && this.#loadedAtMs;
  }

  problem(): string | undefined {
    return this.#problem;
  }

  async close(): Promise<void> {
    this.#closing.abort();
    await this.#inFlight;
  }

  async #load(): Promise<void> {
    if (this.#closing.signal.aborted) return;
    const { issuer, report, now } = this.#options;
    this.#attemptedAtMs = now();
    try {
      await this.#adopt(await this.#options.fetchKeySet(this.#closing.signal));
      this.#problem = undefined;
    } catch (error) {
      if (this.#closing.signal.aborted) return;
      // Whatever it is: nobody awaits a fetch in the background, and a rejection there would end the process.
      this.#problem = error instanceof Error ? error.message : String(error);
      report({ kind: "key_set_failed", issuer, problem: this.#problem });
    }
  }

  async #adopt(document: Record<string, unknown>): Promise<void> {
    const text = JSON.stringify(document);
    if (text !== this.#document) {
      this.#keys = await this.#import(document);
      this.#document = text;
      this.#options.report({ kind: "key_set_changed", issuer: this.#options.issuer, keys: this.#keys.size });
    } else this.#options.report({ kind: "key_set_unchanged", issuer: this.#options.issuer });
    // The same document keeps the same VerificationKeys: remembered tokens hold on to that identity.
    this.#loadedAtMs = this.#options.now();
  }

  /** One bad key does not spoil the good ones, but a set without any good one is an outage, not a revocation. */
  async #import(document: Record<string, unknown>): Promise<VerificationKeys> {
    if (!Array.isArray(document.keys)) throw new DocumentUnavailable("The key set has no array of keys");
    const { pause = nextTurn } = this.#options;
    const keys: VerificationKey[] = [];
    if (document.keys.length > MAX_KEYS) {
      throw new DocumentUnavailable(
        `The key set has more than ${MAX_KEYS} keys; remove those no longer in use`,
      );
    }
    for (const [index, jwk] of document.keys.entries()) {
      if (index % KEYS_A_TURN === KEYS_A_TURN - 1) await pause();
      const key = await importVerificationKey(jwk, this.#options.algorithms);
      if (typeof key !== "string") keys.push(key);
      else this.#options.report({ kind: "key_skipped", issuer: this.#options.issuer, index, reason: key });
    }
    if (keys.length > 0) return new VerificationKeys(keys);
    throw new DocumentUnavailable("The key set has no key that fits the issuer's algorithms");
  }

  /** A clock that was set back counts as passed: else nothing would be fetched until it has caught up. */
  #hasPassed(sinceMs: number | undefined, periodMs: number): boolean {
    if (sinceMs === undefined) return true;
    const ageMs = this.#options.now() - sinceMs;
    return ageMs >= periodMs || ageMs < 0;
  }
}
