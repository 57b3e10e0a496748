import type { PgError } from "../errors.ts";
import { clientNetwork } from "./client_network.ts";
import { type LimitHit, LimitHits } from "./limit_hits.ts";
import { tooMany } from "./refusal.ts";
import type { LimitsSettings } from "./schema.ts";

/** A connection whose client has not proved who it is. */
export interface Stranger {
  /** It is to leave, and to be told why if it gets as far as asking for something. */
  dismiss(why: () => PgError): void;
  /** It is to leave at once; `hit` where it has not been told why. */
  drop(hit?: LimitHit): void;
}

/** The place of a connection among the unauthenticated ones; disposed of when it is none any more. */
export interface Place extends Disposable {
  /** It has turned out to come from this IP address. */
  comesFrom(address: string): void;
  /** It is only there to be told why it is refused, and counts no more. */
  leaves(): void;
}

/** How many may be on their way out, in all: past this many, who has been so longest is not waited for any more. */
const MAX_LEAVING = 100;

interface Waiting {
  readonly stranger: Stranger;
  network?: string;
  /** Why it is to leave, while it has not been told. */
  limit?: LimitHit["limit"];
}

/**
 * The connections whose client has not proved who it is: few enough that any number of silent ones harms nobody (W12).
 *
 * Where there are too many, the one that has been waited for longest makes room for the new one. So whoever is quick gets in
 * whatever a crowd of silent clients does, behind the same address too: to shut others out takes as many new connections
 * as the limit allows in the time a login takes. To refuse the new ones would take so many in `login_timeout`.
 */
export class Unauthenticated {
  #settings: LimitsSettings;
  readonly #hits: LimitHits;
  /** The oldest first, as in all sets here. */
  readonly #waiting = new Set<Waiting>();
  readonly #ofNetworks = new Map<string, Set<Waiting>>();
  readonly #leaving = new Set<Waiting>();

  /** `now` is in milliseconds on any clock. */
  constructor(settings: LimitsSettings, now: () => number) {
    this.#settings = settings;
    this.#hits = new LimitHits(now);
  }

  /** How many there are, besides those on their way out. */
  get size(): number {
    return this.#waiting.size;
  }

  /** How many are on their way out. */
  get leavingCount(): number {
    return this.#leaving.size;
  }

  /** Of how many addresses they are known to come. */
  get addressCount(): number {
    return this.#ofNetworks.size;
  }

  /** Goes by other settings from now on; those that are there stay. */
  apply(settings: LimitsSettings): void {
    this.#settings = settings;
  }

  /** Counts a connection that has just been accepted. */
  enter(stranger: Stranger): Place {
    const waiting: Waiting = { stranger };
    this.#makeRoom(this.#waiting, "unauthenticated");
    this.#waiting.add(waiting);
    return {
      comesFrom: (address) => this.#comesFrom(waiting, clientNetwork(address)),
      leaves: () => {
        waiting.limit = undefined;
        this.#leaves(waiting);
      },
      [Symbol.dispose]: () => this.#forget(waiting),
    };
  }

  #comesFrom(waiting: Waiting, network: string): void {
    if (!this.#waiting.has(waiting)) return;
    this.#makeRoom(this.#ofNetworks.get(network), "unauthenticated_per_address");
    const ofNetwork = this.#ofNetworks.get(network) ?? new Set();
    this.#ofNetworks.set(network, ofNetwork.add(waiting));
    waiting.network = network;
  }

  #makeRoom(among: ReadonlySet<Waiting> = new Set(), limit: keyof typeof MESSAGES): void {
    const max = this.#settings[limit];
    if (max === 0 || among.size < max) return;
    const [longest] = among;
    longest.limit = limit;
    this.#leaves(longest);
    longest.stranger.dismiss(() => tooMany(MESSAGES[limit], { limit, max }));
  }

  #leaves(waiting: Waiting): void {
    if (!this.#forgetWaiting(waiting)) return;
    this.#leaving.add(waiting);
    if (this.#leaving.size <= MAX_LEAVING) return;
    const [longest] = this.#leaving;
    this.#leaving.delete(longest);
    longest.stranger.drop(longest.limit === undefined ? undefined : this.#hits.next(longest.limit));
  }

  #forget(waiting: Waiting): void {
    this.#forgetWaiting(waiting);
    this.#leaving.delete(waiting);
  }

  #forgetWaiting(waiting: Waiting): boolean {
    const { network } = waiting;
    const ofNetwork = network === undefined ? undefined : this.#ofNetworks.get(network);
    if (ofNetwork?.delete(waiting) && ofNetwork.size === 0) this.#ofNetworks.delete(network!);
    return this.#waiting.delete(waiting);
  }
}

const MESSAGES = {
  unauthenticated: "too many connections are logging in",
  unauthenticated_per_address: "too many connections from this address are logging in",
} as const;
