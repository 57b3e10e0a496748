import { createHash } from "node:crypto";
import { formatDuration } from "../duration.ts";
import type { PgError } from "../errors.ts";
import { printable } from "../printable.ts";
import { clientNetwork } from "./client_network.ts";
import { tooMuch } from "./refusal.ts";
import type { LimitsSettings } from "./schema.ts";
import { Tallies, type Tally } from "./tallies.ts";

/** Whose failed logins are counted together: one user's from one address, so that no neighbour is ever locked out. */
export interface Suspect {
  /** IP address. */
  readonly address: string;
  /** The startup message's user. */
  readonly user: string;
}

/** The answer to a failed login, which is to be held back; disposed of when it has been given. */
export interface HeldBack extends Disposable {
  /** How long, in milliseconds; 0: not at all. */
  readonly ms: number;
}

/** Anyone may err so often before answers become slow. */
const FREE_FAILURES = 3;

const FIRST_DELAY_MS = 100;
const LONGEST_DELAY_MS = 2000;

/** One address may stand for an office behind NAT: all of them together may err so many times as often as one. */
const NEIGHBOURS = 10;

/** Each answer held back keeps a connection open; past this many, the others are given at once. */
const MAX_HELD_BACK = 500;

/**
 * Failed logins in numbers are slowed, then refused for a while (T18).
 *
 * Counted by address and user. Only the pair is ever refused: not the user elsewhere, not another user behind the same
 * address. Whoever tries one user after another from one address has the answers to their failures slowed, as everybody
 * there has; a good login is never held back. What happens depends on counts alone, so that it tells nobody whether a
 * user exists (T16).
 */
export class FailedLogins {
  readonly #now: () => number;
  readonly #tallies = new Tallies();
  #settings: LimitsSettings;
  #heldBack = 0;

  /** `now` is in milliseconds on any clock. */
  constructor(settings: LimitsSettings, now: () => number) {
    this.#settings = settings;
    this.#now = now;
  }

  /** How many pairs of an address and a user are remembered. */
  get size(): number {
    return this.#tallies.size;
  }

  /** Goes by other settings from now on; what was counted stays. */
  apply(settings: LimitsSettings): void {
    this.#settings = settings;
  }

  /** @throws {PgError} 53300 when so many have failed that no more are looked at for a while */
  check({ address, user }: Suspect): void {
    if (!this.#isOn) return;
    const tally = this.#tallies.ofUser(clientNetwork(address), fingerprint(user));
    if (tally === undefined || !tally.isRefused) return;
    const waitMs = this.#leftMs(tally);
    if (waitMs > 0) throw tooManyFailures(user, { waitMs, settings: this.#settings });
  }

  /** Counts one. */
  failed({ address, user }: Suspect): HeldBack {
    if (!this.#isOn) return AT_ONCE;
    const nowMs = this.#now();
    const isOver = (tally: Tally) => this.#leftMs(tally) <= 0;
    const counting = { user: fingerprint(user), nowMs, isOver };
    const { ofNetwork, ofUser } = this.#tallies.count(clientNetwork(address), counting);
    if (!ofUser.isRefused && ofUser.failures >= this.#settings.failed_logins) {
      ofUser.isRefused = true;
      ofUser.sinceMs = nowMs;
    }
    const neighbourly = Math.floor(ofNetwork.failures / NEIGHBOURS);
    return this.#holdBack(delayMs(Math.max(ofUser.failures, neighbourly)));
  }

  /** Forgets what was counted of this user at this address. */
  succeeded({ address, user }: Suspect): void {
    this.#tallies.forget(clientNetwork(address), fingerprint(user));
  }

  get #isOn(): boolean {
    return this.#settings.failed_logins > 0;
  }

  /** How much longer a tally counts, in milliseconds; not at all if the clock was set back, lest it count for ever. */
  #leftMs({ sinceMs, isRefused }: Tally): number {
    const { failed_logins_refused_for, failed_logins_window } = this.#settings;
    const elapsedMs = this.#now() - sinceMs;
    return elapsedMs < 0 ? 0 : (isRefused ? failed_logins_refused_for : failed_logins_window) - elapsedMs;
  }

  #holdBack(ms: number): HeldBack {
    if (ms === 0 || this.#heldBack >= MAX_HELD_BACK) return AT_ONCE;
    this.#heldBack++;
    return { ms, [Symbol.dispose]: () => void this.#heldBack-- };
  }
}

const AT_ONCE: HeldBack = { ms: 0, [Symbol.dispose]: () => {} };

/** Nothing at first, then doubling. */
function delayMs(failures: number): number {
  if (failures <= FREE_FAILURES) return 0;
  return Math.min(LONGEST_DELAY_MS, FIRST_DELAY_MS * 2 ** (failures - FREE_FAILURES - 1));
}

/** What is kept of a user's name: a client may send ten thousand bytes of it. */
function fingerprint(user: string): string {
  return createHash("sha256").update(user).digest("base64");
}

function tooManyFailures(
  user: string,
  { waitMs, settings }: { readonly waitMs: number; readonly settings: LimitsSettings },
): PgError {
  const { failed_logins, failed_logins_window, failed_logins_refused_for } = settings;
  const limit = `${failed_logins} within ${formatDuration(failed_logins_window)}`;
  const reason = `refused for ${
    formatDuration(failed_logins_refused_for)
  } after ${limit} (limits.failed_logins)`;
  return tooMuch(`too many failed logins for user "${printable(user)}" from this address`, {
    waitMs,
    reason,
    limit: "failed_logins",
  });
}
