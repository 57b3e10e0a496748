import assert from "node:assert/strict";
import { atOnce, inTurns, type LongWork } from "../lib/long_work.ts";

/** Each step takes a millisecond by this clock. */
function* workOf(steps: number, clock: { ms: number }): LongWork<string> {
  for (let step = 0; step < steps; step++) {
    clock.ms += 1;
    yield;
  }
  return `${steps} steps`;
}

Deno.test("inTurns() gives at once what one turn is enough for", () => {
  const clock = { ms: 0 };
  assert.equal(inTurns(workOf(1, clock), { now: () => clock.ms }), "1 steps");
});

Deno.test("inTurns() lets others have their turn after every two milliseconds", async () => {
  const clock = { ms: 0 };
  const pausedAtMs: number[] = [];
  const pause = () => Promise.resolve(void pausedAtMs.push(clock.ms));
  assert.equal(await inTurns(workOf(7, clock), { now: () => clock.ms, pause }), "7 steps");
  assert.deepEqual(pausedAtMs, [2, 4, 6]);
});

Deno.test("inTurns() has others wait for one work at a time", async () => {
  const clock = { ms: 0 };
  const turns: string[] = [];
  function* named(name: string): LongWork<void> {
    for (let step = 0; step < 3; step++) {
      turns.push(name);
      clock.ms += 2;
      yield;
    }
  }
  const now = () => clock.ms;
  const works = [inTurns(named("one"), { now }), inTurns(named("other"), { now })];
  let isDone = false;
  const all = Promise.all(works).then(() => isDone = true);
  while (!isDone) {
    await new Promise<void>((resolve) => void setTimeout(resolve, 0));
    turns.push("-");
  }
  await all;
  assert.match(
    turns.join(" "),
    /^one other( -)* one(( -)+ (one|other)){3}( -)+$/,
    "never two in one turn of the event loop",
  );
});

Deno.test("inTurns() rejects with what the work throws", async () => {
  const clock = { ms: 0 };
  function* failing(): LongWork<void> {
    yield* workOf(3, clock);
    throw new Error("in the middle");
  }
  await assert.rejects(async () => await inTurns(failing(), { now: () => clock.ms }), /in the middle/);
});

Deno.test("atOnce() lets nobody come in between", () => {
  assert.equal(atOnce(workOf(1000, { ms: 0 })), "1000 steps");
});
