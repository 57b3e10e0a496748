import assert from "node:assert/strict";
import { Breaker, FAILURES_TO_OPEN, OPEN_FOR_MS } from "../../../lib/token/introspection/breaker.ts";

function scene() {
  let nowMs = 1_000_000;
  const breaker = new Breaker(() => nowMs);
  return {
    breaker,
    pass: (ms: number) => void (nowMs += ms),
    fail: (times: number) => Array.from({ length: times }, () => breaker.failed()),
  };
}

/** One that has just opened. */
function opened() {
  const made = scene();
  made.fail(FAILURES_TO_OPEN);
  return made;
}

Deno.test("Breaker admits everyone while there are answers", () => {
  const { breaker } = scene();
  for (let round = 0; round < 100; round++) {
    assert.equal(breaker.admits(), true);
    assert.equal(breaker.succeeded(), false);
  }
});

Deno.test("Breaker opens at the last of some failures in a row, and tells so once", () => {
  const { breaker, fail } = scene();
  const expected = [...Array.from({ length: FAILURES_TO_OPEN - 1 }, () => false), true, false];
  assert.deepEqual(fail(FAILURES_TO_OPEN + 1), expected);
  assert.deepEqual([breaker.admits(), breaker.refuses], [false, true]);
});

Deno.test("Breaker counts failures in a row only", () => {
  const { breaker, fail } = scene();
  for (let round = 0; round < 10; round++) {
    fail(FAILURES_TO_OPEN - 1);
    breaker.succeeded();
  }
  assert.equal(breaker.admits(), true);
});

Deno.test("Breaker that is open admits nobody until its time is over, and then one in each period", () => {
  const { breaker, pass } = opened();
  pass(OPEN_FOR_MS - 1);
  assert.equal(breaker.admits(), false);
  pass(1);
  assert.deepEqual([breaker.admits(), breaker.admits(), breaker.refuses], [true, false, true]);
  pass(OPEN_FOR_MS);
  assert.deepEqual([breaker.admits(), breaker.admits()], [true, false]);
});

Deno.test("Breaker stays open when the trial fails", () => {
  const { breaker, pass } = opened();
  pass(OPEN_FOR_MS);
  breaker.admits();
  assert.equal(breaker.failed(), false);
  assert.equal(breaker.admits(), false);
});

Deno.test("Breaker closes when the trial succeeds, tells so once, and counts from the beginning", () => {
  const { breaker, pass, fail } = opened();
  pass(OPEN_FOR_MS);
  breaker.admits();
  assert.deepEqual([breaker.succeeded(), breaker.succeeded()], [true, false]);
  fail(FAILURES_TO_OPEN - 1);
  assert.deepEqual([breaker.admits(), breaker.admits()], [true, true]);
});

Deno.test("Breaker lets one try when the clock was set back", () => {
  const { breaker, pass } = opened();
  pass(-3_600_000);
  assert.deepEqual([breaker.admits(), breaker.admits()], [true, false]);
});
