import assert from "node:assert/strict";
import fc from "fast-check";
import { matchWhole, parsePattern } from "../../lib/authorize/pattern.ts";
import { literalOf, parseTemplate, substitute, unknownCapture } from "../../lib/authorize/template.ts";

const pattern = parsePattern("/(?P<user>.*)@(.*)/");
const captures = matchWhole(pattern, "al@corp")!;

Deno.test.each([
  ["reader", "reader"],
  ["\\0", "al@corp"],
  ["\\1_\\2", "al_corp"],
  ["\\10", "al0"],
  ["\\{user}", "al"],
  ["a\\\\1", "a\\1"],
  ["{user}", "{user}"],
  ["\u{1f600}\\1", "\u{1f600}al"],
])("substitute() makes of %j", (text: string, expected: string) => {
  assert.equal(substitute(parseTemplate(text), { pattern, captures }), expected);
});

Deno.test("substitute() passes captures alone through encode", () => {
  const encode = encodeURIComponent;
  assert.equal(substitute(parseTemplate("@\\0"), { pattern, captures, encode }), "@al%40corp");
});

Deno.test("substitute() does not read a capture for captures again", () => {
  const pattern = parsePattern("/(.*)/");
  const captures = matchWhole(pattern, "\\1\\0")!;
  assert.equal(substitute(parseTemplate("\\1"), { pattern, captures }), "\\1\\0");
});

Deno.test("substitute() with captures encoded keeps a URL's structure, whatever they hold", () => {
  const template = parseTemplate("postgres://\\1@db.internal:5432/\\1?application_name=\\1");
  const pattern = parsePattern("/(?s)(.*)/");
  const hostile = fc.oneof(
    fc.string({ unit: "binary" }),
    fc.constantFrom(
      "@host/",
      "x@evil/",
      "?sslmode=disable",
      "#",
      "%00",
      "'\"",
      "a:b@c:1/d?e#f",
      "\\",
      "\r\n",
    ),
  );
  fc.assert(fc.property(hostile, (value) => {
    fc.pre(value.isWellFormed());
    const captures = matchWhole(pattern, value)!;
    const url = new URL(substitute(template, { pattern, captures, encode: encodeURIComponent })!);
    assert.equal(url.host, "db.internal:5432");
    assert.equal(decodeURIComponent(url.username), value);
    assert.deepEqual([...url.searchParams.keys()], ["application_name"]);
    assert.equal(url.hash, "");
  }));
});

Deno.test.each(["\\", "\\x", "\\{", "\\{}", "\\{a b}", "a\\\\\\"])(
  "parseTemplate() refuses %j",
  (text: string) => {
    assert.throws(() => parseTemplate(text), {
      name: "Mistake",
      message: "has a backslash that is no capture: write \\0 to \\9 or \\{name}, and \\\\ for a backslash",
    });
  },
);

Deno.test.each([
  ["/(a)/", "\\1", undefined],
  ["/(a)/", "\\2", "uses \\2, but match has no such group"],
  ["/(a)/", "\\{user}", "uses \\{user}, but match has no such group"],
  ["alice", "\\0", undefined],
  ["alice", "\\1", "uses \\1, but match is text, which captures only \\0"],
])("unknownCapture() for %s and %s", (pattern, template, message) => {
  assert.equal(unknownCapture(parseTemplate(template!), parsePattern(pattern!)), message);
});

Deno.test("literalOf() is the text without captures", () => {
  assert.equal(literalOf(parseTemplate("a\\\\b")), "a\\b");
  assert.equal(literalOf(parseTemplate("a\\0")), undefined);
});

Deno.test("parseTemplate() and literalOf() give any text without a backslash back", () => {
  fc.assert(fc.property(fc.string({ unit: "binary" }), (text) => {
    fc.pre(!text.includes("\\"));
    assert.equal(literalOf(parseTemplate(text)), text);
  }));
});
