import * as v from "valibot";

const MILLISECONDS = { ms: 1, s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000 } as const;

/** A span of time as the configuration writes it (`"500ms"`, `"30s"`, `"24h"`), in milliseconds; undefined if it is not one. */
export function parseDuration(text: string): number | undefined {
  const parts = /^(0|[1-9][0-9]{0,9})(ms|s|m|h|d)$/.exec(text);
  if (parts !== null) return Number(parts[1]) * MILLISECONDS[parts[2] as keyof typeof MILLISECONDS];
  return text === "0" ? 0 : undefined;
}

/** Milliseconds as the configuration writes them, in the largest unit that divides them. */
export function formatDuration(milliseconds: number): string {
  for (const unit of ["d", "h", "m", "s"] as const) {
    const size = MILLISECONDS[unit];
    if (milliseconds >= size && milliseconds % size === 0) return `${milliseconds / size}${unit}`;
  }
  return `${milliseconds}ms`;
}

/** Limits of a {@link duration}, in milliseconds. */
export interface DurationLimits {
  /** Default 0: zero is a duration, and what it means (off, at once) is the key's own business. */
  readonly minMs?: number;
  /** Default 24 days, the longest a timer can wait. */
  readonly maxMs?: number;
}

// A longer setTimeout fires at once: 2^31 - 1 ms is a little under 25 days.
const LONGEST_TIMER_MS = 24 * MILLISECONDS.d;

/** Schema of a duration: text in, milliseconds out. */
export function duration({ minMs = 0, maxMs = LONGEST_TIMER_MS }: DurationLimits = {}) {
  return v.pipe(
    v.string('must be a duration in quotes, such as "30s", "5m", "24h" or "500ms"'),
    v.rawTransform<string, number>(({ dataset, addIssue, NEVER }) => {
      const milliseconds = parseDuration(dataset.value);
      if (milliseconds === undefined) {
        addIssue({ message: 'must be a duration, such as "30s", "5m", "24h" or "500ms"' });
        return NEVER;
      }
      if (milliseconds < minMs || milliseconds > maxMs) {
        addIssue({ message: `must be between ${formatDuration(minMs)} and ${formatDuration(maxMs)}` });
        return NEVER;
      }
      return milliseconds;
    }),
  );
}
