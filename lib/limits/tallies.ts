/** Failures counted together. */
export interface Tally {
  failures: number;
  /** When the first of them was, or when they became too many. */
  sinceMs: number;
  /** They became too many. */
  isRefused: boolean;
}

/** Whose failure is counted, and when. */
export interface Counting {
  readonly user: string;
  readonly nowMs: number;
  /** Whether a tally's time is over: then the next failure is a first one again. */
  readonly isOver: (tally: Tally) => boolean;
}

/** Bounds of {@link Tallies}. */
export interface TalliesCapacity {
  /** Pairs of a network and a user, in all. */
  readonly pairs?: number;
  readonly usersOfNetwork?: number;
}

/** Never without a user: with its last one a network is forgotten. */
interface NetworkTallies {
  own: Tally;
  readonly ofUsers: Map<string, Tally>;
}

/**
 * Failures by network and by user of it, in bounded memory.
 *
 * To forget is to forgive: it locks nobody out. A network that names many users pushes out only users of its own, those
 * with the fewest failures first. To push out another's takes failures from hundreds of networks, and whoever has those
 * need not wait for anything to be forgotten.
 */
export class Tallies {
  readonly #networks = new Map<string, NetworkTallies>();
  readonly #maxPairs: number;
  readonly #maxUsersOfNetwork: number;
  #size = 0;

  constructor({ pairs = 20_000, usersOfNetwork = 100 }: TalliesCapacity = {}) {
    this.#maxPairs = pairs;
    this.#maxUsersOfNetwork = usersOfNetwork;
  }

  /** How many pairs of a network and a user are remembered. */
  get size(): number {
    return this.#size;
  }

  /** What is remembered of a user. */
  ofUser(network: string, user: string): Tally | undefined {
    return this.#networks.get(network)?.ofUsers.get(user);
  }

  /** Counts one failure, of the user and of the network as a whole. */
  count(network: string, counting: Counting): { readonly ofNetwork: Tally; readonly ofUser: Tally } {
    const known = this.#networks.get(network);
    const tallies = known ?? { own: begun(counting), ofUsers: new Map<string, Tally>() };
    const ofNetwork = tallies.own = next(tallies.own, counting);
    const ofUser = this.#countUser(tallies.ofUsers, counting);
    // Deleted first: a Map keeps the place of a key it has, and the place is the age here.
    this.#networks.delete(network);
    this.#networks.set(network, tallies);
    if (this.#size > this.#maxPairs) this.#forgetOldestNetwork();
    return { ofNetwork, ofUser };
  }

  /** Forgets a user's failures; those of others are still the network's. */
  forget(network: string, user: string): void {
    const tallies = this.#networks.get(network);
    if (tallies === undefined || !tallies.ofUsers.delete(user)) return;
    this.#size--;
    if (tallies.ofUsers.size === 0) this.#networks.delete(network);
  }

  #countUser(ofUsers: Map<string, Tally>, counting: Counting): Tally {
    const { user } = counting;
    const known = ofUsers.get(user);
    const tally = next(known ?? begun(counting), counting);
    if (known === undefined && ofUsers.size >= this.#maxUsersOfNetwork) {
      ofUsers.delete(leastSuspect(ofUsers, counting));
    } else if (known === undefined) this.#size++;
    ofUsers.set(user, tally);
    return tally;
  }

  #forgetOldestNetwork(): void {
    for (const [network, { ofUsers }] of this.#networks) {
      this.#size -= ofUsers.size;
      this.#networks.delete(network);
      return;
    }
  }
}

/** The tally with one failure more, or a new one with its first. */
function next(tally: Tally, counting: Counting): Tally {
  const counted = counting.isOver(tally) ? begun(counting) : tally;
  counted.failures++;
  return counted;
}

function begun({ nowMs }: Counting): Tally {
  return { failures: 0, sinceMs: nowMs, isRefused: false };
}

/** The user with the fewest failures that still count; of several, the one seen first. */
function leastSuspect(ofUsers: ReadonlyMap<string, Tally>, { isOver }: Counting): string {
  let least = { user: "", failures: Infinity };
  for (const [user, tally] of ofUsers) {
    const failures = isOver(tally) ? 0 : tally.failures;
    if (failures < least.failures) least = { user, failures };
  }
  return least.user;
}
