import assert from "node:assert/strict";
import fc from "fast-check";
import { HeaderWalk } from "../../lib/relay/header_walk.ts";

type Seen = [type: number, firstByte: number];

const message = fc.record({ type: fc.integer({ min: 1, max: 255 }), body: fc.uint8Array({ maxLength: 40 }) });

Deno.test("walk() reports each message with the first byte of its body", () => {
  // 'Z', length 5, 'I'; then 'X', length 4.
  assert.deepEqual(walk([Uint8Array.of(0x5a, 0, 0, 0, 5, 0x49, 0x58, 0, 0, 0, 4)]), [[0x5a, 0x49], [
    0x58,
    -1,
  ]]);
});

Deno.test("W14 walk() reports the same messages however they are cut into chunks", () => {
  fc.assert(fc.property(fc.array(message), fc.array(fc.nat({ max: 60 })), (messages, cuts) => {
    const bytes = encode(messages);
    const expected = messages.map(({ type, body }): Seen => [type, body[0] ?? -1]);
    assert.deepEqual(walk(cut(bytes, cuts)), expected);
  }));
});

Deno.test("walk() takes a message of 4 GiB for none before its end, and holds nothing of it", () => {
  const seen: Seen[] = [];
  const walker = new HeaderWalk({ message: (type, firstByte) => void seen.push([type, firstByte]) });
  walker.walk(Uint8Array.of(0x64, 0xff, 0xff, 0xff, 0xff, 1));
  walker.walk(new Uint8Array(1 << 20));
  assert.deepEqual(seen, []);
  assert.equal(walker.isBetweenMessages, false);
});

Deno.test.each<[number]>([[0], [1], [3]])("S4 walk() refuses a length of %i with 08P01", (length) => {
  assert.throws(() => walk([Uint8Array.of(0x51, 0, 0, 0, length)]), { sqlstate: "08P01" });
  assert.throws(() => walk([Uint8Array.of(0x51, 0, 0, 0, length, 0x41, 0x42)]), { sqlstate: "08P01" });
});

Deno.test("walk() reports a message at its last byte", () => {
  const seen: Seen[] = [];
  const walker = new HeaderWalk({ message: (type, firstByte) => void seen.push([type, firstByte]) });
  const bytes = [0x51, 0, 0, 0, 7, 0x41, 0x42, 0];
  const counts = bytes.map((byte) => {
    walker.walk(Uint8Array.of(byte));
    return seen.length;
  });
  assert.deepEqual(counts, [0, 0, 0, 0, 0, 0, 0, 1]);
  assert.deepEqual(seen, [[0x51, 0x41]]);
});

Deno.test("walk() knows whether it stands between two messages", () => {
  const walker = new HeaderWalk({ message() {} });
  const standing = [Uint8Array.of(0x53, 0), Uint8Array.of(0, 0, 6), Uint8Array.of(1), Uint8Array.of(2)].map(
    (chunk) => {
      walker.walk(chunk);
      return walker.isBetweenMessages;
    },
  );
  assert.deepEqual(standing, [false, false, false, true]);
});

function walk(chunks: Uint8Array[]): Seen[] {
  const seen: Seen[] = [];
  const walker = new HeaderWalk({ message: (type, firstByte) => void seen.push([type, firstByte]) });
  for (const chunk of chunks) walker.walk(chunk);
  return seen;
}

function encode(messages: { type: number; body: Uint8Array }[]): Uint8Array {
  return Uint8Array.from(messages.flatMap(({ type, body }) => [type, 0, 0, 0, body.length + 4, ...body]));
}

function cut(bytes: Uint8Array, lengths: number[]): Uint8Array[] {
  const chunks: Uint8Array[] = [];
  let rest = bytes;
  for (const length of lengths) {
    chunks.push(rest.subarray(0, length));
    rest = rest.subarray(length);
  }
  return [...chunks, rest];
}
