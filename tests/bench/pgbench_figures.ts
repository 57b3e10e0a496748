import { PGBOUNCER } from "./measure.ts";
import type { PgbenchResult } from "./pgbench_result.ts";
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
    "PostgreSQL µs": number(median(results.map(({ postgresMicros }) => postgresMicros)), 1),
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

/** How much of all that was done may have been done by others. */
const MOST_OF_OTHERS = 0.1;

/** A sentence when something else was at work while these were measured. */
export function disturbances(series: readonly Series<PgbenchResult>[]): string[] {
  const disturbed = series.filter(({ results }) => median(results.map(shareOfOthers)) > MOST_OF_OTHERS);
  if (disturbed.length === 0) return [];
  const names = disturbed.map(({ running }) => running.name).join(", ");
  return [`Something else was at work meanwhile, and these figures are not to be believed: ${names}.`];
}

function shareOfOthers({ cpuMicros = 0, clientMicros, postgresMicros, othersMicros }: PgbenchResult): number {
  return othersMicros / (cpuMicros + clientMicros + postgresMicros + othersMicros);
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
