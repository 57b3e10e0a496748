import assert from "node:assert/strict";
import fc from "fast-check";
import { claimAt, parseClaimPath, valuesAt } from "../../lib/claims/claim_path.ts";

Deno.test.each([
  ["sub", ["sub"]],
  ["realm_access.roles", ["realm_access", "roles"]],
  ['"https://example.com/claims".role', ["https://example.com/claims", "role"]],
  ['a."b.c"', ["a", "b.c"]],
  ["cognito:groups", ["cognito:groups"]],
])("parseClaimPath() reads %s", (text, segments) => {
  assert.deepEqual(parseClaimPath(text as string).segments, segments);
});

Deno.test.each(["", ".", "a.", ".a", "a..b", '"a', 'a"b', '""', '"a"b', 'a."b'])(
  "parseClaimPath() refuses %j",
  (text: string) => {
    assert.throws(() => parseClaimPath(text), {
      name: "Mistake",
      message: "must be a dotted path of claim names, such as realm_access.roles",
    });
  },
);

const claims = JSON.parse('{"a":{"b":[1,{"c":2}]},"n":null,"s":"text","x.y":3,"__proto__":{"own":4}}');

Deno.test.each([
  ["a.b", [1, { c: 2 }]],
  ["a.b.0", undefined],
  ["a.b.length", undefined],
  ["n.x", undefined],
  ["n", null],
  ["s.length", undefined],
  ['"x.y"', 3],
  ["x.y", undefined],
  ["constructor", undefined],
  ["a.toString", undefined],
  ["a.__proto__", undefined],
  ["__proto__.own", 4],
])("claimAt() %s", (path, value) => {
  assert.deepEqual(claimAt(claims, parseClaimPath(path as string)), value);
});

Deno.test("claimAt() finds any own name, quoted", () => {
  fc.assert(fc.property(fc.string({ minLength: 1 }), (name) => {
    fc.pre(!name.includes('"'));
    assert.equal(claimAt(Object.fromEntries([[name, 1]]), parseClaimPath(`"${name}"`)), 1);
  }));
});

Deno.test.each<[string, unknown, readonly unknown[]]>([
  ["scope", { scope: "openid pg:reader pg:writer" }, ["openid", "pg:reader", "pg:writer"]],
  ["scope", { scope: "  openid   pg " }, ["openid", "pg"]],
  ["scope", { scope: "" }, []],
  ["scope", { scope: "a\tb\nc" }, ["a\tb\nc"]],
  ["scope", { scope: ["a b", "c"] }, ["a b", "c"]],
  ["scope", { scope: 7 }, [7]],
  ["scp", { scp: "a b" }, ["a", "b"]],
  ["scp", { scp: ["a", "b"] }, ["a", "b"]],
  ["scopes", { scopes: "a b" }, ["a b"]],
  ["x.scope", { x: { scope: "a b" } }, ["a b"]],
  ["name", { name: "Alice Liddell" }, ["Alice Liddell"]],
  ["groups", { groups: ["a", 1, null] }, ["a", 1, null]],
  ["groups", {}, []],
  ["groups", { groups: null }, [null]],
])("valuesAt() %s of %j", (path, claims, values) => {
  assert.deepEqual(valuesAt(claims, parseClaimPath(path)), values);
});
