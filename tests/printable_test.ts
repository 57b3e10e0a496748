import assert from "node:assert/strict";
import fc from "fast-check";
import { printable } from "../lib/printable.ts";

Deno.test.each([
  ["a newline", "a\nb", "a\\nb"],
  ["carriage return and tab", "\r\t", "\\r\\t"],
  ["ESC", "\x1b[31mred", "\\u001b[31mred"],
  ["NUL", "a\0b", "a\\u0000b"],
  ["C1 controls", "\x9b31m", "\\u009b31m"],
  ["bidi marks", "\u202eevil\u2066", "\\u202eevil\\u2066"],
  ["zero width", "a\u200bb\ufeff", "a\\u200bb\\ufeff"],
  ["line separators", "\u2028\u2029\x85", "\\u2028\\u2029\\u0085"],
  ["a space that is none", "a\u00a0b c", "a\\u00a0b c"],
  ["tag characters", "a\u{e0041}", "a\\u{e0041}"],
  ["a lone surrogate", "\ud800x", "\\ud800x"],
  ["a backslash, so that nothing can pretend to be escaped", "a\\n", "a\\\\n"],
  ["letters of any script, not at all", "Zoë 李 \u{1f600}", "Zoë 李 \u{1f600}"],
])("W16 printable() escapes %s", (_case, value, expected) => {
  assert.equal(printable(value!), expected);
});

Deno.test("W16 printable() cuts 10 kB, and says so", () => {
  assert.equal(printable("a".repeat(10_240)), `${"a".repeat(128)}… (10240 characters)`);
  assert.equal(printable("abc", 2), "ab… (3 characters)");
  assert.equal(printable("abc", 3), "abc");
});

Deno.test("W16 printable() cuts no surrogate pair in two", () => {
  assert.equal(printable("a\u{1f600}b", 2), "a… (4 characters)");
});

Deno.test("W16 printable() gives one line of visible characters, whatever comes", () => {
  fc.assert(fc.property(fc.string({ unit: "binary", maxLength: 300 }), (value) => {
    const shown = printable(value);
    assert.match(shown, /^[^\p{C}\p{Zl}\p{Zp}]*$/u);
    assert.ok(shown.isWellFormed());
  }));
});

Deno.test("printable() keeps different values different", () => {
  const unit = fc.constantFrom("\\", "n", "\n", "u", "0", "{", "}", "\x01", "\u{e0041}", "1");
  const texts = fc.string({ unit, maxLength: 8 });
  fc.assert(fc.property(texts, texts, (one, other) => {
    assert.equal(printable(one) === printable(other), one === other);
  }));
});
