import { cpuUsage } from "node:process";
import type { Census, SessionStanding } from "./census.ts";
import type { DeclaredMetrics } from "./metric_declarations.ts";

/** Figures of what is, not of what happens: they are taken when somebody asks for them. */
export class StandingFigures {
  readonly #metrics: DeclaredMetrics;
  /** By sessions that are over, by backend. */
  readonly #carried = new Map<string, Carried>();

  constructor(metrics: DeclaredMetrics) {
    this.#metrics = metrics;
  }

  /** A session is over: no census tells of it any more. */
  ended(session: Omit<SessionStanding, "state">): void {
    add(this.#carried, session);
  }

  /** Takes the figures of one census; without one there is nothing. */
  take(census?: Census): void {
    const { connections, openConnections, sessions, bytes, transactions } = this.#metrics;
    const { keySetAge, keySetKeys, certificateExpiry } = this.#metrics;
    // What is not there any more must not keep the value it had.
    for (const metric of [sessions, bytes, transactions, keySetAge, keySetKeys, certificateExpiry]) {
      metric.reset();
    }
    const carried = structuredClone(this.#carried);
    let sessionCount = 0;
    for (const { state, ...standing } of census?.sessions ?? []) {
      sessionCount++;
      sessions.inc({ backend: standing.backend, state });
      add(carried, standing);
    }
    for (const [backend, { bytesIn, bytesOut, transactions: count }] of carried) {
      transactions.inc({ backend }, count);
      bytes.inc({ backend, direction: "to_backend" }, bytesIn);
      bytes.inc({ backend, direction: "to_client" }, bytesOut);
    }
    const logins = census?.logins ?? 0;
    connections.set({ phase: "login" }, logins);
    connections.set({ phase: "session" }, sessionCount);
    openConnections.set(logins + sessionCount);
    for (const { issuer, keys, ageMs } of census?.keySets ?? []) {
      keySetKeys.set({ issuer }, keys);
      if (ageMs !== undefined) keySetAge.set({ issuer }, ageMs / 1000);
    }
    for (const { certificate, expiresAtMs } of census?.certificates ?? []) {
      certificateExpiry.set({ certificate }, expiresAtMs / 1000);
    }
  }
}

/** What the system and the runtime say of this process. */
export function takeProcessFigures({ cpuSeconds, residentMemory, heap }: DeclaredMetrics): void {
  const { user, system } = cpuUsage();
  cpuSeconds.reset();
  cpuSeconds.inc((user + system) / 1e6);
  const { rss, heapTotal } = Deno.memoryUsage();
  residentMemory.set(rss);
  heap.set(heapTotal);
}

/** What sessions at one backend have carried. */
interface Carried {
  bytesIn: number;
  bytesOut: number;
  transactions: number;
}

function add(
  carried: Map<string, Carried>,
  { backend, bytesIn, bytesOut, transactions }: Readonly<Carried> & { readonly backend: string },
): void {
  const sum = carried.get(backend) ?? { bytesIn: 0, bytesOut: 0, transactions: 0 };
  sum.bytesIn += bytesIn;
  sum.bytesOut += bytesOut;
  sum.transactions += transactions;
  carried.set(backend, sum);
}
