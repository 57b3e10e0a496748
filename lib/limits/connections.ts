import { isWithin } from "../network.ts";
import { clientNetwork } from "./client_network.ts";
import { type LimitName, tooMany } from "./refusal.ts";
import type { LimitsSettings, NetworkLimit } from "./schema.ts";

/** Whose a connection is, once its token has been found good. */
export interface Connected {
  /** IP address of the client. */
  readonly address: string;
  /** Who the client is, within the issuer. */
  readonly identity: string;
  readonly issuer: string;
  readonly rule: Limited;
  readonly backend: Limited;
}

/** A rule or a backend. */
export interface Limited {
  readonly name: string;
  /** Undefined: any number. */
  readonly maxConnections?: number;
}

/** One thing that connections are counted by. */
interface Count {
  readonly limit: LimitName;
  /** What the count is of, among all of its kind. */
  readonly of: string;
  /** 0: any number. */
  readonly max: number;
  /** For the log. */
  readonly whose?: string;
}

/**
 * How many connections there are: of those that have shown a good token, from then until their end.
 *
 * Others are not counted here, so that nobody without a token can take anybody's place, or learn of a limit.
 */
export class Connections {
  #settings: LimitsSettings;
  readonly #all = new Set<Connected>();
  /** By kind and by what it is of; what has no connections is not there. */
  readonly #counts = new Map<string, number>();

  constructor(settings: LimitsSettings) {
    this.#settings = settings;
  }

  /** How many there are. */
  get size(): number {
    return this.#all.size;
  }

  /** How many different things they are counted by at this moment. */
  get countsKept(): number {
    return this.#counts.size;
  }

  /** Goes by other settings from now on; nobody has to leave. */
  apply(settings: LimitsSettings): void {
    this.#settings = settings;
    // Which networks there are has changed, and with it what each connection is counted by.
    this.#counts.clear();
    for (const connected of this.#all) this.#countOne(connected, 1);
  }

  /**
   * Counts one, until what it gives is disposed of.
   *
   * @throws {PgError} 53300 when there are as many as there may be, with the limit it is
   */
  enter(connected: Connected): Disposable {
    for (const count of this.#countsOf(connected)) {
      const { limit, max, whose } = count;
      if (max === 0 || (this.#counts.get(keyOf(count)) ?? 0) < max) continue;
      throw tooMany(MESSAGES[limit] ?? "too many connections", { limit, max, whose });
    }
    const one = { ...connected };
    this.#all.add(one);
    this.#countOne(one, 1);
    return new Entry(one, this);
  }

  /** One has left; to say so twice is to say nothing. */
  leave(one: Connected): void {
    if (this.#all.delete(one)) this.#countOne(one, -1);
  }

  #countOne(connected: Connected, by: 1 | -1): void {
    for (const count of this.#countsOf(connected)) {
      const key = keyOf(count);
      const now = (this.#counts.get(key) ?? 0) + by;
      if (now === 0) this.#counts.delete(key);
      else this.#counts.set(key, now);
    }
  }

  /** The narrowest first: it is told if several are reached. All are counted, for limits that a reload may bring. */
  #countsOf({ address, identity, issuer, rule, backend }: Connected): readonly Count[] {
    const settings = this.#settings;
    const ofSettings = (limit: "connections" | "connections_per_address" | "connections_per_identity") =>
      ({ limit, max: settings[limit] }) as const;
    return [
      { ...ofSettings("connections_per_identity"), of: JSON.stringify([issuer, identity]) },
      { ...ofSettings("connections_per_address"), of: clientNetwork(address) },
      ...settings.connections_per_network.filter(({ network }) => isWithin(address, [network])).map(
        ofNetwork,
      ),
      ofLimited("rules.max_connections", rule),
      ofLimited("backends.max_connections", backend),
      { ...ofSettings("connections"), of: "" },
    ];
  }
}

/** A connection that is counted, for as long as it lasts. */
class Entry implements Disposable {
  readonly #one: Connected;
  readonly #connections: Connections;

  constructor(one: Connected, connections: Connections) {
    this.#one = one;
    this.#connections = connections;
  }

  [Symbol.dispose](): void {
    this.#connections.leave(this.#one);
  }
}

function ofNetwork({ text, max }: NetworkLimit): Count {
  return { limit: "connections_per_network", of: text, max, whose: text };
}

function ofLimited(
  limit: "rules.max_connections" | "backends.max_connections",
  { name, maxConnections = 0 }: Limited,
): Count {
  return { limit, of: name, max: maxConnections, whose: JSON.stringify(name) };
}

function keyOf({ limit, of }: Count): string {
  return `${limit} ${of}`;
}

/** What is said of each: nothing that the client does not know. */
const MESSAGES: { readonly [limit in LimitName]?: string } = {
  connections: "too many connections",
  connections_per_address: "too many connections from this address",
  connections_per_identity: "too many connections for this identity",
  connections_per_network: "too many connections from this network",
  "rules.max_connections": "too many connections by the rule that lets this identity in",
  "backends.max_connections": "too many connections to this backend",
};
