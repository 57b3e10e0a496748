import assert from "node:assert/strict";
import { StreamBroken } from "../../lib/stream/byte_stream.ts";
import { NodeStream } from "../../lib/stream/node_stream.ts";
import { concat, text } from "../support/raw_messages.ts";
import { isPending } from "./pending.ts";
import { readToEnd, socketPair } from "./sockets.ts";

const MEGABYTE = 2 ** 20;

Deno.test("NodeStream carries bytes both ways", async () => {
  using pair = await socketPair();
  await pair.client.write(text("ping"));
  assert.deepEqual(new Uint8Array((await pair.server.read())!), text("ping"));
  await pair.server.write(text("pong"));
  assert.deepEqual(new Uint8Array((await pair.client.read())!), text("pong"));
});

Deno.test("NodeStream knows its peer, and that it is outside TLS", async () => {
  using pair = await socketPair();
  assert.equal(pair.server.peer.address, "127.0.0.1");
  assert.ok(pair.server.peer.port > 0);
  assert.equal(pair.server.tls, null);
});

Deno.test.each<["client" | "server", "client" | "server"]>([["client", "server"], ["server", "client"]])(
  "NodeStream slows the %s down while the other does not read, and loses nothing",
  async (from, to) => {
    using pair = await socketPair();
    const stalled = Promise.withResolvers<void>();
    let isStalled = false;
    let written = 0;
    const writing = (async () => {
      // More than the buffers of two sockets hold on loopback.
      for (let index = 0; index < 64; index++) {
        const write = pair[from].write(new Uint8Array(MEGABYTE).fill(index));
        if (!isStalled && await isPending(write)) {
          isStalled = true;
          stalled.resolve();
        }
        await write;
        written++;
      }
      await pair[from].end();
    })();
    await stalled.promise;
    assert.ok(written < 64, "64 MiB were taken though nobody read");
    let sum = 0, length = 0;
    for (let chunk = await pair[to].read(); chunk !== null; chunk = await pair[to].read()) {
      length += chunk.length;
      sum += chunk[0];
    }
    await writing;
    assert.equal(length, 64 * MEGABYTE);
    assert.ok(sum > 0);
  },
);

Deno.test("end() is half a close: the peer may still answer", async () => {
  using pair = await socketPair();
  await pair.client.write(text("question"));
  await pair.client.end();
  assert.deepEqual(await readToEnd(pair.server), text("question"));
  assert.equal(await pair.server.read(), null);
  await pair.server.write(text("answer"));
  await pair.server.end();
  assert.deepEqual(await readToEnd(pair.client), text("answer"));
});

Deno.test("destroy() fails a read under way", async () => {
  using pair = await socketPair();
  const reading = pair.client.read();
  pair.client.destroy();
  await assert.rejects(reading, StreamBroken);
});

Deno.test("destroy() fails a write under way", async () => {
  using pair = await socketPair();
  const writing = pair.client.write(new Uint8Array(64 * MEGABYTE));
  assert.ok(await isPending(writing));
  pair.client.destroy();
  await assert.rejects(writing, StreamBroken);
});

Deno.test("destroy() settles an end under way", async () => {
  using pair = await socketPair();
  const writing = pair.client.write(new Uint8Array(64 * MEGABYTE)).catch((error) => error);
  const ending = pair.client.end();
  assert.ok(await isPending(ending));
  pair.client.destroy();
  await ending;
  assert.ok(await writing instanceof StreamBroken);
});

Deno.test("read() and write() fail after destroy()", async () => {
  using pair = await socketPair();
  pair.client.destroy();
  await pair.client.read().catch(() => {});
  await assert.rejects(pair.client.read(), StreamBroken);
  await assert.rejects(pair.client.write(text("x")), StreamBroken);
});

Deno.test("a peer's reset fails a read under way, with its cause", async () => {
  using pair = await socketPair();
  const reading = pair.server.read();
  pair.client.handOver().resetAndDestroy();
  await assert.rejects(reading, (error: Error) => {
    assert.ok(error instanceof StreamBroken);
    assert.match((error.cause as Error).message, /ECONNRESET/);
    return true;
  });
});

Deno.test("write() of nothing does nothing", async () => {
  using pair = await socketPair();
  await pair.client.write(new Uint8Array());
  await pair.client.end();
  assert.deepEqual(await readToEnd(pair.server), new Uint8Array());
});

Deno.test("handOver() puts the bytes given, and those not read, in front", async () => {
  using pair = await socketPair();
  await pair.client.write(text("one "));
  const first = (await pair.server.read())!;
  await pair.client.write(text("two "));
  await pair.client.end();
  using again = new NodeStream(pair.server.handOver(first));
  assert.deepEqual(await readToEnd(again), text("one two "));
});

Deno.test("handOver() keeps chunks that came while nobody read in their order", async () => {
  using pair = await socketPair();
  const parts = Array.from({ length: 5 }, (_, index) => new Uint8Array(100_000).fill(index));
  const writing = (async () => {
    for (const part of parts) await pair.client.write(part);
    await pair.client.end();
  })();
  // One read makes the socket flow, and more comes than is asked for.
  const first = (await pair.server.read())!;
  await isPending(writing);
  using again = new NodeStream(pair.server.handOver(first));
  assert.deepEqual(await readToEnd(again), concat(...parts));
  await writing;
});

Deno.test("a NodeStream over a socket that has ended already reads its end", async () => {
  using pair = await socketPair();
  await pair.client.end();
  assert.equal(await pair.server.read(), null);
  using again = new NodeStream(pair.server.handOver());
  assert.equal(await again.read(), null);
});

Deno.test("NodeStream knows what its peer has connected to", async () => {
  using pair = await socketPair();
  assert.deepEqual(pair.client.local, pair.server.peer);
  assert.deepEqual(pair.server.local, pair.client.peer);
});
