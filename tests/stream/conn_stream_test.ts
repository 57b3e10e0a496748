import assert from "node:assert/strict";
import { StreamBroken } from "../../lib/stream/byte_stream.ts";
import { ConnListener } from "../../lib/stream/conn_listener.ts";
import { isPending } from "./pending.ts";
import { pairOf, readToEnd } from "./sockets.ts";

const MEGABYTE = 1 << 20;

Deno.test("ConnStream carries bytes both ways, and each end's end", async () => {
  using pair = await pairOf("conn");
  await pair.client.write(Uint8Array.of(1, 2));
  await pair.client.end();
  assert.deepEqual(await readToEnd(pair.server), Uint8Array.of(1, 2));
  await pair.server.write(Uint8Array.of(3));
  await pair.server.end();
  assert.deepEqual(await readToEnd(pair.client), Uint8Array.of(3));
});

Deno.test("ConnStream knows its peer, and that it is outside TLS", async () => {
  using pair = await pairOf("conn");
  assert.equal(pair.server.peer.address, "127.0.0.1");
  assert(pair.server.peer.port > 0);
  assert.equal(pair.server.tls, null);
});

Deno.test("ConnStream reads the same bytes whatever size its buffer has grown to, and shrinks again", async () => {
  using pair = await pairOf("conn");
  const sent = crypto.getRandomValues(new Uint8Array(65536));
  const writing = (async () => {
    for (let i = 0; i < 32; i++) await pair.client.write(sent);
    await pair.client.end();
  })();
  const received = await readToEnd(pair.server);
  await writing;
  assert.equal(received.length, 32 * sent.length);
  for (let i = 0; i < 32; i++) {
    assert.deepEqual(received.subarray(i * sent.length, (i + 1) * sent.length), sent);
  }
});

Deno.test("ConnStream lends its chunks: the next read is into the same buffer", async () => {
  using pair = await pairOf("conn");
  assert.equal(pair.server.lendsChunks, true);
  await pair.client.write(Uint8Array.of(1));
  const first = await pair.server.read();
  await pair.client.write(Uint8Array.of(2));
  const second = await pair.server.read();
  assert.equal(first!.buffer, second!.buffer);
});

Deno.test("ConnStream makes a writer wait whose peer does not read", async () => {
  using pair = await pairOf("conn");
  const writing = pair.client.write(new Uint8Array(64 * MEGABYTE));
  assert.equal(await isPending(writing), true);
  const reading = readToEnd(pair.server);
  await writing;
  await pair.client.end();
  assert.equal((await reading).length, 64 * MEGABYTE);
});

Deno.test("ConnStream keeps the order of writes that are not awaited, and ends behind them", async () => {
  using pair = await pairOf("conn");
  const writing = [1, 2, 3].map((value) => pair.client.write(new Uint8Array(MEGABYTE).fill(value)));
  const ending = pair.client.end();
  const received = await readToEnd(pair.server);
  await Promise.all([...writing, ending]);
  assert.equal(received.length, 3 * MEGABYTE);
  for (const place of [0, 1, 2]) assert.equal(received[place * MEGABYTE], place + 1);
});

Deno.test("ConnStream's destroy() breaks a read and a write under way, and may come twice", async () => {
  using pair = await pairOf("conn");
  const reading = pair.client.read();
  const writing = pair.client.write(new Uint8Array(64 * MEGABYTE));
  const broken = [reading, writing].map((promise) => assert.rejects(promise, StreamBroken));
  pair.client.destroy();
  pair.client.destroy();
  await Promise.all(broken);
  await assert.rejects(pair.client.read(), StreamBroken);
  await assert.rejects(pair.client.write(Uint8Array.of(1)), StreamBroken);
  await pair.client.end();
});

Deno.test("ConnListener.open() throws when its address is taken", () => {
  const events = { connection: () => {}, acceptPaused: () => {} };
  using listener = ConnListener.open({ host: "127.0.0.1", port: 0 }, events);
  assert.throws(() => ConnListener.open(listener.address, events), { code: "EADDRINUSE" });
});
