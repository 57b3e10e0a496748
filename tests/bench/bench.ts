// In: options, and the programs of this machine. Out: tables on standard output.
// Chapter: what the proxy costs, beside those who do less for less. See README.md here.
import { Command, InvalidArgumentError } from "commander";
import type { Contender } from "./contender.ts";
import { measureCopy } from "./copy.ts";
import { measureIdleMemory } from "./idle_memory.ts";
import { measureLogins } from "./logins.ts";
import { measureLoginsByWay } from "./logins_by_way.ts";
import { direct, haproxy, pgbouncer } from "./peers.ts";
import { Program } from "./program.ts";
import { proxyProgram } from "./proxy_program.ts";
import type { Effort } from "./rounds.ts";
import { setStage, type Stage } from "./stage.ts";
import { measureStartTime } from "./start_time.ts";
import { measureThroughput } from "./throughput.ts";
import { findTools, missingTools, type Tool } from "./tools.ts";
import { readVariant, type Variant } from "./variant.ts";

interface Measure {
  readonly needs: readonly Tool[];
  readonly run: (stage: Stage, contenders: readonly Contender[], effort: Effort) => Promise<void>;
}

const MEASURES: Readonly<Record<string, Measure>> = {
  throughput: { needs: ["pgbench"], run: measureThroughput },
  logins: { needs: ["pgbench"], run: measureLogins },
  ways: { needs: [], run: measureLoginsByWay },
  copy: { needs: ["psql"], run: measureCopy },
  memory: { needs: [], run: measureIdleMemory },
  start: { needs: [], run: measureStartTime },
};

const DEFAULT_EFFORT: Effort = { rounds: 3, seconds: 2, sessions: 1_000 };
const QUICK_EFFORT: Effort = { rounds: 1, seconds: 1, sessions: 300 };

interface Options {
  readonly rounds?: number;
  readonly seconds?: number;
  readonly sessions?: number;
  readonly quick: boolean;
  readonly only: readonly string[];
  readonly variant: readonly string[];
}

async function bench(options: Options): Promise<void> {
  const effort = { ...options.quick ? QUICK_EFFORT : DEFAULT_EFFORT, ...given(options) };
  const variants = await Promise.all(["", ...options.variant].map(readVariant));
  const toolbox = findTools();
  for (const sentence of missingTools(toolbox)) console.error(sentence);
  await using resources = new AsyncDisposableStack();
  endBySignal(resources);
  const stage = await setStage(toolbox, resources);
  const contenders = contendersOn(stage, variants);
  for (const name of options.only) {
    const { needs, run } = MEASURES[name];
    if (needs.every((tool) => toolbox.has(tool))) await run(stage, contenders, effort);
  }
}

/** Whatever ends the run ends what it has started: programs first, since what waits for them fails then. */
function endBySignal(resources: AsyncDisposableStack): void {
  for (const signal of ["SIGINT", "SIGTERM"] as const) {
    Deno.addSignalListener(signal, async () => {
      globalThis.addEventListener("unhandledrejection", (event) => event.preventDefault());
      await Program.endAll();
      await resources.disposeAsync();
      Deno.exit(130);
    });
  }
}

function contendersOn(stage: Stage, variants: readonly Variant[]): Contender[] {
  return [
    direct(stage),
    ...(stage.toolbox.has("pgbouncer") ? [pgbouncer(stage)] : []),
    ...(stage.toolbox.has("haproxy") ? [haproxy(stage)] : []),
    ...variants.map((variant) => proxyProgram(stage, variant)),
  ];
}

function given({ rounds, seconds, sessions }: Options): Partial<Effort> {
  return Object.fromEntries(
    Object.entries({ rounds, seconds, sessions }).filter(([, value]) => value !== undefined),
  );
}

function wholeNumber(text: string): number {
  const value = Number(text);
  if (!Number.isInteger(value) || value < 1) {
    throw new InvalidArgumentError("It must be a whole number from 1 on.");
  }
  return value;
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
  .description("Measures what the proxy costs, beside PgBouncer, haproxy and a direct connection.")
  .option("--rounds <n>", "how often everything is measured, in turn (default: 3)", wholeNumber)
  .option("--seconds <s>", "how long each run of pgbench takes (default: 2)", wholeNumber)
  .option("--sessions <n>", "idle sessions to open (default: 1000)", wholeNumber)
  .option("--quick", "one round, one second, 300 sessions", false)
  .option("--only <measures>", `of ${Object.keys(MEASURES).join(",")}`, measureNames, Object.keys(MEASURES))
  .option(
    "--variant <words>",
    "the proxy once more, run otherwise: NAME=value, --flag of deno run, directory of a checkout; may be repeated",
    (text: string, before: readonly string[]) => [...before, text],
    [] as readonly string[],
  )
  .action(bench);

await program.parseAsync(["deno", "bench", ...Deno.args]);
