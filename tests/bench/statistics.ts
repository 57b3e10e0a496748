/** The middle of values, and how far they lie apart. */
export interface Spread {
  readonly median: number;
  readonly least: number;
  readonly most: number;
}

/** The middle of the values; of an even number, the mean of the two in the middle. */
export function median(values: readonly number[]): number {
  return quantile(values, 0.5);
}

/** The value below which the share `q` of all values lies. */
export function quantile(values: readonly number[], q: number): number {
  const sorted = values.toSorted((a, b) => a - b);
  const place = (sorted.length - 1) * q;
  const [below, above] = [sorted[Math.floor(place)], sorted[Math.ceil(place)]];
  return below + (above - below) * (place - Math.floor(place));
}

/**
 * The value that is not exceeded at the share `q` of all moments, where values are the lengths of what came one after another.
 * Of a thousand short waits and one that took as long as all of them together, half of all moments were in the long one,
 * which by number is one of a thousand.
 */
export function quantileOfTime(durations: readonly number[], q: number): number {
  const sorted = durations.toSorted((a, b) => a - b);
  const total = sorted.reduce((sum, duration) => sum + duration, 0);
  let passed = 0;
  return sorted.find((duration) => (passed += duration) >= q * total) ?? NaN;
}

/** The middle of the values, the least and the most. */
export function spreadOf(values: readonly number[]): Spread {
  return { median: median(values), least: Math.min(...values), most: Math.max(...values) };
}

/**
 * How many times the other each value is, round by round. What a machine does besides is the same for both of a round, a
 * few seconds apart, and falls out of their ratio; it would stay in the ratio of two medians, which may be of two rounds.
 */
export function ratiosByRound(values: readonly number[], others: readonly number[]): number[] {
  return byRound(values, others).map(([value, other]) => value / other);
}

/** By how much each value is more than the other, round by round. */
export function differencesByRound(values: readonly number[], others: readonly number[]): number[] {
  return byRound(values, others).map(([value, other]) => value - other);
}

function byRound(values: readonly number[], others: readonly number[]): [number, number][] {
  if (values.length !== others.length) throw new Error("What is compared has not been in the same rounds");
  return values.map((value, round) => [value, others[round]]);
}
