import type { DrainOptions } from "../proxy.ts";
import type { After } from "../timers.ts";
import { answerOf } from "./line.ts";
import type { Member } from "./member.ts";

/** How much longer than its sessions a worker itself may take, in milliseconds: half of it goes to their last words. */
const LATE_MS = 5_000;

/**
 * Drains each of them, as {@link Proxy.drain}. One that says nothing when its time is up is given up: it must not keep those
 * waiting who end the program.
 *
 * @returns how many sessions were cut off
 */
export async function drainMembers(
  members: readonly Member[],
  { graceMs, delayMs, signal, after }: DrainOptions & { readonly after: After },
): Promise<number> {
  const awaited = new Set(members);
  const giveUp = () => {
    for (const member of awaited) member.lose("it did not end in time", { isStuck: true });
  };
  let stop = after(delayMs + graceMs + LATE_MS, giveUp);
  const hurry = () => {
    for (const { line } of members) line.tell("hurry", null);
    stop();
    stop = after(LATE_MS, giveUp);
  };
  if (signal?.aborted) hurry();
  signal?.addEventListener("abort", hurry, { once: true });
  const cuts = await Promise.all(members.map(async (member) => {
    const drained = await answerOf(member.line.ask("drain", { graceMs, delayMs }));
    awaited.delete(member);
    return drained?.cut ?? member.sessionCount;
  }));
  stop();
  signal?.removeEventListener("abort", hurry);
  return cuts.reduce((sum, cut) => sum + cut, 0);
}
