import assert from "node:assert/strict";
import { sayFarewell } from "../../lib/stream/farewell.ts";
import { memoryPair } from "../../lib/stream/memory_stream.ts";
import { text } from "../support/raw_messages.ts";
import { readToEnd, socketPair } from "./sockets.ts";

const LAST_WORDS = text("goodbye");

Deno.test("sayFarewell() lets its words arrive though the peer's bytes lie unread", async () => {
  using pair = await socketPair();
  await pair.client.write(new Uint8Array(50_000));
  const farewell = sayFarewell(pair.server, LAST_WORDS);
  assert.deepEqual(await readToEnd(pair.client), LAST_WORDS);
  await pair.client.end();
  await farewell;
});

Deno.test("sayFarewell() lets its words arrive though the peer goes on sending", async () => {
  using pair = await socketPair();
  const farewell = sayFarewell(pair.server, LAST_WORDS);
  for (let index = 0; index < 20; index++) await pair.client.write(new Uint8Array(10_000));
  assert.deepEqual(await readToEnd(pair.client), LAST_WORDS);
  await pair.client.end();
  await farewell;
});

Deno.test("sayFarewell() is over at once when the peer has left", async () => {
  const [ours, theirs] = memoryPair();
  theirs.destroy();
  await sayFarewell(ours, LAST_WORDS);
});

Deno.test("sayFarewell() does not wait for ever for a peer that stays", async () => {
  const [ours, theirs] = memoryPair();
  const startMs = performance.now();
  await sayFarewell(ours, LAST_WORDS);
  const durationMs = performance.now() - startMs;
  assert.ok(durationMs > 1900 && durationMs < 4000, `it took ${durationMs} ms`);
  await assert.rejects(theirs.write(LAST_WORDS));
});
