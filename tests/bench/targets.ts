import { median, ratiosByRound, type Spread, spreadOf } from "./statistics.ts";

/** What a figure is to be. */
export interface Target {
  readonly measure: string;
  readonly bound: "at most" | "at least";
  readonly value: number;
  readonly unit: string;
  readonly decimals: number;
}

const OF_PGBOUNCER = { unit: "× PgBouncer", decimals: 2 } as const;

/** What the proxy is to reach, each in one interleaved run. */
export const TARGETS = {
  plainCpu: atMost(1.2, { measure: "CPU a transaction, prepared, 8 clients, plain", ...OF_PGBOUNCER }),
  tlsCpu: atMost(1.25, { measure: "CPU a transaction, prepared, 8 clients, TLS", ...OF_PGBOUNCER }),
  throughput8: atLeast(1, { measure: "transactions/s, 8 clients, TLS, workers = 2", ...OF_PGBOUNCER }),
  throughput32: atLeast(1, { measure: "transactions/s, 32 clients, TLS, workers = 2", ...OF_PGBOUNCER }),
  latency: atMost(60, { measure: "latency at 1 client, TLS", unit: "µs over direct", decimals: 0 }),
  logins: atLeast(1, { measure: "logins/s, TLS, a token in, SCRAM out", ...OF_PGBOUNCER }),
  copyOut: atLeast(1, { measure: "COPY out, 300 MB, TLS, speed", ...OF_PGBOUNCER }),
  copyIn: atLeast(1, { measure: "COPY in, 300 MB, TLS, speed", ...OF_PGBOUNCER }),
  idleMemory: atMost(20, { measure: "memory of an idle TLS session", unit: "kB", decimals: 1 }),
  start: atMost(300, { measure: "from start to the first login, TLS", unit: "ms", decimals: 0 }),
} as const satisfies Readonly<Record<string, Target>>;

/** A target by its name here. */
export type TargetName = keyof typeof TARGETS;

/** What the proxy reached, and what a program reached that does nothing but carry bytes, both round by round. */
export interface Score {
  readonly target: Target;
  readonly measured: readonly number[];
  readonly floor?: { readonly name: string; readonly values: readonly number[] };
}

/** How a score is to be read. */
export interface Verdict {
  readonly measured: Spread;
  readonly floor?: number;
  /** How many times the floor the proxy is, where there is one. */
  readonly ofFloor?: number;
  /** "at the floor": the floor does not reach it, and the proxy is within {@link AT_THE_FLOOR} of that. */
  readonly met: "yes" | "at the floor" | "no";
}

/** How near to the floor is as good as on it. */
const AT_THE_FLOOR = 0.05;

/** Reads a score. */
export function verdictOf({ target, measured, floor }: Score): Verdict {
  const spread = spreadOf(measured);
  // A floor that was not above nothing, as an added latency may be, is none to stand on.
  const isSolid = floor !== undefined && floor.values.every((value) => value > 0);
  const ofFloor = isSolid ? median(ratiosByRound(measured, floor.values)) : undefined;
  const floorMedian = floor && median(floor.values);
  const met = isReached(target, spread.median)
    ? "yes"
    : floorMedian !== undefined && !isReached(target, floorMedian) && isAtTheFloor(target, ofFloor)
    ? "at the floor"
    : "no";
  return { measured: spread, floor: floorMedian, ofFloor, met };
}

function isReached({ bound, value }: Target, measured: number): boolean {
  return bound === "at most" ? measured <= value : measured >= value;
}

function isAtTheFloor({ bound }: Target, ofFloor: number | undefined): boolean {
  if (ofFloor === undefined) return false;
  return bound === "at most" ? ofFloor <= 1 + AT_THE_FLOOR : ofFloor >= 1 - AT_THE_FLOOR;
}

function atMost(value: number, rest: Pick<Target, "measure" | "unit" | "decimals">): Target {
  return { bound: "at most", value, ...rest };
}

function atLeast(value: number, rest: Pick<Target, "measure" | "unit" | "decimals">): Target {
  return { bound: "at least", value, ...rest };
}
