import assert from "node:assert/strict";
import { Places } from "../../../lib/token/introspection/places.ts";

const NEVER = new AbortController().signal;
const LONG_MS = 10_000;

Deno.test("Places are taken at once while there are some", async () => {
  const places = new Places(2);
  assert.deepEqual([await places.take(0, NEVER), await places.take(0, NEVER)], [true, true]);
});

Deno.test("Places that are all taken are given to those in line, first come first", async () => {
  const places = new Places(1);
  await places.take(LONG_MS, NEVER);
  const order: string[] = [];
  const first = places.take(LONG_MS, NEVER).then(() => order.push("first"));
  const second = places.take(LONG_MS, NEVER).then(() => order.push("second"));
  places.give();
  await first;
  assert.deepEqual(order, ["first"]);
  places.give();
  await second;
  assert.deepEqual(order, ["first", "second"]);
});

Deno.test("Places are not waited for longer than asked", async () => {
  const places = new Places(1);
  await places.take(LONG_MS, NEVER);
  assert.equal(await places.take(5, NEVER), false);
});

Deno.test("Places are not lost to one who has left the line", async () => {
  const places = new Places(1);
  await places.take(LONG_MS, NEVER);
  await places.take(5, NEVER);
  places.give();
  assert.equal(await places.take(5, NEVER), true);
});

Deno.test("Places are not waited for when the signal aborts, before or meanwhile", async () => {
  const places = new Places(1);
  await places.take(LONG_MS, NEVER);
  const leaving = new AbortController();
  const waiting = places.take(LONG_MS, leaving.signal);
  leaving.abort();
  assert.deepEqual([await waiting, await places.take(LONG_MS, leaving.signal)], [false, false]);
});
