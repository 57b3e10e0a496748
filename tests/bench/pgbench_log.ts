import type { Stage } from "./stage.ts";
import { quantile } from "./statistics.ts";

/** A transaction in pgbench's log. */
export interface LoggedTransaction {
  /** Milliseconds since 1970. */
  readonly endedMs: number;
  readonly micros: number;
}

/** What transactions took. */
export interface Latency {
  readonly medianMicros: number;
  readonly p99Micros: number;
}

/** Reads and removes what `--log` has written: a line a transaction, its time the third field, its end two others. */
export async function takeLog({ directory }: Stage, logPrefix: string): Promise<LoggedTransaction[]> {
  const transactions: LoggedTransaction[] = [];
  for await (const { name } of Deno.readDir(directory)) {
    if (!name.startsWith(`${logPrefix}.`)) continue;
    const path = `${directory}/${name}`;
    for (const line of (await Deno.readTextFile(path)).split("\n")) {
      if (line === "") continue;
      const [, , micros, , seconds, remainder] = line.split(" ").map(Number);
      transactions.push({ micros, endedMs: seconds * 1000 + remainder / 1000 });
    }
    await Deno.remove(path);
  }
  return transactions;
}

/** What a transaction took, of all in a log. */
export function latencyIn(log: readonly LoggedTransaction[]): Latency {
  const latencies = log.map(({ micros }) => micros);
  return { medianMicros: quantile(latencies, 0.5), p99Micros: quantile(latencies, 0.99) };
}
