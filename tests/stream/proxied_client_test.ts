import assert from "node:assert/strict";
import { answer } from "../../lib/dialogue.ts";
import { PgError } from "../../lib/errors.ts";
import { parseNetwork } from "../../lib/network.ts";
import { acceptTls, openConversation } from "../../lib/startup/opening.ts";
import type { ByteStream } from "../../lib/stream/byte_stream.ts";
import { Channel } from "../../lib/stream/channel.ts";
import { memoryPair } from "../../lib/stream/memory_stream.ts";
import { receiveProxyHeader, withUnexpectedHeader } from "../../lib/stream/proxied_client.ts";
import { encodeProxyHeader } from "../../lib/stream/proxy_header.ts";
import { concat, SSL_REQUEST, startupMessage, text } from "../support/raw_messages.ts";
import { isPending } from "./pending.ts";

const FOREVER = new AbortController().signal;
const BALANCERS = [parseNetwork("10.0.0.0/8")];
const BALANCER = { address: "10.0.0.5", port: 40000 };
const OURS = { address: "10.0.0.9", port: 6432 };
const CLIENT = { address: "192.0.2.1", port: 50000 };
const SERVER = { address: "198.51.100.1", port: 5432 };
const HEADERS: readonly [version: string, bytes: Uint8Array][] = [
  ["1", text("PROXY TCP4 192.0.2.1 198.51.100.1 50000 5432\r\n")],
  ["2", encodeProxyHeader({ client: CLIENT, server: SERVER })],
];
const STARTUP = startupMessage({ user: "alice" });
const CLIENT_HELLO = Uint8Array.of(0x16, 3, 1, 0, 2, 7, 7);
const POLICY = { offersTls: true, allowsPlaintext: true };

/** A channel to somebody who comes from this address, and that one's end. */
function connectionFrom(peer = BALANCER, signal = FOREVER): [Channel, ByteStream, ByteStream] {
  const [ours, theirs] = memoryPair();
  ours.peer = peer;
  ours.local = OURS;
  return [new Channel(ours, signal), theirs, ours];
}

Deno.test.each(HEADERS)(
  "receiveProxyHeader() makes a balancer's connection its client's, by version %s",
  async (_, bytes) => {
    const [channel, peer, stream] = connectionFrom();
    await peer.write(bytes);
    await receiveProxyHeader(channel, BALANCERS);
    assert.deepEqual([stream.peer, stream.local], [CLIENT, SERVER]);
  },
);

Deno.test.each([
  ["LOCAL", Uint8Array.fromHex("0d0a0d0a000d0a515549540a20000000")],
  ["UNKNOWN", text("PROXY UNKNOWN\r\n")],
])("receiveProxyHeader() leaves a balancer that says %s who it is", async (_, bytes) => {
  const [channel, peer, stream] = connectionFrom();
  await peer.write(bytes);
  await receiveProxyHeader(channel, BALANCERS);
  assert.deepEqual([stream.peer, stream.local], [BALANCER, OURS]);
});

Deno.test("receiveProxyHeader() reads nothing of anybody else", async () => {
  const [channel, peer, stream] = connectionFrom(CLIENT);
  await peer.write(HEADERS[0][1]);
  await receiveProxyHeader(channel, BALANCERS);
  assert.deepEqual(stream.peer, CLIENT);
  assert.deepEqual(await stream.read(), HEADERS[0][1]);
});

Deno.test.each(HEADERS)(
  "W14 a header of version %s and an SSLRequest can be cut anywhere",
  async (_, bytes) => {
    const said = concat(bytes, SSL_REQUEST);
    for (let at = 0; at <= said.length; at++) {
      const [channel, peer, stream] = connectionFrom();
      await sayInTwo(peer, said, at);
      await receiveProxyHeader(channel, BALANCERS);
      assert.deepEqual(stream.peer, CLIENT);
      const upgrade = answer(acceptTls, ({ isDirect }) => {
        assert.equal(isDirect, false);
        return peer.write(STARTUP);
      });
      const opening = await channel.converse(openConversation(POLICY), [upgrade]);
      assert.deepEqual(await peer.read(), text("S"));
      assert.equal(opening.kind, "session");
    }
  },
);

