// The program's worker, for which time passes faster than for the main thread: what takes minutes is over in a second.
import type { Port } from "../../lib/workers/line.ts";
import type { StartThread } from "../../lib/workers/member.ts";
import { work } from "../../lib/workers/work.ts";

/** So many times as fast. */
export const HASTE = 60;

/** Starts such a thread. */
export const startHastyWorker: StartThread = (name) => new Worker(import.meta.url, { type: "module", name });

if ("WorkerGlobalScope" in globalThis) {
  const { now } = Date;
  const begunMs = now();
  Date.now = () => begunMs + HASTE * (now() - begunMs);
  const setSlowly = globalThis.setTimeout;
  globalThis.setTimeout = ((act: () => void, ms = 0) => setSlowly(act, ms / HASTE)) as typeof setTimeout;
  work(globalThis as unknown as Port);
}
