import assert from "node:assert/strict";
import { BadBackendsFile, parseBackendsFile } from "../../lib/config/backends_file.ts";

Deno.test("parseBackendsFile() knows where each entry is written", () => {
  const entries = parseBackendsFile('{ "a": "x", "b": "y",\n\n  "c":\n "z", "d": "\\"\\n" }');
  assert.deepEqual(entries.map(({ key, place }) => [key, place.line, place.column]), [
    ["a", 1, 3],
    ["b", 1, 13],
    ["c", 3, 3],
    ["d", 4, 7],
  ]);
});

Deno.test("parseBackendsFile() reads ten thousand entries at once: nobody else is served meanwhile", () => {
  const entries = Array.from(
    { length: 10_000 },
    (_, index) => `  "user${index}": "postgres://${"x".repeat(90)}"`,
  );
  const text = `{\n${entries.join(",\n")}\n}`;
  const begun = performance.now();
  assert.deepEqual(parseBackendsFile(text).at(-1)!.place, { line: 10_001, column: 3 });
  assert(performance.now() - begun < 500);
});

Deno.test("parseBackendsFile() reads a text of ten megabytes", () => {
  const [{ url }] = parseBackendsFile(`{"a":"${"x".repeat(10_000_000)}"}`);
  assert.equal(url.length, 10_000_000);
});

Deno.test("parseBackendsFile() tells of 10 MB that are no JSON without a word of them", () => {
  const text = `{"a":"${"x".repeat(10_000_000)}" "secret"}`;
  assert.throws(() => parseBackendsFile(text), (error) => {
    assert(error instanceof BadBackendsFile);
    assert.equal(error.message, "is not JSON");
    return true;
  });
});