Deno.test.each(HEADERS)(
  "W14 what of direct TLS comes with a header of version %s is given back, wherever it is cut",
  async (_, bytes) => {
    const said = concat(bytes, CLIENT_HELLO);
    for (let at = 0; at <= said.length; at++) {
      const [channel, peer, stream] = connectionFrom();
      await sayInTwo(peer, said, at);
      await receiveProxyHeader(channel, BALANCERS);
      const begun: Uint8Array[] = [];
      const upgrade = answer(acceptTls, async ({ isDirect }) => {
        assert.equal(isDirect, true);
        begun.push(channel.takeBuffered());
        // What has not been read yet TLS itself will find.
        await peer.end();
        for (let chunk = await stream.read(); chunk !== null; chunk = await stream.read()) begun.push(chunk);
        throw new Error("far enough");
      });
      await assert.rejects(channel.converse(openConversation(POLICY), [upgrade]), /far enough/);
      assert.deepEqual(concat(...begun), CLIENT_HELLO);
    }
  },
);

Deno.test("W15 receiveProxyHeader() refuses a balancer that does not begin with a header, and the log learns why", async () => {
  const [channel, peer] = connectionFrom();
  await peer.write(SSL_REQUEST);
  await assert.rejects(receiveProxyHeader(channel, BALANCERS), {
    sqlstate: "08P01",
    message: "expected a PROXY header",
    reason: "10.0.0.5 is in listen.proxy_protocol: its connections must begin with a PROXY header",
  });
});

Deno.test("W7 receiveProxyHeader() waits for the rest of a header no longer than its signal lets it", async () => {
  const late = new Error("late");
  const ending = new AbortController();
  const [channel, peer] = connectionFrom(BALANCER, ending.signal);
  const receiving = receiveProxyHeader(channel, BALANCERS);
  for (const byte of HEADERS[0][1].subarray(0, -1)) await peer.write(Uint8Array.of(byte));
  assert.equal(await isPending(receiving), true);
  ending.abort(late);
  await assert.rejects(receiving, late);
});

Deno.test("receiveProxyHeader() takes silence for no header, and half a header for a connection that is gone", async () => {
  const [silent, silence] = connectionFrom();
  await silence.end();
  await receiveProxyHeader(silent, BALANCERS);
  assert.deepEqual(await silent.converse(openConversation(POLICY)), { kind: "silence" });

  const [broken, half] = connectionFrom();
  await half.write(HEADERS[1][1].subarray(0, 20));
  await half.end();
  await assert.rejects(receiveProxyHeader(broken, BALANCERS), { sqlstate: "08006" });
});

Deno.test.each([
  [
    "192.0.2.1",
    "192.0.2.1 is in no network of listen.proxy_protocol: add it there, if it is a balancer of yours",
  ],
  ["10.0.0.5", "10.0.0.5 is in listen.proxy_protocol, and has sent another PROXY header before"],
])("W15 withUnexpectedHeader() tells of a header where none may be, by %s", async (via, reason) => {
  for (const [, bytes] of HEADERS) {
    const [channel, peer] = connectionFrom();
    await peer.write(bytes);
    const thrown = await channel.converse(openConversation(POLICY)).catch((error) => error);
    const told = withUnexpectedHeader(thrown, { channel, via, balancers: BALANCERS });
    assert(told instanceof PgError);
    assert.deepEqual([told.sqlstate, told.message, told.reason], [
      "08P01",
      "unexpected PROXY header",
      reason,
    ]);
  }
});

Deno.test.each([
  ["an HTTP request", text("POST / HTTP/1.1\r\n")],
  ["a message of impossible length", Uint8Array.of(0, 0, 0, 3)],
])("withUnexpectedHeader() leaves what %s has led to", async (_, bytes) => {
  const [channel, peer] = connectionFrom();
  await peer.write(bytes);
  const thrown = await channel.converse(openConversation(POLICY)).catch((error) => error);
  assert(thrown instanceof PgError);
  assert.equal(withUnexpectedHeader(thrown, { channel, via: "192.0.2.1", balancers: BALANCERS }), thrown);
});

/** A memory stream gives what is written in the same pieces. */
async function sayInTwo(peer: ByteStream, bytes: Uint8Array, at: number): Promise<void> {
  for (const piece of [bytes.slice(0, at), bytes.slice(at)]) if (piece.length > 0) await peer.write(piece);
}
