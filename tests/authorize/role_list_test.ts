import assert from "node:assert/strict";
import { parseRoleList, rolesListed } from "../../lib/authorize/role_list.ts";
import { atOnce } from "../../lib/long_work.ts";

Deno.test.each<[string, unknown, unknown, readonly string[] | undefined]>([
  ["an array", "groups", { groups: ["dba", "dev"] }, ["dba", "dev"]],
  ["a dotted path", "realm_access.roles", { realm_access: { roles: ["dba"] } }, ["dba"]],
  ["one text", "role", { role: "dba" }, ["dba"]],
  ["one text with a space", "role", { role: "dba dev" }, ["dba dev"]],
  ["a scope", "scope", { scope: "openid dba" }, ["openid", "dba"]],
  ["an array with more than text", "groups", { groups: ["dba", 7, null, ["dev"]] }, ["dba"]],
  ["the first group", { claim: "scope", match: "/pg:(.*)/" }, { scope: "openid pg:dba pg:" }, ["dba", ""]],
  ["the first of two groups", { claim: "g", match: "/(a.*):(b.*)/" }, { g: ["a1:b1"] }, ["a1"]],
  ["no group", { claim: "g", match: "/db-.*/" }, { g: ["db-reader", "staff"] }, ["db-reader"]],
  ["text", { claim: "g", match: "dba" }, { g: ["dba", "dbas"] }, ["dba"]],
  ["a group that took no part", { claim: "g", match: "/x(y)?/" }, { g: ["x"] }, []],
  ["no match at all", { claim: "g", match: "/x/" }, { g: ["y"] }, []],
  ["a part of a value", { claim: "g", match: "/dba/" }, { g: ["a dba", "dba\n"] }, []],
  ["no such claim", "groups", {}, undefined],
  ["a number", "groups", { groups: 7 }, undefined],
  ["an empty array", "groups", { groups: [] }, undefined],
  ["an object", "groups", { groups: { dba: true } }, undefined],
])("rolesListed() takes %s", (_case, written, claims, roles) => {
  const listed = atOnce(rolesListed(claims, parseRoleList(written)));
  assert.deepEqual(listed && [...listed], roles);
});

Deno.test.each([
  [7, /^must be a claim, or a table/],
  [[], /^must be a claim, or a table/],
  [null, /^must be a claim, or a table/],
  [{}, /^must be a claim, or a table/],
  [{ claim: 7 }, /^must be a claim, or a table/],
  [{ claim: "a", match: 7 }, /^must be a claim, or a table/],
  [{ claim: "a", claims: "b" }, /^has the key "claims": there are claim and match$/],
  ["", /^must be a dotted path/],
  [{ claim: "a." }, /^has a claim that must be a dotted path/],
  [{ claim: "a", match: "/(/" }, /^has a match that is not a regular expression of RE2/],
])("parseRoleList() refuses %j", (written, message) => {
  assert.throws(() => parseRoleList(written), { name: "Mistake", message });
});
