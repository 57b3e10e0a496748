import assert from "node:assert/strict";
import { sleepersTimes, usedBetween } from "./machine.ts";

Deno.test("usedBetween() adds up what threads have used, be they new, and leaves out those that have ended", () => {
  const before = new Map([["1", 10], ["2", 500]]);
  const after = new Map([["1", 15], ["3", 7]]);
  assert.equal(usedBetween(before, after), 12);
});

Deno.test("sleepersTimes() tells of every thread of a process what it has used", () => {
  const before = sleepersTimes([Deno.pid]);
  assert(before.has(String(Deno.pid)));
  assert(before.size > 1);
  for (const untilMs = performance.now() + 50; performance.now() < untilMs;);
  const used = usedBetween(before, sleepersTimes([Deno.pid]));
  assert(used > 0);
});
