import { waitUntil } from "../support/wait_until.ts";
import type { Entrance, Transport } from "./contender.ts";
import { busyMicros, countChildren, endedChildrenMicros } from "./machine.ts";
import { usageOf } from "./program.ts";
import { DATABASE, type Stage } from "./stage.ts";
import { latencyIn, type LoggedTransaction, takeLog } from "./pgbench_log.ts";
import { differenceOf, type PgbenchResult, resultOf, type Used } from "./pgbench_result.ts";

/** How pgbench is run. */
export interface PgbenchRun {
  readonly protocol: "simple" | "prepared";
  readonly clients: number;
  /** How long, or how many transactions each client makes. */
  readonly until: { readonly seconds: number } | { readonly transactions: number };
  /** A new connection for every transaction. */
  readonly connectsEachTime?: boolean;
}

/** By whom and where pgbench is let in. */
export type PgbenchEntrance = Pick<Entrance, "port" | "programs" | "credentials"> & {
  readonly name: string;
  readonly transport: Transport;
};

/** What libpq needs to know, and nothing besides. */
export function libpqEnvironment(
  { port, transport, credentials }: Pick<PgbenchEntrance, "port" | "transport" | "credentials">,
): Record<string, string> {
  return {
    PGHOST: "127.0.0.1",
    PGPORT: String(port),
    PGDATABASE: DATABASE,
    PGUSER: credentials.user,
    PGPASSWORD: credentials.password,
    PGSSLMODE: transport === "plain" ? "disable" : "require",
    ...(transport === "sslnegotiation=direct" && { PGSSLNEGOTIATION: "direct" }),
    PGGSSENCMODE: "disable",
    PATH: "/usr/bin:/bin",
    HOME: "/nonexistent",
    LC_ALL: "C.UTF-8",
    ...credentials.environment,
  };
}

const LOG_PREFIX = "transactions";

/** Runs pgbench's built-in select-only script through a contender. */
export async function pgbench(
  stage: Stage,
  entrance: PgbenchEntrance,
  run: PgbenchRun,
): Promise<PgbenchResult> {
  const isTimed = run.clients === 1 && !run.connectsEachTime;
  const logPrefix = isTimed ? LOG_PREFIX : undefined;
  const postmaster = await postmasterOf(stage);
  const backends = await countChildren(postmaster);
  const before = await used(postmaster, entrance);
  const startedMs = performance.now();
  const text = textOf(entrance, await pgbenchCommand(stage, entrance, { ...run, logPrefix }).output());
  const elapsedMicros = (performance.now() - startedMs) * 1000;
  await untilBackendsEnd(postmaster, backends);
  const after = await used(postmaster, entrance);
  return resultOf(entrance, {
    text,
    tps: Number(/^tps = ([\d.]+)/m.exec(text)![1]),
    used: differenceOf(before, after),
    elapsedMicros,
    latency: isTimed ? latencyIn(await takeLog(stage, LOG_PREFIX)) : undefined,
  });
}

/** Runs pgbench at one client, and tells of every single transaction. */
export async function logTransactions(
  stage: Stage,
  entrance: PgbenchEntrance,
  { seconds }: { seconds: number },
): Promise<LoggedTransaction[]> {
  const command = pgbenchCommand(stage, entrance, {
    protocol: "prepared",
    clients: 1,
    until: { seconds },
    logPrefix: LOG_PREFIX,
  });
  textOf(entrance, await command.output());
  return await takeLog(stage, LOG_PREFIX);
}

/** pgbench, ready to run; with `logPrefix` it logs each transaction, for {@link takeLog}. */
export function pgbenchCommand(
  { toolbox, directory }: Stage,
  entrance: PgbenchEntrance,
  { protocol, clients, until, connectsEachTime, logPrefix }: PgbenchRun & { readonly logPrefix?: string },
): Deno.Command {
  return new Deno.Command(toolbox.get("pgbench")!, {
    args: [
      "--no-vacuum",
      "--select-only",
      `--protocol=${protocol}`,
      `--client=${clients}`,
      // A thread connects by libpq's blocking call: of several clients of a thread, one at a time would log in.
      `--jobs=${connectsEachTime ? clients : 1}`,
      "seconds" in until ? `--time=${until.seconds}` : `--transactions=${until.transactions}`,
      ...(connectsEachTime ? ["--connect"] : []),
      ...(logPrefix === undefined ? [] : ["--log", `--log-prefix=${directory}/${logPrefix}`]),
      ...(entrance.credentials.conninfo === undefined ? [] : [entrance.credentials.conninfo]),
    ],
    env: libpqEnvironment(entrance),
    clearEnv: true,
    stdin: "null",
    stdout: "piped",
    stderr: "piped",
  });
}

/**
 * What pgbench has printed.
 *
 * @throws {Error} when it has failed
 */
export function textOf(
  { name }: Pick<PgbenchEntrance, "name">,
  { success, stdout, stderr }: Deno.CommandOutput,
): string {
  const text = new TextDecoder().decode(stdout);
  if (success) return text;
  throw new Error(`pgbench failed through ${name}: ${text}${new TextDecoder().decode(stderr)}`);
}

/** A backend's time is its postmaster's to know once it has ended, which it does a moment after its client. */
async function untilBackendsEnd(postmaster: number, before: number): Promise<void> {
  const haveEnded = async () => await countChildren(postmaster) <= before;
  await waitUntil(haveEnded, { what: "the backends of pgbench to end", intervalMs: 5 });
}

async function postmasterOf({ cluster }: Stage): Promise<number> {
  const [pid] = (await Deno.readTextFile(`${cluster.dataDirectory}/postmaster.pid`)).split("\n");
  return Number(pid);
}

async function used(postmaster: number, { programs }: PgbenchEntrance): Promise<Used> {
  const [machine, client, postgres, program] = await Promise.all([
    busyMicros(),
    endedChildrenMicros("self"),
    endedChildrenMicros(postmaster),
    usageOf(programs),
  ]);
  return { machine, client, postgres, program: program.cpuMicros };
}
