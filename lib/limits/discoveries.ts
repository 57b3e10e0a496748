import type { PgError } from "../errors.ts";
import { clientNetwork } from "./client_network.ts";
import { tooMuch } from "./refusal.ts";
import type { LimitsSettings } from "./schema.ts";

/** How many addresses are remembered: the one that has been silent longest is forgotten, and may ask anew. */
const MAX_NETWORKS = 10_000;

/** What one address may still ask, as it was at a moment. */
interface Allowance {
  readonly left: number;
  readonly atMs: number;
}

/**
 * How often one address may ask where tokens come from: each login by OAUTHBEARER begins with that question, and it is no
 * failed login.
 *
 * A minute's worth may come all at once, since a pool opens all its connections in one moment; then it trickles back.
 */
export class Discoveries {
  readonly #now: () => number;
  readonly #allowances = new Map<string, Allowance>();
  #settings: LimitsSettings;

  /** `now` is in milliseconds on any clock. */
  constructor(settings: LimitsSettings, now: () => number) {
    this.#settings = settings;
    this.#now = now;
  }

  /** How many addresses are remembered. */
  get size(): number {
    return this.#allowances.size;
  }

  /** Goes by other settings from now on; what was counted stays. */
  apply(settings: LimitsSettings): void {
    this.#settings = settings;
  }

  /**
   * Counts one question.
   *
   * @throws {PgError} 53300 when this address has asked too often
   */
  take(address: string): void {
    const perMinute = this.#settings.discoveries_per_minute;
    if (perMinute === 0) return;
    const network = clientNetwork(address);
    const atMs = this.#now();
    const left = this.#leftOf(network, atMs);
    if (left < 1) throw tooManyDiscoveries(perMinute, left);
    // Deleted first: a Map keeps the place of a key it has, and the place is the age here.
    this.#allowances.delete(network);
    this.#allowances.set(network, { left: left - 1, atMs });
    if (this.#allowances.size > MAX_NETWORKS) this.#allowances.delete(this.#allowances.keys().next().value!);
  }

  #leftOf(network: string, nowMs: number): number {
    const perMinute = this.#settings.discoveries_per_minute;
    const known = this.#allowances.get(network);
    // A clock that was set back says nothing of how much time has passed: whoever asks then begins anew.
    if (known === undefined || nowMs < known.atMs) return perMinute;
    return Math.min(perMinute, known.left + (nowMs - known.atMs) * perMinute / 60_000);
  }
}

function tooManyDiscoveries(perMinute: number, left: number): PgError {
  return tooMuch("too many OAuth discovery requests from this address", {
    waitMs: (1 - left) * 60_000 / perMinute,
    reason: `more than ${perMinute} a minute (limits.discoveries_per_minute)`,
    limit: "discoveries_per_minute",
  });
}
