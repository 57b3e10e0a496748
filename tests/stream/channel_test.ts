import assert from "node:assert/strict";
import fc from "fast-check";
import {
  answer,
  type Dialogue,
  nothingBuffered,
  peekByte,
  question,
  receive,
  receiveByte,
  send,
} from "../../lib/dialogue.ts";
import { PgError } from "../../lib/errors.ts";
import type { ByteStream } from "../../lib/stream/byte_stream.ts";
import { Channel } from "../../lib/stream/channel.ts";
import { memoryPair } from "../../lib/stream/memory_stream.ts";
import { passwordMessage } from "../../lib/wire/frontend.ts";
import { concat, passwordMessage as password, text } from "../support/raw_messages.ts";
import { isPending } from "./pending.ts";

const FOREVER = new AbortController().signal;
const GONE = { name: "PgError", sqlstate: "08006", message: "the connection was closed during login" };
const VIOLATION = { name: "PgError", sqlstate: "08P01" };
const ask = question<string, string>("ask somebody");

function channelPair(signal = FOREVER): [Channel, ByteStream] {
  const [ours, theirs] = memoryPair();
  return [new Channel(ours, signal), theirs];
}

function* receivePassword(): Dialogue<string> {
  return (yield* receive(passwordMessage)).password;
}

function* say(...words: string[]): Dialogue<void> {
  for (const word of words) yield* send(text(word) as Uint8Array<ArrayBuffer>);
}

Deno.test("converse() gives a dialogue the message it waits for", async () => {
  const [channel, peer] = channelPair();
  await peer.write(password("sesame"));
  assert.equal(await channel.converse(receivePassword()), "sesame");
});

Deno.test("converse() sends everything said at once, in order, before it waits", async () => {
  const [channel, peer] = channelPair();
  const conversing = channel.converse((function* () {
    yield* say("one ", "two ", "three");
    yield* receivePassword();
    yield* say("four");
  })());
  assert.deepEqual(await peer.read(), text("one two three"));
  await peer.write(password("x"));
  await conversing;
  assert.deepEqual(await peer.read(), text("four"));
});

Deno.test("W14 converse() has sent what was said before a message that was there already, and is refused", async () => {
  const [channel, peer] = channelPair();
  await peer.write(concat(password("open"), password("sesame")));
  const dialogue = (function* () {
    yield* receivePassword();
    yield* say("again");
    throw new PgError("28P01", `no good: ${yield* receivePassword()}`);
  })();
  await assert.rejects(channel.converse(dialogue), { message: "no good: sesame" });
  assert.deepEqual(await peer.read(), text("again"));
});

Deno.test("converse() sends what was said before it asks a question", async () => {
  const [channel, peer] = channelPair();
  const whatPeerHas: (Uint8Array | null)[] = [];
  const dialogue = (function* () {
    yield* say("wait");
    return yield* ask("who?");
  })();
  const by = answer(ask, async (input) => {
    whatPeerHas.push(await peer.read());
    return `${input} me`;
  });
  assert.equal(await channel.converse(dialogue, [by]), "who? me");
  assert.deepEqual(whatPeerHas, [text("wait")]);
});

Deno.test("converse() says so when nobody answers a question", async () => {
  const [channel] = channelPair();
  await assert.rejects(channel.converse(ask("who?")), {
    message: 'nobody answers the question "ask somebody"',
  });
});

Deno.test("converse() throws what went wrong inside the dialogue, where it may be caught", async () => {
  const [channel] = channelPair();
  const dialogue = (function* () {
    try {
      return yield* ask("who?");
    } catch (error) {
      return `caught: ${(error as Error).message}`;
    }
  })();
  const by = answer(ask, () => Promise.reject(new Error("nobody")));
  assert.equal(await channel.converse(dialogue, [by]), "caught: nobody");
});

Deno.test("converse() passes on what the dialogue throws", async () => {
  const [channel] = channelPair();
  // deno-lint-ignore require-yield
  const dialogue = (function* (): Dialogue<void> {
    throw new PgError("28P01", "no");
  })();
  await assert.rejects(channel.converse(dialogue), { sqlstate: "28P01", message: "no" });
});

Deno.test.each<[string, (peer: ByteStream) => Promise<void> | void]>([
  ["ends", (peer) => peer.end()],
  ["breaks", (peer) => peer.destroy()],
  ["ends in the middle of a message", async (peer) => {
    await peer.write(password("sesame").subarray(0, 7));
    await peer.end();
  }],
])("converse() throws 08006 when the peer %s while a message is awaited", async (_name, leave) => {
  const [channel, peer] = channelPair();
  const conversing = channel.converse(receivePassword());
  await Promise.all([leave(peer), assert.rejects(conversing, GONE)]);
});

Deno.test("converse() throws 08006 when it has something to say and the peer is gone", async () => {
  const [channel, peer] = channelPair();
  peer.destroy();
  await assert.rejects(channel.converse(say("hello?")), GONE);
});

Deno.test("converse() throws 08P01 when another message comes", async () => {
  const [channel, peer] = channelPair();
  await peer.write(text("Q\0\0\0\x04"));
  await assert.rejects(channel.converse(receivePassword()), VIOLATION);
});

