import { parse } from "valibot";
import { limitsSchema, type LimitsSettings } from "../../lib/limits/schema.ts";

/** The defaults, but for what is given. */
export function limits(given: Partial<LimitsSettings> = {}): LimitsSettings {
  return { ...parse(limitsSchema, {}), ...given };
}

/** A clock that stands still until it is set. */
export class Clock {
  nowMs = 1_000_000;
  readonly now = () => this.nowMs;

  /** Goes on by so many milliseconds, or back. */
  advance(ms: number): void {
    this.nowMs += ms;
  }
}
