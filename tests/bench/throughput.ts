import { type Contender, type Kind, type Running, type Transport, withAll } from "./contender.ts";
import { carriers } from "./floors.ts";
import { type Bench, PGBOUNCER } from "./measure.ts";
import { pgbench } from "./pgbench.ts";
import { pgbenchInTurns } from "./pgbench_in_turns.ts";
import type { PgbenchResult } from "./pgbench_result.ts";
import { type Cell, tell } from "./throughput_table.ts";
import { tableOfTls } from "./tls_view.ts";
import { hasLibpq18 } from "./tools.ts";

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

/** Everyone is started anew in each round: where a program's memory happens to lie costs it up to 2.5 % for its whole life. */
async function measureOver(transport: Transport, bench: Bench, cells: readonly Cell[]): Promise<void> {
  const contenders = carriers(bench.contenders).filter(({ transports }) => transports.includes(transport));
  const tables = cells.map((cell) => ({
    cell,
    transport,
    series: askedIn(cell, contenders).map((running) => ({ running, results: [] as PgbenchResult[] })),
  }));
  try {
    for (let round = 0; round < bench.effort.rounds; round++) {
      await withAll(contenders, {
        stage: bench.stage,
        transport,
        act: async (all) => {
          if (transport !== "plain" && round === 0) await tableOfTls(bench, all);
          await warmUp(bench, all);
          for (const { cell, series } of tables) {
            const results = await askAll(bench, cell, askedIn(cell, all));
            series.forEach((one, at) => one.results.push(results[at]));
          }
        },
      });
    }
  } finally {
    // A run that is broken off has told of the rounds that were whole.
    for (const table of tables) {
      if (table.series.some(({ results }) => results.length > 0)) tell(bench.report, table);
    }
  }
}

/** Contenders or those of them that run, in the order in which they came. */
function askedIn<C extends Contender | Running>({ who }: Cell, all: readonly C[]): C[] {
  return all.filter((one) => who === "everyone" || isPrincipal(one));
}

/**
 * A program that carries runs for weeks: what V8 takes to compile in the first 100 000 transactions is not their price. Nor is
 * what it compiles once more when the first sessions have ended: hence several runs.
 */
async function warmUp({ stage, effort }: Bench, all: readonly Running[]): Promise<void> {
  const run = { protocol: "prepared", clients: 8, until: { seconds: effort.seconds } } as const;
  for (const running of all.filter(({ kind }) => RUN_BY_DENO.includes(kind))) {
    for (let runs = 0; runs < WARM_UP_RUNS; runs++) await pgbench(stage, running, run);
  }
}

const RUN_BY_DENO: readonly Kind[] = ["proxy", "floor"];
const WARM_UP_RUNS = 4;

async function askAll(
  { stage, effort }: Bench,
  cell: Cell,
  all: readonly Running[],
): Promise<PgbenchResult[]> {
  const seconds = cell.who === "everyone" ? effort.seconds : Math.ceil(effort.seconds / 2);
  return await pgbenchInTurns(stage, all, { ...cell, seconds });
}

function isPrincipal({ kind, name }: Contender | Running): boolean {
  return kind === "direct" || kind === "proxy" || name === PGBOUNCER;
}