Deno.test.each<[string, () => Dialogue<unknown>]>([
  ["a message", () => receivePassword()],
  ["a byte", () => receiveByte("SSLRequest")],
  ["the first byte", () => peekByte()],
  ["an answer", () => ask("who?")],
])("W7 the deadline ends waiting for %s, with its own reason", async (_name, dialogue) => {
  const deadline = new AbortController();
  const [channel] = channelPair(deadline.signal);
  const conversing = channel.converse(dialogue(), [answer(ask, () => new Promise<string>(() => {}))]);
  const reason = new PgError("57014", "too late");
  assert.ok(await isPending(conversing));
  deadline.abort(reason);
  await assert.rejects(conversing, reason);
});

Deno.test("W7 the deadline ends writing to a peer that does not read", async () => {
  const deadline = new AbortController();
  const [channel] = channelPair(deadline.signal);
  const conversing = channel.converse(send(new Uint8Array(100_000)));
  assert.ok(await isPending(conversing));
  deadline.abort(new PgError("57014", "too late"));
  await assert.rejects(conversing, { sqlstate: "57014" });
});

Deno.test("W7 a deadline that has passed lets nothing more happen", async () => {
  const [channel, peer] = channelPair(AbortSignal.abort(new PgError("57014", "too late")));
  await peer.write(password("sesame"));
  await assert.rejects(channel.converse(receivePassword()), { sqlstate: "57014" });
});

Deno.test("W1 nothingBuffered() refuses bytes behind the message before it", async () => {
  const [channel, peer] = channelPair();
  await peer.write(concat(password("sesame"), Uint8Array.of(0)));
  const dialogue = (function* () {
    yield* receivePassword();
    yield* nothingBuffered("SSLRequest");
  })();
  await assert.rejects(channel.converse(dialogue), {
    ...VIOLATION,
    message: "received data after SSLRequest, outside TLS",
  });
});

Deno.test("nothingBuffered() lets pass when there is nothing", async () => {
  const [channel, peer] = channelPair();
  await peer.write(password("sesame"));
  await channel.converse((function* () {
    yield* receivePassword();
    yield* nothingBuffered("SSLRequest");
  })());
});

Deno.test("peekByte() leaves the byte in place", async () => {
  const [channel, peer] = channelPair();
  await peer.write(password("sesame"));
  const dialogue = (function* () {
    return [yield* peekByte(), yield* peekByte(), yield* receivePassword()];
  })();
  assert.deepEqual(await channel.converse(dialogue), [0x70, 0x70, "sesame"]);
});

Deno.test.each<[string, (peer: ByteStream) => Promise<void> | void]>([
  ["ends", (peer) => peer.end()],
  ["breaks", (peer) => peer.destroy()],
])("peekByte() is null when the peer %s without a word", async (_name, leave) => {
  const [channel, peer] = channelPair();
  const peeking = channel.converse(peekByte());
  await leave(peer);
  assert.equal(await peeking, null);
});

Deno.test("receiveByte() takes one byte and no more", async () => {
  const [channel, peer] = channelPair();
  await peer.write(text("SN"));
  const dialogue = (function* () {
    return [yield* receiveByte("SSLRequest"), yield* receiveByte("GSSENCRequest")];
  })();
  assert.deepEqual(await channel.converse(dialogue), [0x53, 0x4e]);
});

Deno.test("takeBuffered() gives what no message has used", async () => {
  const [channel, peer] = channelPair();
  await peer.write(concat(password("sesame"), text("rest")));
  await channel.converse(receivePassword());
  assert.deepEqual(channel.takeBuffered(), text("rest"));
  assert.deepEqual(channel.takeBuffered(), new Uint8Array());
});

Deno.test("attach() forgets what came over the stream before", async () => {
  const [channel, peer] = channelPair();
  await peer.write(concat(password("sesame"), text("stale")));
  await channel.converse(receivePassword());
  const [ours, theirs] = memoryPair();
  channel.attach(ours);
  await theirs.write(password("fresh"));
  assert.equal(await channel.converse(receivePassword()), "fresh");
});

Deno.test("detach() leaves nothing connected, and the stream open", async () => {
  const [channel, peer] = channelPair();
  const stream = channel.detach();
  assert.equal(channel.isConnected, false);
  assert.throws(() => channel.stream, { message: "nothing is connected to this channel" });
  channel[Symbol.dispose]();
  await stream.write(text("still here"));
  assert.deepEqual(await peer.read(), text("still here"));
});

Deno.test("untilEnd() waits for the peer to end, whatever it sends", async () => {
  const [channel, peer] = channelPair();
  const waiting = channel.untilEnd();
  await peer.write(text("whatever"));
  assert.ok(await isPending(waiting));
  await peer.end();
  await waiting;
});

Deno.test("converse() reads the same messages however they are cut", async () => {
  const words = ["open", "", "sesame"];
  const bytes = concat(...words.map(password));
  await fc.assert(
    fc.asyncProperty(fc.uniqueArray(fc.nat(bytes.length), { maxLength: 8 }), async (cuts) => {
      const [channel, peer] = channelPair();
      const places = [0, ...cuts.sort((a, b) => a - b), bytes.length];
      for (const [index, place] of places.slice(1).entries()) {
        const part = bytes.slice(places[index], place);
        if (part.length > 0) await peer.write(part);
      }
      for (const word of words) assert.equal(await channel.converse(receivePassword()), word);
    }),
    { numRuns: 50 },
  );
});
