import assert from "node:assert/strict";
import { atOnce } from "../../lib/long_work.ts";
import { countDenied, type DenyMistake, isDenied, parseDenyList } from "../../lib/token/denied.ts";

const VERIFIED = { issuer: "corp", claims: {}, expiresAtMs: 0, requireEmailVerified: true };

Deno.test.each<[string, string, string[], string[]]>([
  ["an empty file", "", [], []],
  ["comments and empty lines", "# who left\n\n  # indented\n\t\n", [], []],
  ["one of each", "jti 7f3a\nsub alice\n", ["7f3a"], ["alice"]],
  ["no newline at the end", "sub alice", [], ["alice"]],
  ["lines of Windows", "jti a\r\nsub b\r\n", ["a"], ["b"]],
  ["a byte order mark", "\uFEFFsub alice\n", [], ["alice"]],
  ["tabs and several blanks", "sub\t\talice\n  jti   a  \n", ["a"], ["alice"]],
  ["values with blanks, colons and hashes", "sub CN=Alice Doe,OU=x\nsub a#b\njti urn:uuid:1\n", [
    "urn:uuid:1",
  ], [
    "CN=Alice Doe,OU=x",
    "a#b",
  ]],
  ["the same twice", "sub a\nsub a\n", [], ["a"]],
])("parseDenyList() reads %s", (_name, text, tokenIds, subjects) => {
  const parsed = atOnce(parseDenyList(text));
  assert(parsed.kind === "denied");
  assert.deepEqual([...parsed.denied.tokenIds], tokenIds);
  assert.deepEqual([...parsed.denied.subjects], subjects);
  assert.equal(countDenied(parsed.denied), tokenIds.length + subjects.length);
});

Deno.test.each<[string, string, DenyMistake[]]>([
  ["a line of another kind", "alice\n", [{ line: 1, says: 'must be "jti" or "sub", a blank and its value' }]],
  ["capital letters", "SUB alice", [{ line: 1, says: 'must be "jti" or "sub", a blank and its value' }]],
  ["a key without a value", "# x\njti \n", [{
    line: 2,
    says: 'must be "jti" or "sub", a blank and its value',
  }]],
  ["a comment behind a value", "sub alice # left", [{
    line: 1,
    says: "has a # behind its value: a comment needs a line of its own",
  }]],
  ["a value in quotes", 'sub "alice"', [{ line: 1, says: "has quotes around its value: leave them out" }]],
  ["what is not UTF-8", "sub ali\uFFFDe", [{ line: 1, says: "is not UTF-8" }]],
  ["a control character", "sub a\x07", [{ line: 1, says: "has a control character in its value" }]],
  ["every mistake of several", "x\nsub a\ny\n", [
    { line: 1, says: 'must be "jti" or "sub", a blank and its value' },
    { line: 3, says: 'must be "jti" or "sub", a blank and its value' },
  ]],
])("parseDenyList() tells of %s", (_name, text, mistakes) => {
  assert.deepEqual(atOnce(parseDenyList(text)), { kind: "mistakes", mistakes });
});

Deno.test.each<[string, { tokenId?: string; subject?: string }, boolean]>([
  ["its jti", { tokenId: "t1", subject: "bob" }, true],
  ["its sub", { tokenId: "t2", subject: "alice" }, true],
  ["neither", { tokenId: "t2", subject: "bob" }, false],
  ["neither: it has none", {}, false],
  ["its jti where a sub is meant", { tokenId: "alice" }, false],
  ["its sub in other letters", { subject: "Alice" }, false],
  ["the beginning of its sub", { subject: "alice2" }, false],
  ["its sub composed otherwise", { subject: "e\u0301ve" }, false],
])("isDenied() goes by exactly %s", (_name, named, expected) => {
  const parsed = atOnce(parseDenyList("jti t1\nsub alice\nsub \u00e9ve\n"));
  assert(parsed.kind === "denied");
  assert.equal(isDenied(parsed.denied, { ...VERIFIED, ...named }), expected);
});

Deno.test("parseDenyList() lets others have their turn every thousand lines", () => {
  const lines = Array.from({ length: 2_500 }, (_, line) => `sub s${line}`);
  let pauses = 0;
  const work = parseDenyList(lines.join("\n"));
  let step = work.next();
  for (; !step.done; step = work.next()) pauses++;
  const parsed = step.value;
  assert.equal(pauses, 2);
  assert.equal(parsed.kind === "denied" && parsed.denied.subjects.size, 2_500);
});

Deno.test("parseDenyList() takes no longer over a line of blanks than over one of letters", () => {
  const startMs = performance.now();
  const parsed = atOnce(parseDenyList(`sub a${" ".repeat(200_000)}b \t\r\n${" ".repeat(200_000)}\r\n`));
  assert.ok(performance.now() - startMs < 2_000);
  assert.deepEqual(parsed.kind === "denied" && [...parsed.denied.subjects], [`a${" ".repeat(200_000)}b`]);
});
