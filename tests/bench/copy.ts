import { type Running, withAll } from "./contender.ts";
import { carriers } from "./floors.ts";
import { type Bench, PGBOUNCER, PROXY } from "./measure.ts";
import { libpqEnvironment } from "./pgbench.ts";
import { usageOf } from "./program.ts";
import { inRounds, named, type Series } from "./rounds.ts";
import type { Stage } from "./stage.ts";
import { median, ratiosByRound } from "./statistics.ts";
import { number } from "./table.ts";
import { TARGETS } from "./targets.ts";

const ROW_BYTES = 1_000;
const ROWS = 300_000;

// The rows cost PostgreSQL as little as can be: one constant value, and rows coming in are parsed and dropped.
const COPY_OUT = `COPY (SELECT repeat('x', ${ROW_BYTES - 1}) FROM generate_series(1, ${ROWS})) TO STDOUT`;
const COPY_IN = "COPY sink FROM STDIN WHERE false";

interface Copied {
  readonly seconds: number;
  readonly cpuMicros: number | undefined;
}

/** 300 MB out of PostgreSQL and in to it by psql. */
export async function measureCopy(bench: Bench): Promise<void> {
  const { stage, contenders, effort: { rounds } } = bench;
  const file = `${stage.directory}/rows`;
  await writeRows(file);
  await stage.cluster.sql("CREATE TABLE sink (line text)");
  for (const transport of ["plain", "TLS"] as const) {
    // One session is carried by one event loop, however many there are.
    await withAll(carriers(contenders).filter(({ loops }) => loops === 1), {
      stage,
      transport,
      act: async (all) => {
        const out = await inRounds(all, {
          rounds,
          run: (running) => copy(stage, running, { command: COPY_OUT }),
        });
        tell(bench, { heading: `COPY out, 300 MB, ${transport}`, series: out });
        if (transport === "TLS") score(bench, "copyOut", out);
        const into = await inRounds(all, {
          rounds,
          run: (running) => copy(stage, running, { command: COPY_IN, file }),
        });
        tell(bench, { heading: `COPY in, 300 MB, ${transport}`, series: into });
        if (transport === "TLS") score(bench, "copyIn", into);
      },
    });
  }
  await Deno.remove(file);
}

function tell(
  { report }: Bench,
  { heading, series }: { heading: string; series: readonly Series<Copied>[] },
): void {
  report.table(heading, {
    rows: series.map(({ running, results }) => ({
      "through": running.name,
      "seconds": number(median(results.map(({ seconds }) => seconds)), 2),
      "speed of direct": number(speedOf(results, named(series, "direct")), 2),
      "speed of PgBouncer": number(speedOf(results, named(series, PGBOUNCER)), 2),
      "CPU seconds": number(cpuSecondsOf(results), 2),
    })),
    series,
  });
}

function score({ report }: Bench, target: "copyOut" | "copyIn", series: readonly Series<Copied>[]): void {
  const [proxy, peer] = [named(series, PROXY), named(series, PGBOUNCER)];
  const floor = series.find(({ running }) => running.kind === "floor");
  if (proxy === undefined || peer === undefined) return;
  report.score({
    target: TARGETS[target],
    measured: speeds(proxy, peer),
    floor: floor && { name: floor.running.name, values: speeds(floor.results, peer) },
  });
}

function speedOf(results: readonly Copied[], others: readonly Copied[] | undefined): number | undefined {
  return others && median(speeds(results, others));
}

/** How many times as fast as the other, round by round. */
function speeds(results: readonly Copied[], others: readonly Copied[]): number[] {
  const secondsOf = (copies: readonly Copied[]) => copies.map(({ seconds }) => seconds);
  return ratiosByRound(secondsOf(others), secondsOf(results));
}

function cpuSecondsOf(results: readonly Copied[]): number | undefined {
  const micros = results.map(({ cpuMicros }) => cpuMicros);
  return micros.every((value) => value !== undefined) ? median(micros) / 1e6 : undefined;
}

async function copy(
  stage: Stage,
  running: Running,
  { command, file }: { command: string; file?: string },
): Promise<Copied> {
  const before = await usageOf(running.programs);
  const startedMs = performance.now();
  const { success, stderr } = await new Deno.Command("/bin/sh", {
    args: [
      "-c",
      'exec "$1" --no-psqlrc --quiet --command="$2" <"$3" >/dev/null',
      "sh",
      stage.toolbox.get("psql")!,
      command,
      file ?? "/dev/null",
    ],
    env: libpqEnvironment(running),
    clearEnv: true,
    stdin: "null",
    stdout: "null",
    stderr: "piped",
  }).output();
  const seconds = (performance.now() - startedMs) / 1000;
  if (!success) throw new Error(`psql failed through ${running.name}: ${new TextDecoder().decode(stderr)}`);
  const after = await usageOf(running.programs);
  const hasPrograms = running.programs.length > 0;
  return { seconds, cpuMicros: hasPrograms ? after.cpuMicros - before.cpuMicros : undefined };
}

async function writeRows(file: string): Promise<void> {
  const thousand = new TextEncoder().encode(`${"x".repeat(ROW_BYTES - 1)}\n`.repeat(1_000));
  using output = await Deno.open(file, { write: true, create: true });
  for (let written = 0; written < ROWS; written += 1_000) await writeAll(output, thousand);
}

async function writeAll(output: Deno.FsFile, bytes: Uint8Array): Promise<void> {
  for (let at = 0; at < bytes.length;) at += await output.write(bytes.subarray(at));
}
