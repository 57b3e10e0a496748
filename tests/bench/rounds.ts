import type { Running } from "./contender.ts";

/** How much is measured. */
export interface Effort {
  readonly rounds: number;
  /** Of each run of pgbench; where it has turns, of all that it has in a round. */
  readonly seconds: number;
  /** How many idle sessions there are, from few to many. */
  readonly sessions: readonly number[];
  /** How many logins follow one another where growth is looked for. */
  readonly logins: number;
  /** How many log in at once in a storm. */
  readonly storm: number;
}

/** What is known of a contender, whether it runs or not. */
type Runner = Pick<Running, "name" | "kind" | "loops">;

/** What a contender gave, round by round. */
export interface Series<T> {
  readonly running: Runner;
  readonly results: readonly T[];
}

/**
 * Measures contenders in turn, round after round, and each round begins with another one: what else the machine does then,
 * and what the one before leaves behind, falls on all of them alike. A run that is not counted comes first, which warms up
 * PostgreSQL's caches and the compilers.
 */
export async function inRounds<C extends Runner, T>(
  all: readonly C[],
  { rounds, warmUp, run }: {
    rounds: number;
    warmUp?: (running: C) => Promise<unknown>;
    run: (running: C, round: number) => Promise<T>;
  },
): Promise<Series<T>[]> {
  const series = all.map((running) => ({ running, results: [] as T[] }));
  if (warmUp !== undefined) { for (const running of all) await warmUp(running); }
  for (let round = 0; round < rounds; round++) {
    for (const { running, results } of rotated(series, round)) results.push(await run(running, round));
  }
  return series;
}

/** The same in a circle, from the one that has the turn to begin. */
export function rotated<T>(all: readonly T[], turn: number): T[] {
  const first = turn % all.length;
  return [...all.slice(first), ...all.slice(0, first)];
}

/** All of them in an order of chance. */
export function shuffled<T>(all: readonly T[]): T[] {
  return all.map((one) => ({ one, lot: Math.random() })).toSorted((a, b) => a.lot - b.lot).map(({ one }) =>
    one
  );
}

/** What the contender with this name gave. */
export function named<T>(series: readonly Series<T>[], name: string): readonly T[] | undefined {
  return series.find(({ running }) => running.name === name)?.results;
}
