import { type Contender, type Transport, withAll } from "./contender.ts";
import { type Bench, PGBOUNCER, PROXY, PROXY_OF_TWO } from "./measure.ts";
import { pgbench, type PgbenchResult } from "./pgbench.ts";
import { inRounds, named, type Series } from "./rounds.ts";
import { differencesByRound, median, ratiosByRound, spreadOf } from "./statistics.ts";
import { number, type Row } from "./table.ts";
import { TARGETS } from "./targets.ts";
import { tableOfTls } from "./tls_view.ts";
import { hasLibpq18 } from "./tools.ts";

/** One table: how pgbench asks, and who is asked. */
interface Cell {
  readonly protocol: "prepared" | "simple";
  readonly clients: number;
  /** With everybody, for as long as was asked for; else with PgBouncer and the proxy only, for half as long. */
  readonly isFull: boolean;
}

const CELLS: readonly Cell[] = [
  { protocol: "prepared", clients: 1, isFull: true },
  { protocol: "prepared", clients: 8, isFull: true },
  { protocol: "prepared", clients: 32, isFull: true },
  { protocol: "simple", clients: 1, isFull: false },
  { protocol: "simple", clients: 8, isFull: false },
  { protocol: "simple", clients: 32, isFull: false },
];

const DIRECT_TLS_CELLS = CELLS.filter(({ protocol, clients }) => protocol === "prepared" && clients < 32);

/** Transactions a second, CPU for each, and at one client the latency. */
export async function measureThroughput(bench: Bench): Promise<void> {
  await measureOver("plain", bench, CELLS);
  await measureOver("TLS", bench, CELLS);
  if (hasLibpq18()) await measureOver("sslnegotiation=direct", bench, DIRECT_TLS_CELLS);
}

async function measureOver(transport: Transport, bench: Bench, cells: readonly Cell[]): Promise<void> {
  const { stage, contenders, effort } = bench;
  await withAll(contenders, {
    stage,
    transport,
    act: async (all) => {
      if (transport !== "plain") await tableOfTls(bench, all);
      for (const running of all) await pgbench(stage, running, WARM_UP);
      for (const cell of cells) {
        const seconds = cell.isFull ? effort.seconds : Math.ceil(effort.seconds / 2);
        const series = await inRounds(all.filter((running) => cell.isFull || isPrincipal(running)), {
          rounds: effort.rounds,
          run: (running) => pgbench(stage, running, { ...cell, until: { seconds } }),
        });
        tell(bench, { cell, transport, series });
      }
    },
  });
}

const WARM_UP = { protocol: "prepared", clients: 8, until: { seconds: 1 } } as const;

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
  });
  if (protocol !== "prepared") return;
  if (clients === 8 && transport === "plain") scoreCpu(report, "plainCpu", series);
  if (clients === 8 && transport === "TLS") scoreCpu(report, "tlsCpu", series);
  if (clients === 8 && transport === "TLS") scoreTps(report, "throughput8", series);
  if (clients === 32 && transport === "TLS") scoreTps(report, "throughput32", series);
  if (clients === 1 && transport === "TLS") scoreLatency(report, series);
}

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

function latencyColumns(series: readonly Series<PgbenchResult>[], results: readonly PgbenchResult[]): Row {
  const direct = named(series, "direct");
  const added = direct && differencesByRound(latencyOf(results), latencyOf(direct));
  return {
    "median µs": number(median(latencyOf(results))),
    "added µs": number(added && median(added)),
    "99th µs": number(median(results.map(({ latency }) => latency!.p99Micros))),
  };
}

function spreadText(values: readonly number[] | undefined): string {
  if (values === undefined) return "–";
  const { least, most } = spreadOf(values);
  return `${number(least, 2)}–${number(most, 2)}`;
}

/** Whose CPU is least, of those that only carry bytes. */
function bestFloor(
  series: readonly Series<PgbenchResult>[],
): { name: string; results: readonly PgbenchResult[] } | undefined {
  const floors = series.filter(({ running }) => running.kind === "floor");
  const [best] = floors.toSorted((a, b) => median(cpuOf(a.results)!) - median(cpuOf(b.results)!));
  return best && { name: best.running.name, results: best.results };
}

function scoreCpu(
  report: Bench["report"],
  target: "plainCpu" | "tlsCpu",
  series: readonly Series<PgbenchResult>[],
): void {
  const [proxy, pgbouncer, floor] = [named(series, PROXY), named(series, PGBOUNCER), bestFloor(series)];
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
    bestFloor(series),
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
  const [proxy, direct, floor] = [named(series, PROXY), named(series, "direct"), bestFloor(series)];
  if (proxy === undefined || direct === undefined) return;
  const added = (results: readonly PgbenchResult[]) =>
    differencesByRound(latencyOf(results), latencyOf(direct));
  report.score({
    target: TARGETS.latency,
    measured: added(proxy),
    floor: floor && { name: floor.name, values: added(floor.results) },
  });
}

function tpsOf(results: readonly PgbenchResult[]): number[] {
  return results.map(({ tps }) => tps);
}

function cpuOf(results: readonly PgbenchResult[]): number[] | undefined {
  const micros = results.map(({ cpuMicros }) => cpuMicros);
  return micros.every((value) => value !== undefined) ? micros : undefined;
}

function latencyOf(results: readonly PgbenchResult[]): number[] {
  return results.map(({ latency }) => latency!.medianMicros);
}
