import type { CarriedTally, ConnectionCensus, SessionTally } from "./observe/census.ts";

/** How many sessions there are at each backend that do the same. */
export class SessionCounts {
  readonly #counts = new Map<string, { -readonly [key in keyof SessionTally]: SessionTally[key] }>();

  get entries(): readonly SessionTally[] {
    return [...this.#counts.values()];
  }

  add({ backend, state }: Omit<SessionTally, "count">, count = 1): void {
    const key = JSON.stringify([backend, state]);
    const tally = this.#counts.get(key);
    if (tally === undefined) this.#counts.set(key, { backend, state, count });
    else tally.count += count;
  }
}

/** What sessions at each backend have carried. */
export class Carried {
  readonly #sums: Map<string, { -readonly [key in keyof CarriedTally]: CarriedTally[key] }>;

  /** Begins with what was carried before. */
  constructor(before: Iterable<CarriedTally> = []) {
    this.#sums = new Map([...before].map((sum) => [sum.backend, { ...sum }]));
  }

  get entries(): readonly CarriedTally[] {
    return [...this.#sums.values()];
  }

  add({ backend, bytesIn, bytesOut, transactions }: CarriedTally): void {
    const sum = this.#sums.get(backend);
    if (sum === undefined) {
      this.#sums.set(backend, { backend, bytesIn, bytesOut, transactions });
      return;
    }
    sum.bytesIn += bytesIn;
    sum.bytesOut += bytesOut;
    sum.transactions += transactions;
  }
}

/** Several censuses of connections as one. */
export function together(
  censuses: readonly Omit<ConnectionCensus, "workers">[],
): Omit<ConnectionCensus, "workers"> {
  const sessions = new SessionCounts();
  const carried = new Carried();
  let logins = 0;
  for (const census of censuses) {
    logins += census.logins;
    for (const tally of census.sessions) sessions.add(tally, tally.count);
    for (const sum of census.carried) carried.add(sum);
  }
  return { logins, sessions: sessions.entries, carried: carried.entries };
}
