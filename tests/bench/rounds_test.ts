import assert from "node:assert/strict";
import { inRounds, named, rotated, shuffled } from "./rounds.ts";

const [a, b, c] = ["a", "b", "c"].map((name) => ({ name, kind: "peer" as const, loops: 1 }));

Deno.test("rotated() begins with the one whose turn it is", () => {
  assert.deepEqual([0, 1, 2, 3].map((turn) => rotated(["a", "b", "c"], turn).join("")), [
    "abc",
    "bca",
    "cab",
    "abc",
  ]);
});

Deno.test("shuffled() has everyone once, and anybody may come behind anybody", () => {
  const orders = new Set<string>();
  for (let time = 0; time < 1000; time++) orders.add(shuffled(["a", "b", "c"]).join(""));
  assert.deepEqual([...orders].toSorted(), ["abc", "acb", "bac", "bca", "cab", "cba"]);
});

Deno.test("inRounds() has everyone once in each round, and each round begins with another", async () => {
  const order: string[] = [];
  await inRounds([a, b, c], { rounds: 3, run: ({ name }) => Promise.resolve(order.push(name)) });
  assert.equal(order.join(""), "abcbcacab");
});

Deno.test("inRounds() keeps each one's results in the order of rounds", async () => {
  const series = await inRounds([a, b], {
    rounds: 3,
    run: ({ name }, round) => Promise.resolve(`${name}${round}`),
  });
  assert.deepEqual(named(series, "b"), ["b0", "b1", "b2"]);
});

Deno.test("inRounds() does not count the warm-up", async () => {
  const series = await inRounds([a], {
    rounds: 1,
    warmUp: () => Promise.resolve("warm"),
    run: () => Promise.resolve("run"),
  });
  assert.deepEqual(named(series, "a"), ["run"]);
});
