import { type Contender, type Running, withAll } from "./contender.ts";
import { libpqEnvironment } from "./pgbench.ts";
import { usageOf } from "./program.ts";
import { type Effort, inRounds, named, type Series } from "./rounds.ts";
import type { Stage } from "./stage.ts";
import { median } from "./statistics.ts";
import { number, printTable, ratio } from "./table.ts";

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
export async function measureCopy(
  stage: Stage,
  contenders: readonly Contender[],
  { rounds }: Effort,
): Promise<void> {
  const file = `${stage.directory}/rows`;
  await writeRows(file);
  await stage.cluster.sql("CREATE TABLE sink (line text)");
  for (const transport of ["plain", "TLS"] as const) {
    await withAll(contenders, {
      transport,
      act: async (all) => {
        const out = await inRounds(all, {
          rounds,
          run: (running) => copy(stage, running, { command: COPY_OUT }),
        });
        printCopies(`COPY out, 300 MB, ${transport}`, out);
        const into = await inRounds(all, {
          rounds,
          run: (running) => copy(stage, running, { command: COPY_IN, file }),
        });
        printCopies(`COPY in, 300 MB, ${transport}`, into);
      },
    });
  }
  await Deno.remove(file);
}

function printCopies(heading: string, series: readonly Series<Copied>[]): void {
  const secondsOf = (results: readonly Copied[] | undefined) =>
    results && median(results.map(({ seconds }) => seconds));
  printTable(
    heading,
    series.map(({ running, results }) => {
      const seconds = secondsOf(results);
      const cpu = results.every(({ cpuMicros }) => cpuMicros !== undefined)
        ? median(results.map(({ cpuMicros }) => cpuMicros!))
        : undefined;
      return {
        "through": running.name,
        "seconds": number(seconds, 2),
        "of direct": ratio(seconds, secondsOf(named(series, "direct"))),
        "of PgBouncer": ratio(seconds, secondsOf(named(series, "PgBouncer"))),
        "CPU seconds": number(cpu && cpu / 1e6, 2),
      };
    }),
  );
}

async function copy(
  stage: Stage,
  running: Running,
  { command, file }: { command: string; file?: string },
): Promise<Copied> {
  const before = running.program && await usageOf(running.program.pid);
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
  const after = running.program && await usageOf(running.program.pid);
  return { seconds, cpuMicros: before && after && after.cpuMicros - before.cpuMicros };
}

async function writeRows(file: string): Promise<void> {
  const thousand = new TextEncoder().encode(`${"x".repeat(ROW_BYTES - 1)}\n`.repeat(1_000));
  using output = await Deno.open(file, { write: true, create: true });
  for (let written = 0; written < ROWS; written += 1_000) await writeAll(output, thousand);
}

async function writeAll(output: Deno.FsFile, bytes: Uint8Array): Promise<void> {
  for (let at = 0; at < bytes.length;) at += await output.write(bytes.subarray(at));
}
