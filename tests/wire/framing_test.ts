import assert from "node:assert/strict";
import fc from "fast-check";
import { query, saslResponse, terminate } from "../../lib/wire/frontend.ts";
import { Framing, printableType } from "../../lib/wire/framing.ts";
import { decodeMessage, encodeMessage } from "../../lib/wire/message.ts";
import { MAX_STARTUP_PACKET_LENGTH, startupPacket } from "../../lib/wire/startup_packet.ts";
import { arbitraries } from "./arbitraries.ts";
import { bytes, type Field, int32 } from "./bytes.ts";
import { type AnyMessage, encodeBody, header, messages } from "./messages.ts";

const violation = { name: "PgError", sqlstate: "08P01", severity: "FATAL" };

/** Any message with any value of it. */
const anyMessage = fc.oneof(
  ...messages.map((message) =>
    fc.record({ message: fc.constant(message), value: arbitraries[message.name] ?? fc.constant(undefined) })
  ),
);

Deno.test("W14 any chunking gives the same frames", () => {
  const cuts = fc.infiniteStream(fc.integer({ min: 1, max: 40 }));
  fc.assert(fc.property(fc.array(anyMessage, { maxLength: 8 }), cuts, (spoken, cuts) => {
    const stream = bytes(...spoken.map(({ message, value }) => encodeMessage(message, value)));
    const framing = new Framing();
    const chunks = chunksOf(stream, () => cuts.next().value);
    for (const { message, value } of spoken) {
      assert.deepEqual(takeBody(framing, message, chunks), encodeBody(message, value));
    }
    assert.equal(framing.buffered, 0);
  }));
});

Deno.test("W14 a message of which the last byte is missing is not complete", () => {
  fc.assert(fc.property(anyMessage, ({ message, value }) => {
    const framing = new Framing();
    framing.push(encodeMessage(message, value).subarray(0, -1));
    assert.equal(framing.take([message]), null);
  }));
});

Deno.test("take() gives nothing before the length is there", () => {
  const framing = new Framing();
  for (const byte of [0x51, 0, 0, 0]) {
    framing.push(bytes(byte));
    assert.equal(framing.take([query]), null);
  }
});

Deno.test("take() leaves what follows the message", () => {
  const framing = framingOf("X", int32(4), "Q", int32(7), "hi\0");
  assert.equal(framing.take<unknown>([query, terminate])?.message, terminate);
  assert.equal(framing.take<unknown>([query, terminate])?.message, query);
});

Deno.test("take() gives a body that later bytes do not change", () => {
  const framing = framingOf("Q", int32(7), "hi\0");
  const frame = framing.take([query]);
  framing.push(bytes("Q", int32(7), "no\0"));
  framing.take([query]);
  assert.deepEqual(frame?.body, bytes("hi\0"));
});

Deno.test("push() copies what was read, so that the read buffer can be used again", () => {
  const readBuffer = bytes("Q", int32(7), "hi\0");
  const framing = new Framing();
  framing.push(readBuffer);
  readBuffer.fill(0);
  assert.deepEqual(framing.take([query])?.body, bytes("hi\0"));
});

Deno.test("take() refuses a message that is not expected, and names what is", () => {
  assert.throws(() => framingOf("Q").take<unknown>([saslResponse, terminate]), {
    ...violation,
    message: 'expected SASLResponse or Terminate, got message type "Q"',
  });
});

Deno.test("take() decides by the first byte: it does not wait for an unexpected message's length", () => {
  assert.throws(() => framingOf(0x16).take([terminate]), violation);
});

Deno.test.each([
  ["negative", -1],
  ["2^31", 0x8000_0000],
  ["the least negative", 0xffff_fffc],
])("W8 a startup packet of length %s is refused", (_case, length) => {
  assert.throws(
    () => framingOf(header(startupPacket as AnyMessage, length)).take([startupPacket]),
    violation,
  );
});

Deno.test.each([0, 1, 2, 3, 4, 5, 6, 7])("W8 a startup packet of length %d is refused", (length) => {
  const framing = framingOf(int32(length), new Uint8Array(16));
  assert.throws(() => {
    const frame = framing.take([startupPacket]);
    assert.ok(frame);
    decodeMessage(frame.message, frame.body);
  }, violation);
});

Deno.test("W8 a startup packet over 10000 bytes is refused by its length", () => {
  assert.equal(MAX_STARTUP_PACKET_LENGTH, 10_000);
  assert.throws(() => framingOf(int32(10_001)).take([startupPacket]), {
    ...violation,
    message: "startup packet is longer than the 10000 bytes allowed",
  });
});

Deno.test("W8 a startup packet of 10000 bytes is waited for", () => {
  assert.equal(framingOf(int32(10_000)).take([startupPacket]), null);
});

Deno.test("W8 an HTTP request is refused by its first four bytes", () => {
  assert.throws(() => framingOf("GET / HTTP/1.1\r\n").take([startupPacket]), violation);
});

