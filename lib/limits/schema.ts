// The room `limits/`: how much one may ask.
// In: who asks, and whose logins fail. Out: nothing, a moment's wait, or a refusal for a while.
// Chapter: https://www.postgresql.org/docs/18/errcodes-appendix.html, class 53, insufficient resources

import * as v from "valibot";
import { duration } from "../duration.ts";

const COUNT_MESSAGE = "must be a whole number from 0 to 1000000; 0 turns the limit off";

const count = v.pipe(
  v.number(COUNT_MESSAGE),
  v.integer(COUNT_MESSAGE),
  v.minValue(0, COUNT_MESSAGE),
  v.maxValue(1_000_000, COUNT_MESSAGE),
);

/** The table `[limits]`: how often a client may err, or ask, before it has to wait. */
export const limitsSchema = v.strictObject({
  failed_logins: v.optional(count, 10),
  failed_logins_window: v.optional(duration({ minMs: 1000 }), "5m"),
  failed_logins_refused_for: v.optional(duration({ minMs: 1000 }), "1m"),
  discoveries_per_minute: v.optional(count, 600),
});

/** The table `[limits]` as read. */
export type LimitsSettings = v.InferOutput<typeof limitsSchema>;
