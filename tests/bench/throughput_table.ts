import type { Transport } from "./contender.ts";
import { PGBOUNCER, PROXY, PROXY_OF_TWO } from "./measure.ts";
import { cpuOf, disturbances, latencyColumns, latencyOf, pgbenchColumns, tpsOf } from "./pgbench_figures.ts";
import type { PgbenchResult } from "./pgbench_result.ts";
import type { Report } from "./report.ts";
import { named, type Series } from "./rounds.ts";
import { differencesByRound, median, ratiosByRound } from "./statistics.ts";
import { TARGETS } from "./targets.ts";

/** One table: how pgbench asks, and who is asked. */
export interface Cell {
  readonly protocol: "prepared" | "simple";
  readonly clients: number;
  readonly who: "everyone" | "principals";
}

/** Prints the table, and keeps what there is a target for. */
export function tell(
  report: Report,
  { cell: { protocol, clients }, transport, series }: {
    readonly cell: Cell;
    readonly transport: Transport;
    readonly series: readonly Series<PgbenchResult>[];
  },
): void {
  const who = clients === 1 ? "1 client" : `${clients} clients`;
  report.table(`select-only, ${protocol}, ${who}, ${transport}`, {
    rows: series.map(({ running, results }) => ({
      "through": running.name,
      ...pgbenchColumns(series, results, "tps"),
      ...(clients === 1 && latencyColumns(series, results)),
    })),
    series,
    notes: disturbances(series),
  });
  if (protocol !== "prepared") return;
  if (clients === 8 && transport === "plain") scoreCpu(report, "plainCpu", series);
  if (clients === 8 && transport === "TLS") scoreCpu(report, "tlsCpu", series);
  if (clients === 8 && transport === "TLS") scoreTps(report, "throughput8", series);
  if (clients === 32 && transport === "TLS") scoreTps(report, "throughput32", series);
  if (clients === 1 && transport === "TLS") scoreLatency(report, series);
}

/** Whose CPU is least, of those that only carry bytes by as many event loops as that proxy. */
function bestFloor(
  series: readonly Series<PgbenchResult>[],
  proxy: string,
): { name: string; results: readonly PgbenchResult[] } | undefined {
  const loops = series.find(({ running }) => running.name === proxy)?.running.loops;
  const floors = series.filter(({ running }) => running.kind === "floor" && running.loops === loops);
  const [best] = floors.toSorted((a, b) => median(cpuOf(a.results)!) - median(cpuOf(b.results)!));
  return best && { name: best.running.name, results: best.results };
}

function scoreCpu(
  report: Report,
  target: "plainCpu" | "tlsCpu",
  series: readonly Series<PgbenchResult>[],
): void {
  const [proxy, pgbouncer, floor] = [
    named(series, PROXY),
    named(series, PGBOUNCER),
    bestFloor(series, PROXY),
  ];
  if (proxy === undefined || pgbouncer === undefined) return;
  const ofPgbouncer = (results: readonly PgbenchResult[]) =>
    ratiosByRound(cpuOf(results)!, cpuOf(pgbouncer)!);
  report.score({
    target: TARGETS[target],
    measured: ofPgbouncer(proxy),
    floor: floor && { name: floor.name, values: ofPgbouncer(floor.results) },
  });
}

function scoreTps(
  report: Report,
  target: "throughput8" | "throughput32",
  series: readonly Series<PgbenchResult>[],
): void {
  const [proxy, pgbouncer, floor] = [
    named(series, PROXY_OF_TWO),
    named(series, PGBOUNCER),
    bestFloor(series, PROXY_OF_TWO),
  ];
  if (proxy === undefined || pgbouncer === undefined) return;
  const ofPgbouncer = (results: readonly PgbenchResult[]) => ratiosByRound(tpsOf(results), tpsOf(pgbouncer));
  report.score({
    target: TARGETS[target],
    measured: ofPgbouncer(proxy),
    floor: floor && { name: floor.name, values: ofPgbouncer(floor.results) },
  });
}

function scoreLatency(report: Report, series: readonly Series<PgbenchResult>[]): void {
  const [proxy, direct, floor] = [named(series, PROXY), named(series, "direct"), bestFloor(series, PROXY)];
  if (proxy === undefined || direct === undefined) return;
  const added = (results: readonly PgbenchResult[]) =>
    differencesByRound(latencyOf(results), latencyOf(direct));
  report.score({
    target: TARGETS.latency,
    measured: added(proxy),
    floor: floor && { name: floor.name, values: added(floor.results) },
  });
}
