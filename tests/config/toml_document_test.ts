import assert from "node:assert/strict";
import { type KeyPath, TomlDocument } from "../../lib/config/toml_document.ts";

const document = TomlDocument.parse(`top = 1
[listen]
address = "a"
  "quoted.key" = { inner = [1,
    2] }
[[rules]]
require.a.b = 1
[[rules]]
[rules.require]
c = 2
[deep.er]
`);

Deno.test.each<[KeyPath, number, number]>([
  [["top"], 1, 1],
  [["listen"], 2, 1],
  [["listen", "address"], 3, 1],
  [["listen", "quoted.key"], 4, 3],
  [["listen", "quoted.key", "inner"], 4, 20],
  [["listen", "quoted.key", "inner", 1], 5, 5],
  [["rules", 0], 6, 1],
  [["rules", 0, "require", "a", "b"], 7, 1],
  [["rules", 1], 8, 1],
  [["rules", 1, "require"], 9, 1],
  [["rules", 1, "require", "c"], 10, 1],
  [["deep"], 11, 1],
  [["listen", "missing"], 2, 1],
  [["rules", 1, "missing", "too"], 8, 1],
])("TomlDocument.placeOf() %j is line %d, column %d", (path, line, column) => {
  assert.deepEqual(document.placeOf(path), { line, column });
});

Deno.test("TomlDocument.placeOf() what is not there at all is nowhere", () => {
  assert.equal(document.placeOf(["log"]), undefined);
  assert.equal(document.placeOf([]), undefined);
});

Deno.test.each([
  ["a = ", "unspecified values are invalid", 1, 5],
  ["a = 1\na = 2", "defining a key multiple times is invalid", 2, 1],
  ["\n[a]\nb = 'x\n", "unterminated string constant", 3, 7],
])("TomlDocument.parse() of %j says %s", (text, message, line, column) => {
  assert.throws(() => TomlDocument.parse(text as string), {
    name: "TomlSyntaxError",
    message,
    place: { line, column },
  });
});
