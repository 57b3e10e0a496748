import assert from "node:assert/strict";
import { StreamBroken } from "../../lib/stream/byte_stream.ts";
import { CAPACITY, memoryPair } from "../../lib/stream/memory_stream.ts";
import { isPending } from "./pending.ts";

const HELLO = new TextEncoder().encode("hello");

Deno.test("memoryPair() carries bytes both ways", async () => {
  const [left, right] = memoryPair();
  await left.write(HELLO);
  await right.write(HELLO);
  assert.deepEqual(await right.read(), HELLO);
  assert.deepEqual(await left.read(), HELLO);
});

Deno.test("memoryPair() makes a writer wait for its reader", async () => {
  const [left, right] = memoryPair();
  await left.write(new Uint8Array(CAPACITY));
  const writing = left.write(HELLO);
  assert.ok(await isPending(writing));
  await right.read();
  await writing;
});

Deno.test("memoryPair() wakes a waiting reader", async () => {
  const [left, right] = memoryPair();
  const reading = right.read();
  assert.ok(await isPending(reading));
  await left.write(HELLO);
  assert.deepEqual(await reading, HELLO);
});

Deno.test("end() ends one direction alone, behind what was written", async () => {
  const [left, right] = memoryPair();
  await left.write(HELLO);
  await left.end();
  assert.deepEqual(await right.read(), HELLO);
  assert.equal(await right.read(), null);
  await right.write(HELLO);
  assert.deepEqual(await left.read(), HELLO);
});

Deno.test("write() behind end() fails", async () => {
  const [left] = memoryPair();
  await left.end();
  await assert.rejects(left.write(HELLO), StreamBroken);
});

Deno.test("destroy() breaks a read and a write under way, at both ends", async () => {
  const [left, right] = memoryPair();
  const reading = left.read();
  const writing = left.write(new Uint8Array(CAPACITY + 1));
  right.destroy();
  await assert.rejects(reading, StreamBroken);
  await assert.rejects(writing, StreamBroken);
  await assert.rejects(left.read(), StreamBroken);
  await assert.rejects(right.write(HELLO), StreamBroken);
});
