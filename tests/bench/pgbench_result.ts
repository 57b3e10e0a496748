import type { Running } from "./contender.ts";
import type { Latency } from "./pgbench_log.ts";

/** What one run gave; each time in microseconds. */
export interface PgbenchResult {
  /** A second. */
  readonly tps: number;
  readonly transactions: number;
  /** Of the contender, for each transaction; undefined where there is none. */
  readonly cpuMicros: number | undefined;
  /** Of pgbench, for each transaction. */
  readonly clientMicros: number;
  /** Of the backends of PostgreSQL that served it, for each transaction. */
  readonly postgresMicros: number;
  /** Of everything else on this machine: what is not to be there. */
  readonly othersMicros: number;
  /** How many cores were busy. */
  readonly busyCores: number;
  /** What a transaction took, where there was one client. */
  readonly latency?: Latency;
}

/** Microseconds of processor time. */
export interface Used {
  readonly machine: number;
  readonly client: number;
  readonly postgres: number;
  readonly program: number;
}

/** What was used between two looks. */
export function differenceOf(before: Used, after: Used): Used {
  return {
    machine: after.machine - before.machine,
    client: after.client - before.client,
    postgres: after.postgres - before.postgres,
    program: after.program - before.program,
  };
}

/**
 * What a run gave, by what pgbench has printed and what was used meanwhile.
 *
 * @throws {Error} when pgbench has done nothing
 */
export function resultOf(
  { name, programs }: Pick<Running, "name" | "programs">,
  { text, tps, used, elapsedMicros, latency }: {
    readonly text: string;
    /** Default: as many as there were in that time. */
    readonly tps?: number;
    readonly used: Used;
    readonly elapsedMicros: number;
    readonly latency?: Latency;
  },
): PgbenchResult {
  const transactions = Number(/actually processed: (\d+)/.exec(text)?.[1] ?? 0);
  if (transactions === 0) throw new Error(`pgbench did nothing through ${name}: ${text}`);
  const { machine, client, postgres, program } = used;
  return {
    tps: tps ?? transactions / (elapsedMicros / 1e6),
    transactions,
    cpuMicros: programs.length === 0 ? undefined : program / transactions,
    clientMicros: client / transactions,
    postgresMicros: postgres / transactions,
    othersMicros: (machine - program - client - postgres) / transactions,
    busyCores: machine / elapsedMicros,
    latency,
  };
}
