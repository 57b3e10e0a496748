import assert from "node:assert/strict";
import { EventLoopWatch } from "../../lib/observe/event_loop_watch.ts";
import { ManualClock } from "../support/manual_clock.ts";

Deno.test("EventLoopWatch tells twice a second by how much it was late", () => {
  const clock = new ManualClock();
  const lags: number[] = [];
  let stolenMs = 0;
  using _watch = new EventLoopWatch((seconds) => lags.push(seconds), {
    now: () => clock.now() + stolenMs,
    after: clock.after,
  });
  clock.advance(500);
  stolenMs = 250;
  clock.advance(500);
  clock.advance(500);
  assert.deepEqual(lags, [0, 0.25, 0]);
});

Deno.test("EventLoopWatch is never early, even when timers are", () => {
  const clock = new ManualClock();
  const lags: number[] = [];
  let earlyMs = 0;
  using _watch = new EventLoopWatch((seconds) => lags.push(seconds), {
    now: () => clock.now() - earlyMs,
    after: clock.after,
  });
  earlyMs = 1;
  clock.advance(500);
  assert.deepEqual(lags, [0]);
});

Deno.test("EventLoopWatch stops when it is disposed of", () => {
  const clock = new ManualClock();
  const watch = new EventLoopWatch(() => assert.fail("it goes on"), clock);
  watch[Symbol.dispose]();
  assert.equal(clock.timerCount, 0);
  clock.advance(1000);
});
