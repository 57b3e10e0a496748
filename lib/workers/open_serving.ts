import { Alone, type Surroundings } from "./alone.ts";
import { Crew } from "./crew.ts";
import type { StartThread } from "./member.ts";
import type { Served, Serving } from "./serving.ts";
import { workerCount } from "./worker_count.ts";

/**
 * Begins to serve: in this thread, or in as many as the configuration wants besides it.
 *
 * @throws {CannotServe} when it cannot be served
 */
export function openServing(
  served: Served,
  { startThread, ...surroundings }: Surroundings & { readonly startThread: StartThread },
): Promise<Serving> {
  const count = workerCount(served.configuration.service.workers, navigator.hardwareConcurrency);
  return count === 1
    ? Alone.open(served, surroundings)
    : Crew.open(served, { ...surroundings, startThread, workers: count });
}
