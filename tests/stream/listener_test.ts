import assert from "node:assert/strict";
import { connect } from "node:net";
import { Listener } from "../../lib/stream/listener.ts";
import type { ByteStream } from "../../lib/stream/byte_stream.ts";
import { RawClient } from "../support/hostile_peer.ts";

const LOOPBACK = { host: "127.0.0.1", port: 0 };

/** Listens, and keeps what happens. */
async function listen(where = LOOPBACK) {
  const accepted = Promise.withResolvers<ByteStream>();
  const pauses: Error[] = [];
  const listener = await Listener.open(where, {
    connection: accepted.resolve,
    acceptPaused: (error) => pauses.push(error),
  });
  return { listener, accepted: accepted.promise, pauses };
}

Deno.test("Listener.open() tells the port that the system chose", async () => {
  const { listener } = await listen();
  using _ = listener;
  assert.equal(listener.address.host, "127.0.0.1");
  assert.ok(listener.address.port > 0);
});

Deno.test("Listener.open() fails when the address is taken", async () => {
  const { listener } = await listen();
  using _ = listener;
  await assert.rejects(listen(listener.address), { code: "EADDRINUSE" });
});

Deno.test("Listener.open() fails when the address is not this machine's", async () => {
  await assert.rejects(listen({ host: "192.0.2.1", port: 0 }), /192\.0\.2\.1/);
});

Deno.test("a listener hands over connections, and pauses for none of them", async () => {
  const { listener, accepted, pauses } = await listen();
  using _ = listener;
  await using client = await RawClient.connect(listener.address.port);
  using stream = await accepted;
  assert.deepEqual(stream.peer, { address: "127.0.0.1", port: client.localPort });
  assert.deepEqual(pauses, []);
});

Deno.test("a listener on every address shows an IPv4 client by its IPv4 address", async () => {
  const { listener, accepted } = await listen({ host: "::", port: 0 });
  using _ = listener;
  await using _client = await RawClient.connect(listener.address.port);
  using stream = await accepted;
  assert.equal(stream.peer.address, "127.0.0.1");
});

Deno.test("close() accepts no more, and leaves the connections that there are", async () => {
  const { listener, accepted } = await listen();
  await using client = await RawClient.connect(listener.address.port);
  using stream = await accepted;
  listener.close();
  await assert.rejects(RawClient.connect(listener.address.port), { code: "ECONNREFUSED" });
  await stream.write(Uint8Array.of(1));
  assert.deepEqual(await client.receive(1), Uint8Array.of(1));
});

Deno.test("a client that resets at once does not stop the listener", async () => {
  const { listener, accepted } = await listen();
  using _ = listener;
  for (let index = 0; index < 20; index++) {
    const socket = connect({ ...LOOPBACK, port: listener.address.port });
    await new Promise((resolve) => socket.once("connect", resolve));
    socket.resetAndDestroy();
  }
  (await accepted).destroy();
  await using client = await RawClient.connect(listener.address.port);
  assert.equal(client.ending, undefined);
});
