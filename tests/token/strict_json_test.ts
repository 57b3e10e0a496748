import assert from "node:assert/strict";
import fc from "fast-check";
import { parseStrictJsonObject } from "../../lib/token/strict_json.ts";

const utf8 = (text: string) => new TextEncoder().encode(text);

Deno.test("parseStrictJsonObject() reads whatever JSON.stringify writes", () => {
  fc.assert(
    fc.property(fc.dictionary(fc.string({ unit: "binary" }), fc.jsonValue({ maxDepth: 5 })), (value) => {
      for (const indent of [0, 2]) {
        const text = JSON.stringify(value, null, indent);
        assert.deepEqual(parseStrictJsonObject(utf8(text)), JSON.parse(text));
      }
    }),
  );
});

Deno.test("parseStrictJsonObject() gives an object or a SyntaxError for any bytes", () => {
  fc.assert(fc.property(fc.uint8Array({ maxLength: 64 }), (bytes) => {
    try {
      assert.equal(typeof parseStrictJsonObject(bytes), "object");
    } catch (error) {
      assert.ok(error instanceof SyntaxError);
    }
  }));
});

Deno.test("parseStrictJsonObject() refuses a member twice wherever it is", () => {
  fc.assert(fc.property(fc.string(), fc.jsonValue({ maxDepth: 2 }), fc.nat(5), (name, value, depth) => {
    const member = `${JSON.stringify(name)}:${JSON.stringify(value)}`;
    const text = `${'{"in":['.repeat(depth)}{${member} , ${member}}${"]}".repeat(depth)}`;
    assert.throws(() => parseStrictJsonObject(utf8(text)), /member twice/);
  }));
});

Deno.test.each([
  ['{"a":"a","b":"a"}'],
  ['{"a":{"a":1}}'],
  ['{"a":[{"a":1},{"a":1}]}'],
  ['{"a":"\\"b\\":","b":1}'],
  ['{"a":"{[","b":"]}"}'],
  ['{"a":"\\\\","b":"\\\\\\""}'],
])("parseStrictJsonObject() accepts %s", (text) => {
  assert.deepEqual(parseStrictJsonObject(utf8(text)), JSON.parse(text));
});

Deno.test.each([
  ["array", "[]", /not an object/],
  ["string", '"a"', /not an object/],
  ["null", "null", /not an object/],
  ["nothing", "", /not JSON/],
  ["cut", '{"a":', /not JSON/],
  ["two values", "{}{}", /not JSON/],
  ["NaN", '{"a":NaN}', /not JSON/],
  ["comment", "{/* */}", /not JSON/],
  ["byte order mark", "\ufeff{}", /not JSON/],
  ["escaped twin", '{"a":1,"\\u0061":2}', /member twice/],
  ["lone surrogate", '{"a":"\\udc00"}', /surrogate/],
  ["lone surrogate in a name", '{"\\ud83d":1}', /surrogate/],
  ["65 deep", `{"a":${"[".repeat(64)}${"]".repeat(64)}}`, /deeper than 64/],
])("parseStrictJsonObject() refuses %s", (_name, text, message) => {
  assert.throws(() => parseStrictJsonObject(utf8(text)), message);
});

Deno.test("T17 the error does not quote its input", () => {
  assert.throws(
    () => parseStrictJsonObject(utf8("{confidential")),
    (error) => !Deno.inspect(error).includes("conf"),
  );
});
