import type { Transport } from "./contender.ts";
import { PGBOUNCER, PROXY, PROXY_OF_TWO } from "./measure.ts";
import { cpuOf, disturbances, latencyColumns, latencyOf, pgbenchColumns, tpsOf } from "./pgbench_figures.ts";
import type { PgbenchResult } from "./pgbench_result.ts";
import type { Report } from "./report.ts";
import { named, type Series } from "./rounds.ts";
import { differencesByRound, median, ratiosByRound } from "./statistics.ts";
import { type TargetName, TARGETS } from "./targets.ts";

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
  if (clients === 8 && transport === "plain") {
    score(report, "plainCpu", { series, base: PGBOUNCER, by: cpuRatios });
  }
  if (transport !== "TLS") return;
  if (clients === 8) score(report, "tlsCpu", { series, base: PGBOUNCER, by: cpuRatios });
  const ofTwo = { series, proxy: PROXY_OF_TWO, base: PGBOUNCER, by: tpsRatios };
  if (clients === 8) score(report, "throughput8", ofTwo);
  if (clients === 32) score(report, "throughput32", ofTwo);
  if (clients === 1) score(report, "latency", { series, base: "direct", by: latencyAdded });
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

/** How the one stands to the other, round by round. */
type Comparison = (results: readonly PgbenchResult[], base: readonly PgbenchResult[]) => readonly number[];

const cpuRatios: Comparison = (results, base) => ratiosByRound(cpuOf(results)!, cpuOf(base)!);
const tpsRatios: Comparison = (results, base) => ratiosByRound(tpsOf(results), tpsOf(base));
const latencyAdded: Comparison = (results, base) => differencesByRound(latencyOf(results), latencyOf(base));

/** Keeps how far a proxy and its floor came towards a target, where it and who it is compared with were there. */
function score(
  report: Report,
  target: TargetName,
  { series, proxy = PROXY, base, by }: {
    readonly series: readonly Series<PgbenchResult>[];
    readonly proxy?: string;
    readonly base: string;
    readonly by: Comparison;
  },
): void {
  const [measured, against, floor] = [named(series, proxy), named(series, base), bestFloor(series, proxy)];
  if (measured === undefined || against === undefined) return;
  report.score({
    target: TARGETS[target],
    measured: by(measured, against),
    floor: floor && { name: floor.name, values: by(floor.results, against) },
  });
}
