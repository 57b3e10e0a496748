import assert from "node:assert/strict";
import { LimitHits } from "../../lib/limits/limit_hits.ts";
import { Clock } from "./settings.ts";

Deno.test("LimitHits.next() is news once a minute, with how many were passed over", () => {
  const clock = new Clock();
  const hits = new LimitHits(clock.now);
  const next = () => {
    clock.advance(20_000);
    const { isNews, passedOver } = hits.next("unauthenticated");
    return [isNews, passedOver];
  };
  assert.deepEqual([next(), next(), next(), next(), next()], [
    [true, 0],
    [false, 1],
    [false, 2],
    [true, 2],
    [false, 1],
  ]);
});

Deno.test("LimitHits.next() tells each limit apart", () => {
  const hits = new LimitHits(new Clock().now);
  hits.next("unauthenticated");
  assert.equal(hits.next("unauthenticated_per_address").isNews, true);
});

Deno.test("LimitHits.next() is news when the clock was set back", () => {
  const clock = new Clock();
  const hits = new LimitHits(clock.now);
  hits.next("unauthenticated");
  clock.advance(-3_600_000);
  assert.equal(hits.next("unauthenticated").isNews, true);
});
