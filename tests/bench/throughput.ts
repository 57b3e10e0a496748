import { type Contender, type Running, type Transport, withAll } from "./contender.ts";
import { pgbench, type PgbenchResult } from "./pgbench.ts";
import { type Effort, inRounds, named, type Series } from "./rounds.ts";
import type { Stage } from "./stage.ts";
import { median, quantile } from "./statistics.ts";
import { number, printTable, ratio, type Row } from "./table.ts";

const PROTOCOLS = ["prepared", "simple"] as const;
const CLIENTS = [1, 8] as const;

/** Transactions a second, CPU for each, and at one client the latency. */
export async function measureThroughput(
  stage: Stage,
  contenders: readonly Contender[],
  effort: Effort,
): Promise<void> {
  for (const transport of ["plain", "TLS"] as const) {
    await withAll(contenders, { transport, act: (all) => measureOver(stage, all, { transport, effort }) });
  }
}

async function measureOver(
  stage: Stage,
  all: readonly Running[],
  { transport, effort }: { transport: Transport; effort: Effort },
): Promise<void> {
  const { rounds, seconds } = effort;
  for (const protocol of PROTOCOLS) {
    for (const clients of CLIENTS) {
      const isFirst = protocol === PROTOCOLS[0] && clients === CLIENTS[0];
      const series = await inRounds(all, {
        rounds,
        warmUp: isFirst
          ? (running) => pgbench(stage, running, { protocol, clients: 8, seconds: 1 })
          : undefined,
        run: (running) => pgbench(stage, running, { protocol, clients, seconds }),
      });
      const who = clients === 1 ? "1 client" : `${clients} clients`;
      printTable(
        `select-only, ${protocol}, ${who}, ${transport}`,
        rowsOf(series, { isTimed: clients === 1 }),
      );
    }
  }
}

function rowsOf(series: readonly Series<PgbenchResult>[], { isTimed }: { isTimed: boolean }): Row[] {
  const directLatency = latencyOf(named(series, "direct"), 0.5);
  return series.map(({ running, results }) => {
    const latency = latencyOf(results, 0.5);
    return {
      "through": running.name,
      ...pgbenchColumns(series, results, "tps"),
      ...(isTimed && {
        "median µs": number(latency),
        "added µs": number(latency! - directLatency!),
        "99th µs": number(latencyOf(results, 0.99)),
      }),
    };
  });
}

/** What every run of pgbench tells: how fast, and for how much CPU. */
export function pgbenchColumns(
  series: readonly Series<PgbenchResult>[],
  results: readonly PgbenchResult[],
  unit: string,
): Row {
  const cpu = cpuOf(results);
  return {
    [unit]: number(tpsOf(results)),
    "of direct": ratio(tpsOf(results), tpsOf(named(series, "direct"))),
    "of PgBouncer": ratio(tpsOf(results), tpsOf(named(series, "PgBouncer"))),
    "CPU µs": number(cpu && median(cpu), 1),
    "least–most": cpu ? `${number(Math.min(...cpu), 1)}–${number(Math.max(...cpu), 1)}` : "–",
    "× PgBouncer": ratio(cpu && median(cpu), medianOf(cpuOf(named(series, "PgBouncer")))),
  };
}

function tpsOf(results: readonly PgbenchResult[] | undefined): number | undefined {
  return medianOf(results?.map(({ tps }) => tps));
}

function cpuOf(results: readonly PgbenchResult[] | undefined): readonly number[] | undefined {
  const micros = results?.map(({ cpuMicrosPerTransaction }) => cpuMicrosPerTransaction);
  return micros?.every((value) => value !== undefined) ? micros : undefined;
}

function latencyOf(results: readonly PgbenchResult[] | undefined, q: number): number | undefined {
  return medianOf(results?.map(({ latenciesMicros }) => quantile(latenciesMicros, q)));
}

function medianOf(values: readonly number[] | undefined): number | undefined {
  return values && median(values);
}
