import * as v from "valibot";
import { duration } from "../duration.ts";
import { MOST_WORKERS } from "../workers/worker_count.ts";

const WORKERS =
  `must be a whole number from 1 to ${MOST_WORKERS}, or "auto": as many as this machine has cores`;

/** The table `[service]`: how many threads carry connections, how the program ends, and when it loads its configuration anew. */
export const serviceSchema = v.strictObject({
  /** How long busy sessions may take to become idle when the program is to end, in milliseconds. */
  grace_period: v.optional(duration({ maxMs: 86_400_000 }), "30s"),
  /** How long connections are still accepted then, for a load balancer that has yet to look, in milliseconds. */
  drain_delay: v.optional(duration({ maxMs: 3_600_000 }), "0s"),
  /** How often the configuration is loaded anew, in milliseconds; 0: only when asked. */
  refresh: v.optional(
    v.pipe(
      duration(),
      v.check(
        (ms) => ms === 0 || ms >= 1_000,
        'must be at least 1s, or "0": then it is loaded anew only when asked',
      ),
    ),
    "24h",
  ),
  /** How many event loops carry connections, each in a thread of its own if there are several; `auto`: as many as cores, up to the most. */
  workers: v.optional(
    v.union(
      [v.literal("auto"), v.pipe(v.number(), v.integer(), v.minValue(1), v.maxValue(MOST_WORKERS))],
      WORKERS,
    ),
    1,
  ),
  /** Whether the files that the configuration is made of are watched. */
  watch: v.optional(v.boolean("must be true or false"), false),
});

/** The table `[service]` as read. */
export type ServiceSettings = v.InferOutput<typeof serviceSchema>;
