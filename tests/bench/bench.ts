// In: options, and the programs of this machine. Out: tables on standard output, and a file of all figures if asked for.
// Chapter: what the proxy costs, beside those who do less for less. See README.md here.
import { Command, InvalidArgumentError } from "commander";
import { contendersOn } from "./contenders.ts";
import { measureCopy } from "./copy.ts";
import { measureGrowth } from "./growth.ts";
import { measureIdleMemory } from "./idle_memory.ts";
import { measureLogins } from "./logins.ts";
import { measureLoginsByWay } from "./logins_by_way.ts";
import { circumstances } from "./machine.ts";
import type { Measure } from "./measure.ts";
import { Player } from "./player.ts";
import { Program } from "./program.ts";
import { Report } from "./report.ts";
import type { Effort } from "./rounds.ts";
import { measureScale } from "./scale.ts";
import { setStage } from "./stage.ts";
import { measureStartTime } from "./start_time.ts";
import { measureThroughput } from "./throughput.ts";
import { findTools, missingTools } from "./tools.ts";
import { readVariant } from "./variant.ts";

const MEASURES: Readonly<Record<string, Measure>> = {
  throughput: { needs: ["pgbench"], run: measureThroughput },
  logins: { needs: ["pgbench"], run: measureLogins },
  ways: { needs: [], run: measureLoginsByWay },
  copy: { needs: ["psql"], run: measureCopy },
  memory: { needs: [], run: measureIdleMemory },
  start: { needs: [], run: measureStartTime },
  scale: { needs: ["pgbench"], run: measureScale },
  growth: { needs: ["pgbench"], run: measureGrowth },
};

const DEFAULT_EFFORT: Effort = {
  rounds: 5,
  seconds: 2,
  sessions: [1_000, 5_000],
  logins: 10_000,
  storm: 500,
};
const QUICK_EFFORT: Effort = { rounds: 1, seconds: 1, sessions: [600], logins: 1_000, storm: 100 };

interface Options extends Partial<Effort> {
  readonly quick: boolean;
  readonly only: readonly string[];
  readonly through?: readonly string[];
  readonly json?: string;
  readonly variant: readonly string[];
}

async function bench({ quick, only, through, json, variant, ...given }: Options): Promise<void> {
  const effort = { ...quick ? QUICK_EFFORT : DEFAULT_EFFORT, ...given };
  const variants = await Promise.all(["", ...variant].map(readVariant));
  const toolbox = findTools();
  for (const sentence of missingTools(toolbox)) console.error(sentence);
  await using resources = new AsyncDisposableStack();
  endBySignal(resources);
  const stage = await setStage(toolbox, resources);
  const everyone = await contendersOn(stage, variants);
  const contenders = everyone.filter(({ name }) =>
    through === undefined || through.some((wanted) => name.startsWith(wanted))
  );
  const report = new Report();
  const about = { ...await circumstances(toolbox), effort };
  console.log(Object.entries(about).map(([what, value]) => `${what} ${JSON.stringify(value)}`).join(", "));
  try {
    for (const name of only) {
      const { needs, run } = MEASURES[name];
      if (!needs.every((tool) => toolbox.has(tool))) continue;
      const startedMs = performance.now();
      await run({ stage, contenders, variant: variants[0], effort, report });
      console.log(`\n${name} took ${Math.round((performance.now() - startedMs) / 1000)} s`);
    }
  } finally {
    report.printTargets();
    if (json !== undefined) await Deno.writeTextFile(json, report.toJson(about));
  }
}

/** Whatever ends the run ends what it has started: programs first, since what waits for them fails then, and before them who may be stopped. */
function endBySignal(resources: AsyncDisposableStack): void {
  for (const signal of ["SIGINT", "SIGTERM"] as const) {
    Deno.addSignalListener(signal, async () => {
      globalThis.addEventListener("unhandledrejection", (event) => event.preventDefault());
      await Player.endAll();
      await Program.endAll();
      await resources.disposeAsync();
      Deno.exit(130);
    });
  }
}

function wholeNumber(text: string): number {
  const value = Number(text);
  if (!Number.isInteger(value) || value < 1) {
    throw new InvalidArgumentError("It must be a whole number from 1 on.");
  }
  return value;
}

function wholeNumbers(text: string): number[] {
  return text.split(",").map(wholeNumber).toSorted((a, b) => a - b);
}

function measureNames(text: string): string[] {
  const names = text.split(",");
  const unknown = names.find((name) => !Object.hasOwn(MEASURES, name));
  if (unknown !== undefined) {
    throw new InvalidArgumentError(
      `There is no measure "${unknown}", but ${Object.keys(MEASURES).join(", ")}.`,
    );
  }
  return names;
}

const program = new Command("bench")
  .description("Measures what the proxy costs, beside PgBouncer, haproxy, stunnel and a direct connection.")
  .option("--rounds <n>", "how often everything is measured, in turn (default: 5)", wholeNumber)
  .option("--seconds <s>", "how long pgbench runs in a round (default: 2)", wholeNumber)
  .option("--sessions <n,…>", "numbers of idle sessions to open (default: 1000,5000)", wholeNumbers)
  .option("--logins <n>", "how many in a row, for growth (default: 10000)", wholeNumber)
  .option("--storm <n>", "how many log in at once, for scale (default: 500)", wholeNumber)
  .option("--quick", "one round, one second, 600 sessions, 1000 logins, a storm of 100", false)
  .option("--only <measures>", `of ${Object.keys(MEASURES).join(",")}`, measureNames, Object.keys(MEASURES))
  .option("--through <names>", "only contenders whose names begin so: direct,PgBouncer,proxy", listed)
  .option("--json <file>", "write every figure of every round to a file")
  .option(
    "--variant <words>",
    "the proxy once more, run otherwise: NAME=value, --flag of deno run, directory of a checkout; may be repeated",
    (text: string, before: readonly string[]) => [...before, text],
    [] as readonly string[],
  )
  .action(bench);

function listed(text: string): string[] {
  return text.split(",");
}

await program.parseAsync(["deno", "bench", ...Deno.args]);
