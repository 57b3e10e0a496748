// The room `limits/`: how much one may ask.
// In: who asks, whose logins fail, and who is connected. Out: nothing, a moment's wait, or a refusal.
// Chapter: https://www.postgresql.org/docs/18/errcodes-appendix.html, class 53, insufficient resources

import * as v from "valibot";
import { connectionMaximum } from "../connection_maximum.ts";
import { duration } from "../duration.ts";
import { issueOf, Mistake } from "../mistake.ts";
import { type Network, parseNetwork } from "../network.ts";

const MOST = 1_000_000;
const COUNT_MESSAGE = `must be a whole number from 0 to ${MOST}; 0 turns the limit off`;

const count = v.pipe(
  v.number(COUNT_MESSAGE),
  v.integer(COUNT_MESSAGE),
  v.minValue(0, COUNT_MESSAGE),
  v.maxValue(MOST, COUNT_MESSAGE),
);

/** How many connections the clients of one network may have together. */
export interface NetworkLimit {
  readonly network: Network;
  /** As the configuration has it. */
  readonly text: string;
  readonly max: number;
}

const networkLimits = v.pipe(
  v.record(v.string(), connectionMaximum, 'must be a table of networks, such as { "10.0.0.0/8" = 100 }'),
  v.rawTransform<Record<string, number>, readonly NetworkLimit[]>(({ dataset, addIssue, NEVER }) => {
    const input = dataset.value;
    const limits: NetworkLimit[] = [];
    for (const [text, max] of Object.entries(input)) {
      try {
        limits.push({ network: parseNetwork(text), text, max });
      } catch (thrown) {
        if (!(thrown instanceof Mistake)) throw thrown;
        addIssue(issueOf(input, { key: text, message: thrown.message }));
      }
    }
    return limits.length === Object.keys(input).length ? limits : NEVER;
  }),
);

/** The table `[limits]`: how many may be connected, and how often a client may err, or ask, before it has to wait. */
export const limitsSchema = v.strictObject({
  connections: v.optional(count, 0),
  connections_per_address: v.optional(count, 0),
  connections_per_identity: v.optional(count, 0),
  connections_per_network: v.optional(networkLimits, {}),
  unauthenticated: v.optional(count, 1000),
  unauthenticated_per_address: v.optional(count, 100),
  judged_per_address: v.optional(count, 4),
  failed_logins: v.optional(count, 10),
  failed_logins_window: v.optional(duration({ minMs: 1000 }), "5m"),
  failed_logins_refused_for: v.optional(duration({ minMs: 1000 }), "1m"),
  discoveries_per_minute: v.optional(count, 600),
});

/** The table `[limits]` as read. */
export type LimitsSettings = v.InferOutput<typeof limitsSchema>;
