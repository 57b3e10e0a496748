import assert from "node:assert/strict";
import fc from "fast-check";
import { linesOf } from "../../../lib/token/validator/lines.ts";

const MAX_BYTES = 8;

async function readLines(chunks: readonly Uint8Array[]) {
  let long = 0;
  const lines: number[][] = [];
  const reader = ReadableStream.from(chunks).getReader();
  const limits = { maxBytes: MAX_BYTES, onLong: () => void long++ };
  for await (const line of linesOf(reader, limits)) lines.push([...line]);
  return { lines, long };
}

const bytes = (text: string) => new TextEncoder().encode(text);

Deno.test.each([
  ["nothing", "", []],
  ["lines", "a\nbc\n", ["a", "bc"]],
  ["a last line without its newline", "a\nbc", ["a", "bc"]],
  ["empty lines", "\n\na\n", ["", "", "a"]],
  ["a carriage return, which is kept", "a\r\n", ["a\r"]],
  ["a line as long as may be", "12345678\n", ["12345678"]],
])("linesOf() takes apart %s", async (_name, text, expected) => {
  const { lines, long } = await readLines([bytes(text)]);
  assert.deepEqual(lines, expected.map((line) => [...bytes(line)]));
  assert.equal(long, 0);
});

Deno.test("linesOf() cuts a longer line, and says so once", async () => {
  const { lines, long } = await readLines([bytes("12345"), bytes("67890"), bytes("12345\nab\n")]);
  assert.deepEqual(lines, ["12345678", "ab"].map((line) => [...bytes(line)]));
  assert.equal(long, 1);
});

Deno.test("linesOf() gives the same lines for any chunks", async () => {
  const byte = fc.constantFrom(0x0a, 0x61, 0x62, 0x00, 0xff);
  const chunks = fc.array(fc.array(byte, { maxLength: 12 }).map((values) => Uint8Array.from(values)));
  await fc.assert(fc.asyncProperty(chunks, async (parts) => {
    const whole = Uint8Array.from(parts.flatMap((part) => [...part]));
    assert.deepEqual(await readLines(parts), await readLines([whole]));
  }));
});
