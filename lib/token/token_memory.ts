import { createHash } from "node:crypto";

/** How long a good token is remembered at most, in milliseconds. */
export const REMEMBER_FOR_MS = 60_000;

/** How many tokens are remembered. */
const DEFAULT_CAPACITY = 10_000;

interface Entry<T> {
  readonly value: T;
  readonly rememberedAtMs: number;
  readonly untilMs: number;
}

/**
 * Verdicts of good tokens, so that a pool of connections costs one signature check. Keyed by SHA-256: the token itself
 * is never kept. Bad tokens are not remembered: anyone could fill the memory with them.
 */
export class TokenMemory<T> {
  readonly #entries = new Map<string, Entry<T>>();
  readonly #capacity: number;

  constructor(capacity = DEFAULT_CAPACITY) {
    this.#capacity = capacity;
  }

  /** How many tokens are remembered, expired ones not yet dropped among them. */
  get size(): number {
    return this.#entries.size;
  }

  /** Remembers for 60 s, and never past `notPastMs`. The oldest goes when there are too many. */
  remember(token: string, value: T, { nowMs, notPastMs }: { nowMs: number; notPastMs: number }): void {
    const key = fingerprint(token);
    // Deleted first: a Map keeps the place of a key it has, and the place is the age here.
    this.#entries.delete(key);
    this.#entries.set(key, {
      value,
      rememberedAtMs: nowMs,
      untilMs: Math.min(nowMs + REMEMBER_FOR_MS, notPastMs),
    });
    if (this.#entries.size <= this.#capacity) return;
    for (const oldest of this.#entries.keys()) {
      this.#entries.delete(oldest);
      break;
    }
  }

  /** The value remembered of this token, unless its time is over. */
  recall(token: string, nowMs: number): T | undefined {
    const key = fingerprint(token);
    const entry = this.#entries.get(key);
    if (entry === undefined) return undefined;
    // A clock that was set back must not make an entry live longer.
    if (nowMs >= entry.rememberedAtMs && nowMs < entry.untilMs) return entry.value;
    this.#entries.delete(key);
    return undefined;
  }

  /** Forgets everything. */
  clear(): void {
    this.#entries.clear();
  }
}

function fingerprint(token: string): string {
  return createHash("sha256").update(token).digest("base64url");
}
