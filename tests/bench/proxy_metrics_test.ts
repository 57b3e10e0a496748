import assert from "node:assert/strict";
import { mostLag, type ProxyMetrics } from "./proxy_metrics.ts";

/** Of a histogram, how often the event loop was late by no more than 10, 100 and any number of milliseconds. */
function metrics(counts: readonly [number, number, number]): ProxyMetrics {
  const bounds = [0.01, 0.1, Infinity];
  return {
    residentBytes: 0,
    heapBytes: 0,
    lagBuckets: new Map(bounds.map((bound, at) => [bound, counts[at]])),
  };
}

Deno.test("mostLag() is the least bound that held every time", () => {
  assert.equal(mostLag(metrics([5, 5, 5]), metrics([7, 8, 8])), 0.1);
});

Deno.test("mostLag() does not count what was before", () => {
  assert.equal(mostLag(metrics([5, 5, 6]), metrics([7, 7, 8])), 0.01);
});

Deno.test("mostLag() is not known when nobody has looked", () => {
  assert.equal(mostLag(metrics([5, 5, 5]), metrics([5, 5, 5])), undefined);
});