for (const message of messages) {
  Deno.test(`W9 ${message.name} of a length under 4 is refused`, () => {
    for (const length of [0, 1, 2, 3]) {
      assert.throws(() => framingOf(header(message, length)).take([message]), {
        ...violation,
        message: `invalid length of ${message.name}`,
      });
    }
  });

  Deno.test(`W9 ${message.name} over its limit is refused by its header alone`, () => {
    // 2^32 - 4 and its neighbours are where a length of 32 bits wraps (CVE-2024-27304).
    for (const length of [message.maxLength + 1, 0x7fff_ffff, 0x8000_0000, 0xffff_fffb, 0xffff_ffff]) {
      assert.throws(() => framingOf(header(message, length)).take([message]), {
        ...violation,
        message: `${message.name} is longer than the ${message.maxLength} bytes allowed`,
      });
    }
  });

  Deno.test(`W9 ${message.name} has a limit that a login can bear`, () => {
    assert.ok(message.maxLength >= 4 && message.maxLength <= 65_535);
  });

  Deno.test(`W9 ${message.name} of a declared length allocates nothing for it`, () => {
    const framing = framingOf(header(message, message.maxLength));
    assert.equal(largestAllocation(() => framing.take([message])), 0);
  });
}

Deno.test("largestAllocation() sees what is allocated", () => {
  assert.equal(largestAllocation(() => new Uint8Array(new ArrayBuffer(10)).slice(0, 9)), 10);
  assert.equal(largestAllocation(() => new Uint8Array(70_000)), 70_000);
  assert.equal(largestAllocation(() => framingOf("12345678")), 16);
});

Deno.test("peek() leaves the first byte in place", () => {
  const framing = framingOf("ab");
  assert.deepEqual([framing.peek(), framing.peek(), framing.buffered], [0x61, 0x61, 2]);
});

Deno.test("peek() has nothing to show before bytes come", () => {
  assert.equal(new Framing().peek(), undefined);
});

Deno.test("takeByte() takes one byte", () => {
  const framing = framingOf("SE");
  assert.deepEqual([framing.takeByte(), framing.buffered], [0x53, 1]);
});

Deno.test("takeByte() has nothing to give before bytes come", () => {
  assert.equal(new Framing().takeByte(), undefined);
});

Deno.test("takeAll() takes everything, whatever it is", () => {
  const framing = framingOf("Q", int32(7), "h");
  assert.deepEqual([framing.takeAll(), framing.buffered], [bytes("Q", int32(7), "h"), 0]);
});

Deno.test("framing of random bytes gives frames or a protocol violation", () => {
  fc.assert(fc.property(fc.uint8Array({ maxLength: 200 }), fc.subarray([...messages]), (chunk, expected) => {
    const framing = framingOf(chunk);
    try {
      while (framing.take(expected) !== null);
    } catch (error) {
      assert.equal((error as { sqlstate?: string }).sqlstate, "08P01");
    }
    assert.ok(framing.buffered <= chunk.length);
  }));
});

Deno.test.each([
  [0x51, '"Q"'],
  [0x7e, '"~"'],
  [0x20, "0x20"],
  [0x00, "0x00"],
  [0x1b, "0x1b"],
  [0x7f, "0x7f"],
  [0xff, "0xff"],
])("W16 printableType() of %d is %s", (type, printed) => {
  assert.equal(printableType(type), printed);
});

function framingOf(...fields: readonly Field[]): Framing {
  const framing = new Framing();
  framing.push(bytes(...fields));
  return framing;
}

function takeBody(framing: Framing, message: AnyMessage, chunks: Iterator<Uint8Array>): Uint8Array {
  for (;;) {
    const frame = framing.take([message]);
    if (frame !== null) return frame.body;
    const chunk = chunks.next();
    assert.ok(!chunk.done, `the bytes ended before ${message.name}`);
    framing.push(chunk.value);
  }
}

function* chunksOf(stream: Uint8Array, nextLength: () => number): Generator<Uint8Array> {
  for (let at = 0; at < stream.length;) {
    const length = nextLength();
    yield stream.subarray(at, at + length);
    at += length;
  }
}

/** The largest buffer that `action` allocates by its length, in bytes. */
function largestAllocation(action: () => unknown): number {
  const real = { Uint8Array, ArrayBuffer };
  let largest = 0;
  const watched = <C extends typeof Uint8Array | typeof ArrayBuffer>(constructor: C): C =>
    new Proxy(constructor, {
      construct(target, [first, ...rest]) {
        if (typeof first === "number") largest = Math.max(largest, first);
        return Reflect.construct(target, [first, ...rest]);
      },
    });
  Object.assign(globalThis, { Uint8Array: watched(Uint8Array), ArrayBuffer: watched(ArrayBuffer) });
  try {
    action();
  } finally {
    Object.assign(globalThis, real);
  }
  return largest;
}
