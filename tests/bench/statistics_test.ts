import assert from "node:assert/strict";
import {
  differencesByRound,
  median,
  quantile,
  quantileOfTime,
  ratiosByRound,
  spreadOf,
} from "./statistics.ts";

Deno.test("median() of an odd number of values is the one in the middle", () => {
  assert.equal(median([9, 1, 5]), 5);
});

Deno.test("median() of an even number of values lies between the two in the middle", () => {
  assert.equal(median([10, 1, 2, 100]), 6);
});

Deno.test("quantile() of the 99th percentile lies below the greatest value", () => {
  assert.equal(quantile(Array.from({ length: 101 }, (_, value) => value), 0.99), 99);
});

Deno.test("quantileOfTime() counts a wait for as long as it took", () => {
  const waits = [...Array.from({ length: 1000 }, () => 1), 1500];
  assert.equal(quantileOfTime(waits, 0.3), 1);
  assert.equal(quantileOfTime(waits, 0.5), 1500);
});

Deno.test("spreadOf() knows the least and the most", () => {
  assert.deepEqual(spreadOf([3, 1, 2]), { median: 2, least: 1, most: 3 });
});

Deno.test("ratiosByRound() compares what was measured in the same round", () => {
  // The machine was half as fast in the second round: the ratio does not change.
  assert.deepEqual(ratiosByRound([30, 60], [20, 40]), [1.5, 1.5]);
});

Deno.test("differencesByRound() compares what was measured in the same round", () => {
  assert.deepEqual(differencesByRound([160, 260], [100, 200]), [60, 60]);
});

Deno.test("ratiosByRound() refuses rounds that one of both has missed", () => {
  assert.throws(() => ratiosByRound([1, 2], [1]));
});
