import assert from "node:assert/strict";
import fc from "fast-check";
import { groupCount, groupNamed, matchWhole, parsePattern } from "../../lib/authorize/pattern.ts";

Deno.test.each([
  ["alice", "alice", ["alice"]],
  ["alice", "alice\n", undefined],
  ["a.c", "abc", undefined],
  ["/dba", "/dba", ["/dba"]],
  ["/", "/", ["/"]],
  ["/(a|ab)(c|bcd)?/", "abcd", ["abcd", "a", "bcd"]],
  ["/(x)?a/", "a", ["a", undefined]],
  ["/a\\/b/", "a/b", ["a/b"]],
  ["/(.)/", "\u{1f600}", ["\u{1f600}", "\u{1f600}"]],
])("matchWhole() of %j and %j", (pattern, value, captures) => {
  assert.deepEqual(matchWhole(parsePattern(pattern as string), value as string), captures);
});

Deno.test.each([
  ["an unanchored expression does not match a part", "/alice/", "malice"],
  ["nor a beginning", "/alice/", "alice2"],
  ["an anchored alternative does not free the other", "/^a|b$/", "axb"],
  ["a dot matches no newline", "/a.*/", "a\nb"],
  ["$ does not match before a newline", "/^alice$/", "alice\n"],
  ["nor does $ of the multi-line flag", "/(?m)^alice$/", "alice\nbob"],
  ["\\z is the very end", "/alice\\z/", "alice\n"],
  ["case counts", "/alice/", "ALICE"],
])("T12 always the whole string: %s", (_case, pattern, value) => {
  assert.equal(matchWhole(parsePattern(pattern), value), undefined);
});

Deno.test("T12 (a+)+$ against 50 kB takes linear time", () => {
  // A backtracking engine would take 2^50000 steps: that this ends at all is the proof.
  assert.equal(matchWhole(parsePattern("/(a+)+$/"), "a".repeat(50_000) + "b"), undefined);
});

Deno.test.each([
  ["", "must not be empty: give the value itself, or /an expression/ for all of it"],
  ["//", "must not be empty: give the value itself, or /an expression/ for all of it"],
  ["/(/", "is not a regular expression of RE2: missing closing ): `(`"],
  ["/a(?=b)/", "is not a regular expression of RE2: invalid or unsupported Perl syntax: `(?=`"],
  ["/(a)\\1/", "is not a regular expression of RE2: invalid escape sequence: `\\1`"],
  ["/a{1001}/", "is not a regular expression of RE2: invalid repeat count: `{1001}`"],
  [
    "/(([a-z]{1,100}){1,10})x/",
    "is too large an expression: with its repetitions written out it takes 2024 steps, where 1000 are allowed",
  ],
  ["/alice/i", "has flags behind its last slash: write them inside, as in /(?i)…/"],
])("parsePattern() refuses %j", (text: string, message: string) => {
  assert.throws(() => parsePattern(text), { name: "Mistake", message });
});

Deno.test("groupCount() and groupNamed() tell the groups", () => {
  const pattern = parsePattern("/(?P<user>.*)@(.*)/");
  assert.equal(groupCount(pattern), 2);
  assert.equal(groupNamed(pattern, "user"), 1);
  assert.equal(groupNamed(pattern, "toString"), undefined);
  assert.equal(groupCount(parsePattern("alice")), 0);
});

Deno.test("matchWhole() of a text is equality", () => {
  fc.assert(fc.property(fc.string({ minLength: 1 }), fc.string(), (text, value) => {
    fc.pre(!text.startsWith("/"));
    assert.equal(matchWhole(parsePattern(text), value) !== undefined, text === value);
  }));
});
