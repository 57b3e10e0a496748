import type { Running } from "./contender.ts";

/** How much is measured. */
export interface Effort {
  readonly rounds: number;
  /** Of each run of pgbench. */
  readonly seconds: number;
  /** Idle sessions to open. */
  readonly sessions: number;
}

/** What a contender gave, round by round. */
export interface Series<T> {
  readonly running: Running;
  readonly results: readonly T[];
}

/**
 * Measures contenders in turn, round after round: what else the machine does then falls on all of them alike. A run that
 * is not counted comes first, which warms up PostgreSQL's caches and the compilers.
 */
export async function inRounds<T>(
  all: readonly Running[],
  { rounds, warmUp, run }: {
    rounds: number;
    warmUp?: (running: Running) => Promise<unknown>;
    run: (running: Running) => Promise<T>;
  },
): Promise<Series<T>[]> {
  const series = all.map((running) => ({ running, results: [] as T[] }));
  if (warmUp !== undefined) { for (const running of all) await warmUp(running); }
  for (let round = 0; round < rounds; round++) {
    for (const { running, results } of series) results.push(await run(running));
  }
  return series;
}

/** The series of the contender with this name. */
export function named<T>(series: readonly Series<T>[], name: string): readonly T[] | undefined {
  return series.find(({ running }) => running.name === name)?.results;
}
