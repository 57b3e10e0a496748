import assert from "node:assert/strict";
import { type ByteStream, StreamBroken } from "../../lib/stream/byte_stream.ts";
import { ConnListener } from "../../lib/stream/conn_listener.ts";
import { dial } from "../../lib/stream/dial.ts";
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

Deno.test("ConnStream reads the same bytes whatever size its buffer has grown to", async () => {
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

Deno.test("ConnStream's buffer grows while it comes back full, and shrinks after many reads that are short", async () => {
  using pair = await pairOf("conn");
  const sizes = new Set<number>();
  const sending = pair.client.write(new Uint8Array(4 * MEGABYTE));
  for (let left = 4 * MEGABYTE; left > 0;) {
    const chunk = await pair.server.read();
    sizes.add(chunk!.buffer.byteLength);
    left -= chunk!.length;
  }
  await sending;
  assert.deepEqual([...sizes], [4, 16, 64].map((kib) => kib * 1024));
  for (let time = 0; time < 64; time++) await exchange(pair);
  assert.equal((await exchange(pair)).buffer.byteLength, 4096);
});

Deno.test.each(
  [
    [true, 16 * 1024],
    [false, 64 * 1024],
  ] as const,
)(
  "giveTo() of ConnStream, with a taker at rest: %s, reads into %d bytes after a long answer",
  async (isAtRest, size) => {
    using pair = await pairOf("conn");
    const sending = pair.client.write(new Uint8Array(4 * MEGABYTE));
    for (let left = 4 * MEGABYTE; left > 0;) left -= (await pair.server.read())!.length;
    await sending;
    await pair.client.write(Uint8Array.of(0));
    await pair.server.read();
    const arrived = Promise.withResolvers<Uint8Array>();
    pair.server.giveTo({
      isAtRest,
      take: (chunk) => {
        arrived.resolve(chunk);
        return false;
      },
      ended() {},
      broke: arrived.reject,
    });
    await pair.client.write(Uint8Array.of(1));
    assert.deepEqual(await arrived.promise, Uint8Array.of(1));
    assert.equal((await arrived.promise).buffer.byteLength, size);
  },
);

Deno.test("ConnStream reads what is as long as what came before, in each buffer that it changes to", async () => {
  using pair = await pairOf("conn");
  // 4 KiB fill the first buffer, and no other; 64 reads that it had taken as well bring it back.
  for (let byte = 0; byte < 70; byte++) {
    const sent = new Uint8Array(4096).fill(byte);
    await pair.client.write(sent);
    assert.deepEqual(await pair.server.read(), sent);
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

Deno.test("ConnListener pauses for no client that has reset its connection before it was accepted", async () => {
  const paused: Error[] = [];
  const { promise: accepted, resolve } = Promise.withResolvers<ByteStream>();
  const events = { connection: resolve, acceptPaused: (error: Error) => void paused.push(error) };
  using listener = ConnListener.open({ host: "127.0.0.1", port: 0 }, events);
  const { port } = listener.address;
  // Somebody else's process, while this one stands still and accepts nobody.
  const program = `
    import { connect } from "node:net";
    const socket = connect(${port}, "127.0.0.1", () => socket.resetAndDestroy());
  `;
  const args = ["eval", "--no-lock", program];
  assert.equal(new Deno.Command(Deno.execPath(), { args, stdin: "null" }).outputSync().code, 0);
  using _client = await dial({ kind: "tcp", ...listener.address }, {
    transport: "conn",
    signal: AbortSignal.timeout(5000),
  });
  (await accepted).destroy();
  assert.deepEqual(paused, []);
});

Deno.test("ConnStream knows what its peer has connected to", async () => {
  using pair = await pairOf("conn");
  assert.deepEqual(pair.client.local, pair.server.peer);
  assert.deepEqual(pair.server.local, pair.client.peer);
});

async function exchange({ client, server }: Awaited<ReturnType<typeof pairOf>>): Promise<Uint8Array> {
  await client.write(Uint8Array.of(1));
  return (await server.read())!;
}
