import assert from "node:assert/strict";
import fc from "fast-check";
import { Reader } from "../../lib/wire/reader.ts";
import { Writer } from "../../lib/wire/writer.ts";
import { protocolString } from "./arbitraries.ts";
import { bytes, int32 } from "./bytes.ts";

Deno.test("writer.finish() fills in the length, which counts itself and not the type byte", () => {
  const written = new Writer().begin(0x51).string("hi").finish();
  assert.deepEqual([...written], [...bytes("Q", int32(7), "hi\0")]);
});

Deno.test("writer.begin() of no type begins with the length", () => {
  assert.deepEqual([...new Writer().begin(null).finish()], [...int32(4)]);
});

Deno.test("writer.begin() begins anew, with nothing of the message before", () => {
  const writer = new Writer();
  writer.begin(0x51).string("a secret").finish();
  assert.deepEqual([...writer.begin(0x58).finish()], [...bytes("X", int32(4))]);
});

Deno.test("writer.finish() gives bytes that a later message does not change", () => {
  const writer = new Writer();
  const first = writer.begin(0x51).string("first").finish();
  writer.begin(0x51).string("other").finish();
  assert.deepEqual([...first], [...bytes("Q", int32(10), "first\0")]);
});

Deno.test("writer.string() refuses a zero, behind which another field would begin", () => {
  assert.throws(() => new Writer().begin(null).string("user\0alice"), RangeError);
});

Deno.test("writer.string() refuses half a surrogate pair, which UTF-8 would make the same as any other", () => {
  for (const half of ["\ud800", "alice\udc00"]) {
    assert.throws(() => new Writer().begin(null).string(half), RangeError);
  }
});

Deno.test("writer.string() writes UTF-8", () => {
  assert.deepEqual([...new Writer().begin(null).string("é").finish()], [...int32(7), 0xc3, 0xa9, 0]);
});

Deno.test.each([63, 64, 65, 127, 128, 129, 1000, 65_536])(
  "writer.bytes() grows to hold %d bytes",
  (length) => {
    const value = new Uint8Array(length).fill(7);
    const written = new Writer().begin(null).bytes(value).uint8(9).finish();
    assert.deepEqual(written, new Uint8Array([...int32(length + 5), ...value, 9]));
  },
);

Deno.test("writer writes what reader reads", () => {
  const field = fc.oneof(
    fc.record({ write: fc.constant("uint8" as const), value: fc.integer({ min: 0, max: 0xff }) }),
    fc.record({ write: fc.constant("int16" as const), value: fc.integer({ min: -0x8000, max: 0x7fff }) }),
    fc.record({
      write: fc.constant("int32" as const),
      value: fc.integer({ min: -0x8000_0000, max: 0x7fff_ffff }),
    }),
    fc.record({ write: fc.constant("string" as const), value: protocolString }),
  );
  fc.assert(fc.property(fc.array(field), (fields) => {
    const writer = new Writer().begin(null);
    for (const { write, value } of fields) (writer[write] as (value: unknown) => void)(value);
    const reader = new Reader(writer.finish().subarray(4), "anything");
    for (const { write, value } of fields) assert.equal(reader[write](), value);
    reader.end();
  }));
});
