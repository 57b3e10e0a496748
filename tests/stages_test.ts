import assert from "node:assert/strict";
import { Stages } from "../lib/stages.ts";
import { ManualClock } from "./support/manual_clock.ts";

Deno.test("Stages tells when each stage began and how long it took", async () => {
  const clock = new ManualClock();
  const stages = new Stages(clock.now);
  clock.advance(5);
  const result = await stages.time("tls", () => {
    clock.advance(7);
    return Promise.resolve("secure");
  });
  assert.equal(result, "secure");
  assert.deepEqual(stages.over, [{ name: "tls", startedMs: 5, durationMs: 7 }]);
});

Deno.test.each<[string, () => Promise<never>]>([
  ["rejects", () => Promise.reject(new Error("no"))],
  ["throws", () => {
    throw new Error("no");
  }],
])("Stages counts a stage that %s, and hands that on", async (_how, fail) => {
  const clock = new ManualClock();
  const stages = new Stages(clock.now);
  await assert.rejects(
    stages.time("token", () => {
      clock.advance(3);
      return fail();
    }),
    /^Error: no$/,
  );
  assert.deepEqual(stages.over, [{ name: "token", startedMs: 0, durationMs: 3 }]);
});
