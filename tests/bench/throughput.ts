import { type Contender, type Transport, withAll } from "./contender.ts";
import { carriers } from "./floors.ts";
import { type Bench, PGBOUNCER, PROXY, PROXY_OF_TWO } from "./measure.ts";
import { pgbench } from "./pgbench.ts";
import type { PgbenchResult } from "./pgbench_result.ts";
import { cpuOf, disturbances, latencyColumns, latencyOf, pgbenchColumns, tpsOf } from "./pgbench_figures.ts";
import { pgbenchInTurns } from "./pgbench_in_turns.ts";
import { named, type Series } from "./rounds.ts";
import { differencesByRound, median, ratiosByRound } from "./statistics.ts";
import { TARGETS } from "./targets.ts";
import { tableOfTls } from "./tls_view.ts";
import { hasLibpq18 } from "./tools.ts";

/** One table: how pgbench asks, and who is asked. */
interface Cell {
  readonly protocol: "prepared" | "simple";
  readonly clients: number;
  readonly who: "everyone" | "principals";
}

/** What there is a target for, or nearly, is measured with everybody; the rest for half as long, with few. */
const PLAIN_CELLS: readonly Cell[] = [
  { protocol: "prepared", clients: 8, who: "everyone" },
  { protocol: "prepared", clients: 1, who: "principals" },
  { protocol: "prepared", clients: 32, who: "principals" },
  { protocol: "simple", clients: 8, who: "principals" },
  { protocol: "simple", clients: 1, who: "principals" },
  { protocol: "simple", clients: 32, who: "principals" },
];

const TLS_CELLS: readonly Cell[] = [
  { protocol: "prepared", clients: 8, who: "everyone" },
  { protocol: "prepared", clients: 32, who: "everyone" },
  { protocol: "prepared", clients: 1, who: "everyone" },
  { protocol: "simple", clients: 8, who: "principals" },
  { protocol: "simple", clients: 32, who: "principals" },
  { protocol: "simple", clients: 1, who: "principals" },
];

const DIRECT_TLS_CELLS: readonly Cell[] = [
  { protocol: "prepared", clients: 8, who: "everyone" },
  { protocol: "prepared", clients: 1, who: "everyone" },
];

/** Transactions a second, CPU for each, and at one client the latency. */
export async function measureThroughput(bench: Bench): Promise<void> {
  await measureOver("plain", bench, PLAIN_CELLS);
  await measureOver("TLS", bench, TLS_CELLS);
  if (hasLibpq18()) await measureOver("sslnegotiation=direct", bench, DIRECT_TLS_CELLS);
}

async function measureOver(transport: Transport, bench: Bench, cells: readonly Cell[]): Promise<void> {
  const { stage, contenders, effort } = bench;
  await withAll(carriers(contenders), {
    stage,
    transport,
    act: async (all) => {
      if (transport !== "plain") await tableOfTls(bench, all);
      for (const running of all) {
        await pgbench(stage, running, { ...WARM_UP, until: { seconds: WARM_UP_RUNS * effort.seconds } });
      }
      for (const cell of cells) {
        const isFull = cell.who === "everyone";
        const seconds = isFull ? effort.seconds : Math.ceil(effort.seconds / 2);
        const asked = all.filter((running) => isFull || isPrincipal(running));
        const series = await pgbenchInTurns(stage, asked, { ...cell, rounds: effort.rounds, seconds });
        tell(bench, { cell, transport, series });
      }
    },
  });
}

/** A program that carries runs for weeks: what V8 takes to compile in the first 100 000 transactions is not their price. */
const WARM_UP = { protocol: "prepared", clients: 8 } as const;
const WARM_UP_RUNS = 6;

function isPrincipal({ kind, name }: Pick<Contender, "kind" | "name">): boolean {
  return kind === "direct" || kind === "proxy" || name === PGBOUNCER;
}

function tell(
  { report }: Bench,
  { cell: { protocol, clients }, transport, series }: {
    cell: Cell;
    transport: Transport;
    series: readonly Series<PgbenchResult>[];
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
  report: Bench["report"],
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
  report: Bench["report"],
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

function scoreLatency(report: Bench["report"], series: readonly Series<PgbenchResult>[]): void {
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
