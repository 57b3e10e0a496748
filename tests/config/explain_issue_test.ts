import assert from "node:assert/strict";
import * as v from "valibot";
import { explain } from "../../lib/config/explain_issue.ts";

const method = v.variant("method", [
  v.strictObject({ method: v.literal("file"), path: v.pipe(v.string(), v.description("name the file")) }),
  v.strictObject({ method: v.literal("fetch"), url: v.string() }),
]);

const schema = v.pipe(
  v.strictObject({
    text: v.string(),
    worded: v.optional(v.string("must be a word")),
    sentence: v.optional(v.string("Only a word will do")),
    abbreviation: v.optional(v.string("TLS needs a word")),
    words: v.optional(v.array(v.string('"words" must be words'))),
    quoted: v.optional(v.string('"quoted" must be a word')),
    flag: v.optional(v.boolean()),
    list: v.optional(v.array(v.strictObject({ size: v.number() }))),
    method: v.optional(method),
    free: v.optional(v.record(v.string(), v.string())),
  }),
  v.check(() => true),
);

function explanations(value: unknown): string[] {
  const issues = v.safeParse(schema, value).issues ?? [];
  return explain(value, { schema, issues }).map(({ path, says }) => `${path.join(".")} ${says}`);
}

Deno.test.each<[string, unknown, string[]]>([
  ["nothing wrong", { text: "a" }, []],
  ["a missing key", {}, ["text is required"]],
  ["a missing key that has a description", { text: "a", method: { method: "file" } }, [
    "method.path is required: name the file",
  ]],
  ["a type in valibot's words", { text: 1 }, ["text must be text in quotes"]],
  ["another", { text: "a", flag: "yes" }, ["flag must be true or false"]],
  ["an array in valibot's words", { text: "a", list: 1 }, ["list must be an array"]],
  ["a table in an array", { text: "a", list: [1] }, ["list.0 must be a table"]],
  ["a value in a table in an array", { text: "a", list: [{ size: "1" }] }, ["list.0.size must be a number"]],
  ["a room's predicate", { text: "a", worded: 1 }, ["worded must be a word"]],
  ["a room's sentence", { text: "a", sentence: 1 }, ["sentence is wrong: only a word will do"]],
  ["a room's predicate behind the quoted key", { text: "a", quoted: 1 }, ["quoted must be a word"]],
  ["a room's sentence that begins with an abbreviation", { text: "a", abbreviation: 1 }, [
    "abbreviation is wrong: TLS needs a word",
  ]],
  ["a room's predicate behind the quoted key of an array", { text: "a", words: [1] }, [
    "words.0 must be words",
  ]],
  ["every unknown key", { text: "a", x: 1, flat: 1 }, [
    "x is not a known key: there are text, worded, sentence, abbreviation, words, quoted, flag, list, method, free",
    "flat is not a known key: did you mean flag?",
  ]],
  ["an unknown key inside", { text: "a", list: [{ size: 1 }, { size: 1, sise: 2 }] }, [
    "list.1.sise is not a known key: did you mean size?",
  ]],
  ["an unknown key of an alternative", { text: "a", method: { method: "file", path: "x", ulr: 1 } }, [
    "method.ulr is not a known key: did you mean url?",
  ]],
  ["a key of another alternative", { text: "a", method: { method: "file", path: "x", url: "y" } }, [
    "method.url is not a known key here",
  ]],
  ["a required key that is misspelt, once", { texd: "a" }, ["texd is not a known key: did you mean text?"]],
  ["a key misspelt beside the right one, which is wrong too", { texd: "a", text: 1 }, [
    "texd is not a known key: did you mean text?",
    "text must be text in quotes",
  ]],
  ["keys of a free table, not at all", { text: "a", free: { any: "b" } }, []],
])("explain() tells %s", (_case, value, expected) => {
  assert.deepEqual(explanations(value), expected);
});
