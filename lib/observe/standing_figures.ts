import { cpuUsage } from "node:process";
import type { Census, WorkersStanding } from "./census.ts";
import type { DeclaredMetrics } from "./metric_declarations.ts";

/** Figures of what is, not of what happens: they are taken when somebody asks for them. */
export class StandingFigures {
  readonly #metrics: DeclaredMetrics;

  constructor(metrics: DeclaredMetrics) {
    this.#metrics = metrics;
  }

  /** Takes the figures of one census; without one there is nothing. */
  take(census?: Census): void {
    const { connections, openConnections, sessions, bytes, transactions } = this.#metrics;
    const { keySetAge, keySetKeys, certificateExpiry } = this.#metrics;
    // What is not there any more must not keep the value it had.
    for (const metric of [sessions, bytes, transactions, keySetAge, keySetKeys, certificateExpiry]) {
      metric.reset();
    }
    let sessionCount = 0;
    for (const { backend, state, count } of census?.sessions ?? []) {
      sessionCount += count;
      sessions.inc({ backend, state }, count);
    }
    for (const { backend, bytesIn, bytesOut, transactions: count } of census?.carried ?? []) {
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
export function takeProcessFigures(
  { cpuSeconds, residentMemory, heap }: DeclaredMetrics,
  workers?: WorkersStanding,
): void {
  const { user, system } = cpuUsage();
  cpuSeconds.reset();
  cpuSeconds.inc((user + system) / 1e6);
  const { rss, heapTotal } = Deno.memoryUsage();
  residentMemory.set(rss);
  heap.set(heapTotal + (workers?.heapBytes ?? 0));
}
