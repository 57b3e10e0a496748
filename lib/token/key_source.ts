import type { VerificationKeys } from "./verification_keys.ts";

/** Where an issuer's keys come from: files read once, or a key set fetched again and again. */
export interface KeySource {
  /** The keys in use; `undefined` when there are none, or only ones that are too old to be trusted. */
  current(): VerificationKeys | undefined;
  /** Keys no older than the source's rules allow; starts or awaits a fetch where needed. Never rejects. */
  usable(): Promise<VerificationKeys | undefined>;
  /** Asks again because a token named a key that {@link current} does not have; often it may not. Never rejects. */
  askAgain(): Promise<void>;
  /** Fetches now, whatever was before. Never rejects. */
  refresh(): Promise<void>;
  /** Starts a fetch when the keys have become old. */
  tick(): void;
  /** When the keys were fetched last, in milliseconds since 1970; keys from files never were. */
  loadedAtMs(): number | undefined;
  /** A sentence on the last fetch if it failed. */
  problem(): string | undefined;
  close(): Promise<void>;
}

/** The keys of one issuer, counted. */
export interface KeySetAge {
  readonly issuer: string;
  readonly keys: number;
  /** Since they were fetched, in milliseconds; keys from files have no age. */
  readonly ageMs?: number;
}

/** Keys that were read once, and stay until the configuration is loaded again. */
export function fixedKeySource(keys: VerificationKeys): KeySource {
  const done = Promise.resolve();
  return {
    current: () => keys,
    usable: () => Promise.resolve(keys),
    askAgain: () => done,
    refresh: () => done,
    tick: () => {},
    loadedAtMs: () => undefined,
    problem: () => undefined,
    close: () => done,
  };
}
