import assert from "node:assert/strict";
import { TARGETS, verdictOf } from "./targets.ts";

Deno.test("verdictOf() calls a bound that is just kept reached", () => {
  assert.equal(verdictOf({ target: TARGETS.tlsCpu, measured: [1.1, 1.25, 1.5] }).met, "yes");
});

Deno.test("verdictOf() calls one that is missed not reached", () => {
  assert.equal(verdictOf({ target: TARGETS.tlsCpu, measured: [1.26] }).met, "no");
});

Deno.test("verdictOf() knows which way a bound is meant", () => {
  assert.equal(verdictOf({ target: TARGETS.logins, measured: [1.2] }).met, "yes");
  assert.equal(verdictOf({ target: TARGETS.logins, measured: [0.9] }).met, "no");
});

Deno.test.each(
  [
    ["tlsCpu", 1.36, 1.3, "at the floor"],
    ["tlsCpu", 1.37, 1.3, "no"],
    ["tlsCpu", 1.28, 1.24, "no"],
    ["copyOut", 0.76, 0.8, "at the floor"],
    ["copyOut", 0.75, 0.8, "no"],
    ["latency", 70, 68, "at the floor"],
    ["latency", 70, -1, "no"],
  ] as const,
)("verdictOf() %s: %d where the floor is %d is reached: %s", (target, measured, floor, met) => {
  const score = { target: TARGETS[target], measured: [measured], floor: { name: "floor", values: [floor] } };
  assert.equal(verdictOf(score).met, met);
});

Deno.test("verdictOf() holds the proxy against the floor of the same round", () => {
  const score = {
    target: TARGETS.tlsCpu,
    measured: [1.5, 3, 1.5],
    floor: { name: "floor", values: [1, 2, 1] },
  };
  assert.equal(verdictOf(score).ofFloor, 1.5);
});
