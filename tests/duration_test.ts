import assert from "node:assert/strict";
import fc from "fast-check";
import * as v from "valibot";
import { duration, formatDuration, parseDuration } from "../lib/duration.ts";

Deno.test.each([
  ["500ms", 500],
  ["30s", 30_000],
  ["5m", 300_000],
  ["24h", 86_400_000],
  ["2d", 172_800_000],
  ["0", 0],
  ["0s", 0],
])("parseDuration() reads %s", (text: string, milliseconds: number) => {
  assert.equal(parseDuration(text), milliseconds);
});

Deno.test.each([
  "",
  "30",
  "s",
  "-1s",
  "1.5s",
  "1 s",
  " 1s",
  "1s\n",
  "01s",
  "1S",
  "1h30m",
  "1e3s",
  "99999999999s",
])(
  "parseDuration() refuses %j",
  (text: string) => assert.equal(parseDuration(text), undefined),
);

Deno.test("formatDuration() is undone by parseDuration()", () => {
  fc.assert(fc.property(fc.integer({ min: 0, max: 24 * 86_400_000 }), (milliseconds) => {
    assert.equal(parseDuration(formatDuration(milliseconds)), milliseconds);
  }));
});

Deno.test.each([
  [30, 'must be a duration in quotes, such as "30s", "5m", "24h" or "500ms"'],
  ["soon", 'must be a duration, such as "30s", "5m", "24h" or "500ms"'],
  ["1ms", "must be between 1s and 1m"],
  ["61s", "must be between 1s and 1m"],
])("duration() says of %j what is wrong", (input: string | number, message: string) => {
  const result = v.safeParse(duration({ minMs: 1_000, maxMs: 60_000 }), input);
  assert.deepEqual(result.issues?.map((issue) => issue.message), [message]);
});

Deno.test("duration() refuses what a timer cannot wait", () => {
  assert.equal(v.safeParse(duration(), "25d").success, false);
  assert.equal(v.parse(duration(), "24d"), 24 * 86_400_000);
});
