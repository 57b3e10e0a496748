import assert from "node:assert/strict";
import fc from "fast-check";
import { holds, parseRequirements } from "../../lib/claims/requirement.ts";

Deno.test.each<[unknown, string]>([
  ["dba", 'must be a table of claims and their values, such as { groups = "dba" }'],
  [["dba"], 'must be a table of claims and their values, such as { groups = "dba" }'],
  [new Date(0), 'must be a table of claims and their values, such as { groups = "dba" }'],
  [
    { "a..b": 1 },
    'names the claim "a..b", which must be a dotted path of claim names, such as realm_access.roles',
  ],
  [{ groups: [] }, "accepts no value for groups: name at least one"],
  [
    { a: { b: 1 } },
    'must give a a text, a number, a boolean or an array of these; quote a dotted claim: "a.b" = …',
  ],
  [
    { a: [1, new Date(0)] },
    'must give a a text, a number, a boolean or an array of these; quote a dotted claim: "a.b" = …',
  ],
])("parseRequirements() refuses %j", (table, message) => {
  assert.throws(() => parseRequirements(table), { name: "Mistake", message });
});

Deno.test("holds() is membership for arrays, and equality otherwise", () => {
  const value = fc.oneof(fc.string(), fc.integer(), fc.boolean());
  fc.assert(fc.property(value, fc.oneof(value, fc.array(value)), (wanted, claim) => {
    const [requirement] = parseRequirements({ claim: wanted });
    const expected = Array.isArray(claim) ? claim.includes(wanted) : claim === wanted;
    assert.equal(holds(requirement, { claim }), expected);
  }));
});

Deno.test("holds() looks into no nested array, and coerces nothing", () => {
  const [requirement] = parseRequirements({ claim: ["1", true] });
  for (const claim of [[["1"]], 1, "true", { "1": 1 }, null, undefined]) {
    assert.equal(holds(requirement, { claim }), false);
  }
});

Deno.test.each([
  ["a word of it", "pg", true],
  ["a part of a word", "open", false],
  ["two words at once", "openid pg", false],
  ["all of a word with a colon", "pg:reader", true],
])("holds() takes scope as a list of words: %s", (_case, wanted, expected) => {
  const [requirement] = parseRequirements({ scope: wanted });
  assert.equal(holds(requirement, { scope: "openid pg pg:reader" }), expected);
});
