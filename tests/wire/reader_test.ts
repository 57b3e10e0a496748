import assert from "node:assert/strict";
import fc from "fast-check";
import { Reader } from "../../lib/wire/reader.ts";
import { bytes, type Field } from "./bytes.ts";

const violation = (message: string) => ({ name: "PgError", sqlstate: "08P01", message });

Deno.test("reader.uint8() reads one byte", () => {
  assert.equal(reader(0xff).uint8(), 255);
});

Deno.test("reader.int16() reads a signed number in network order", () => {
  assert.equal(reader(0xff, 0xfe).int16(), -2);
});

Deno.test("reader.int32() reads a signed number in network order", () => {
  assert.equal(reader(0x80, 0, 0, 1).int32(), -0x7fff_ffff);
});

Deno.test("reader.uint32() reads an unsigned number in network order", () => {
  assert.equal(reader(0x80, 0, 0, 1).uint32(), 0x8000_0001);
});

Deno.test.each<[string, (r: Reader) => unknown, number]>([
  ["uint8", (r) => r.uint8(), 0],
  ["int16", (r) => r.int16(), 1],
  ["int32", (r) => r.int32(), 3],
  ["uint32", (r) => r.uint32(), 3],
  ["bytes", (r) => r.bytes(5), 4],
])("reader.%s() refuses a body that ends too early", (_name, read, length) => {
  assert.throws(
    () => read(new Reader(new Uint8Array(length), "Query")),
    violation("malformed Query: it ends too early"),
  );
});

Deno.test("reader.bytes() refuses a negative length", () => {
  assert.throws(() => reader(1, 2, 3).bytes(-1), violation("malformed Query: it ends too early"));
});

Deno.test("reader.bytes() gives a view, not a copy", () => {
  const body = bytes("abc");
  assert.equal(new Reader(body, "Query").bytes(2).buffer, body.buffer);
});

Deno.test("reader reads a body that is itself a view into a larger buffer", () => {
  const body = bytes("....", [0, 0, 0, 7], "hi\0").subarray(4);
  const r = new Reader(body, "Query");
  assert.deepEqual([r.int32(), r.string(), r.remaining], [7, "hi", 0]);
});

Deno.test("reader.rest() takes all that is left", () => {
  const r = reader(1, 2, 3);
  r.uint8();
  assert.deepEqual([[...r.rest()], r.remaining], [[2, 3], 0]);
});

Deno.test("reader.rest() of a body used up is empty", () => {
  assert.equal(reader().rest().length, 0);
});

Deno.test("reader.string() stops at its zero", () => {
  const r = reader("ab\0cd\0");
  assert.deepEqual([r.string(), r.string(), r.remaining], ["ab", "cd", 0]);
});

Deno.test("reader.string() refuses an unterminated string", () => {
  assert.throws(() => reader("abc").string(), violation("malformed Query: it has an unterminated string"));
});

Deno.test.each([
  ["a lone continuation byte", [0x80, 0]],
  ["an overlong zero", [0xc0, 0x80, 0]],
  ["an overlong slash", [0xe0, 0x80, 0xaf, 0]],
  ["a surrogate", [0xed, 0xa0, 0x80, 0]],
  ["a code point past the last", [0xf4, 0x90, 0x80, 0x80, 0]],
  ["a sequence cut by the zero", [0xe2, 0x82, 0]],
])("reader.string() refuses %s", (_case, body) => {
  assert.throws(
    () => reader(body).string(),
    violation("malformed Query: it has a string that is not valid UTF-8"),
  );
});

Deno.test("reader.string() keeps a byte order mark, so that two names never read as one", () => {
  assert.equal(reader("\ufeffalice\0").string(), "\ufeffalice");
});

Deno.test("reader.text() keeps a byte order mark", () => {
  assert.equal(reader("\ufeffa\0").text(), "\ufeffa");
});

Deno.test("reader.text() shows what is not UTF-8 as U+FFFD", () => {
  assert.equal(reader("caf", 0xe9, 0).text(), "caf\ufffd"); // LATIN1
});

Deno.test("reader.text() refuses an unterminated string", () => {
  assert.throws(() => reader("abc").text(), violation("malformed Query: it has an unterminated string"));
});

Deno.test("reader.end() holds when nothing is left", () => {
  reader().end();
});

Deno.test("reader.end() refuses bytes that are left", () => {
  assert.throws(() => reader(1, 2).end(), violation("malformed Query: it has 2 bytes too many"));
});

Deno.test("reader never reads outside its body", () => {
  const step = fc.constantFrom("uint8", "int16", "int32", "uint32", "string", "text", "rest");
  fc.assert(fc.property(fc.uint8Array({ maxLength: 40 }), fc.array(step), (body, steps) => {
    // Behind the body lies what another message left in the same buffer.
    const buffer = new Uint8Array([...body, ...bytes("another's secret\0")]);
    const r = new Reader(buffer.subarray(0, body.length), "Query");
    for (const name of steps) {
      const before = r.remaining;
      try {
        const value = r[name]();
        if (typeof value === "string") assert.ok(!value.includes("secret"));
      } catch (error) {
        assert.equal((error as { sqlstate?: string }).sqlstate, "08P01");
      }
      assert.ok(r.remaining >= 0 && r.remaining <= before);
    }
  }));
});

function reader(...fields: readonly Field[]): Reader {
  return new Reader(bytes(...fields), "Query");
}
