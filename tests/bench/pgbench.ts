import type { Credentials, Running, Transport } from "./contender.ts";
import { usageOf } from "./program.ts";
import { DATABASE, type Stage } from "./stage.ts";

/** How pgbench is run. */
export interface PgbenchRun {
  readonly protocol: "simple" | "prepared";
  readonly clients: number;
  readonly seconds: number;
  /** A new connection for every transaction. */
  readonly connectsEachTime?: boolean;
  /** Default: those of the entrance. */
  readonly credentials?: Credentials;
}

/** What one run gave. */
export interface PgbenchResult {
  readonly tps: number;
  /** Of the contender's process, in microseconds; undefined where there is none. */
  readonly cpuMicrosPerTransaction: number | undefined;
  /** Of each transaction in microseconds, from pgbench's own log. */
  readonly latenciesMicros: readonly number[];
}

/** What libpq needs to know, and nothing besides. */
export function libpqEnvironment(
  { port, transport, credentials }: { port: number; transport: Transport; credentials: Credentials },
): Record<string, string> {
  return {
    PGHOST: "127.0.0.1",
    PGPORT: String(port),
    PGDATABASE: DATABASE,
    PGUSER: credentials.user,
    PGPASSWORD: credentials.password,
    PGSSLMODE: transport === "TLS" ? "require" : "disable",
    PGGSSENCMODE: "disable",
    PATH: "/usr/bin:/bin",
    HOME: "/nonexistent",
    LC_ALL: "C.UTF-8",
  };
}

/** Runs pgbench's built-in select-only script through a contender. */
export async function pgbench(stage: Stage, running: Running, run: PgbenchRun): Promise<PgbenchResult> {
  const logPrefix = `${stage.directory}/transactions`;
  const credentials = run.credentials ?? running.credentials;
  const isTimed = run.clients === 1;
  const before = running.program && await usageOf(running.program.pid);
  const { success, stdout, stderr } = await new Deno.Command(stage.toolbox.get("pgbench")!, {
    args: [
      "--no-vacuum",
      "--select-only",
      `--protocol=${run.protocol}`,
      `--client=${run.clients}`,
      "--jobs=1",
      `--time=${run.seconds}`,
      ...(run.connectsEachTime ? ["--connect"] : []),
      ...(isTimed ? ["--log", `--log-prefix=${logPrefix}`] : []),
    ],
    env: libpqEnvironment({ ...running, credentials }),
    clearEnv: true,
    stdin: "null",
    stdout: "piped",
    stderr: "piped",
  }).output();
  const after = running.program && await usageOf(running.program.pid);
  const text = new TextDecoder().decode(stdout);
  const transactions = Number(/actually processed: (\d+)/.exec(text)?.[1] ?? 0);
  if (!success || transactions === 0) {
    throw new Error(`pgbench failed through ${running.name}: ${text}${new TextDecoder().decode(stderr)}`);
  }
  return {
    tps: Number(/^tps = ([\d.]+)/m.exec(text)![1]),
    cpuMicrosPerTransaction: before && after && (after.cpuMicros - before.cpuMicros) / transactions,
    latenciesMicros: isTimed ? await readLog(stage.directory) : [],
  };
}

/** Reads and removes what `--log` has written: a line a transaction, the third field its time. */
async function readLog(directory: string): Promise<number[]> {
  const latencies: number[] = [];
  for await (const { name } of Deno.readDir(directory)) {
    if (!name.startsWith("transactions.")) continue;
    const path = `${directory}/${name}`;
    for (const line of (await Deno.readTextFile(path)).split("\n")) {
      if (line !== "") latencies.push(Number(line.split(" ")[2]));
    }
    await Deno.remove(path);
  }
  return latencies;
}
