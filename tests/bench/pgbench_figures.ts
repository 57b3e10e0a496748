import { PGBOUNCER } from "./measure.ts";
import type { PgbenchResult } from "./pgbench.ts";
import { named, type Series } from "./rounds.ts";
import { differencesByRound, median, ratiosByRound, spreadOf } from "./statistics.ts";
import { number, type Row } from "./table.ts";

/** What every run of pgbench tells: how fast, and for how much CPU. */
export function pgbenchColumns(
  series: readonly Series<PgbenchResult>[],
  results: readonly PgbenchResult[],
  unit: string,
): Row {
  const pgbouncer = named(series, PGBOUNCER);
  const cpu = cpuOf(results);
  const cpuRatios = cpu && pgbouncer && ratiosByRound(cpu, cpuOf(pgbouncer)!);
  return {
    [unit]: number(median(tpsOf(results))),
    "of PgBouncer": number(pgbouncer && median(ratiosByRound(tpsOf(results), tpsOf(pgbouncer))), 2),
    "CPU µs": number(cpu && median(cpu), 1),
    "× PgBouncer": number(cpuRatios && median(cpuRatios), 2),
    "least–most": spreadText(cpuRatios),
    "pgbench µs": number(median(results.map(({ clientMicros }) => clientMicros)), 1),
    "machine µs": number(median(results.map(({ machineMicros }) => machineMicros)), 1),
    "busy cores": number(median(results.map(({ busyCores }) => busyCores)), 2),
  };
}

/** What it tells besides at one client: how long a transaction took, and how much longer than direct. */
export function latencyColumns(
  series: readonly Series<PgbenchResult>[],
  results: readonly PgbenchResult[],
): Row {
  const direct = named(series, "direct");
  const added = direct && differencesByRound(latencyOf(results), latencyOf(direct));
  return {
    "median µs": number(median(latencyOf(results))),
    "added µs": number(added && median(added)),
    "99th µs": number(median(results.map(({ latency }) => latency!.p99Micros))),
  };
}

/** Transactions a second, of each round. */
export function tpsOf(results: readonly PgbenchResult[]): number[] {
  return results.map(({ tps }) => tps);
}

/** CPU of the contender for each transaction, in microseconds, of each round; undefined where there is no program. */
export function cpuOf(results: readonly PgbenchResult[]): number[] | undefined {
  const micros = results.map(({ cpuMicros }) => cpuMicros);
  return micros.every((value) => value !== undefined) ? micros : undefined;
}

/** The median latency at one client, in microseconds, of each round. */
export function latencyOf(results: readonly PgbenchResult[]): number[] {
  return results.map(({ latency }) => latency!.medianMicros);
}

function spreadText(values: readonly number[] | undefined): string {
  if (values === undefined) return "–";
  const { least, most } = spreadOf(values);
  return `${number(least, 2)}–${number(most, 2)}`;
}
