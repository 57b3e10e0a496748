import assert from "node:assert/strict";
import { mistakesOfPolicy, parseBackendNames } from "../../lib/authorize/policy.ts";
import { atOnce } from "../../lib/long_work.ts";
import { policyOf } from "./policies.ts";

const reserved = (role: string) =>
  `would log in as the reserved role ${role}: only a rule whose match is text may`;

Deno.test.each([
  ["nothing wrong", {}, { user: "app" }, []],
  ["login_as reserved, match text", { login_as: "postgres" }, { user: "app" }, []],
  ["login_as reserved", { match: "/a/", login_as: "postgres" }, { user: "app" }, [
    "login_as " + reserved("postgres"),
  ]],
  ["login_as pg_…", { match: "/a/", login_as: "pg_monitor" }, { user: "app" }, [
    "login_as " + reserved("pg_monitor"),
  ]],
  ["the URL's user reserved", { match: "/a/" }, { user: "rdsadmin" }, ["backend " + reserved("rdsadmin")]],
  ["the URL's user reserved, match text", {}, { user: "rdsadmin" }, []],
  ["no role", {}, {}, ["backend has no user in its URL: give one there, or login_as here"]],
  ["a long role", { login_as: "x".repeat(64) }, { user: "app" }, [
    "login_as is no name of a role: PostgreSQL takes 1 to 63 bytes without NUL",
  ]],
  ["a URL's capture unknown", {}, { user: "app", database: "\\1" }, [
    "backend has a URL that uses \\1, but match is text, which captures only \\0",
  ]],
  ["a parameter's capture unknown", { match: "/(a)/" }, { user: "\\1", parameters: { options: "\\2" } }, [
    "backend has a URL that uses \\2, but match has no such group",
  ]],
])("mistakesOfPolicy() finds %s", (_case, rule, backend, expected) => {
  const found = atOnce(mistakesOfPolicy(policyOf([{}, rule], backend as Parameters<typeof policyOf>[1])));
  assert.deepEqual(found.filter((one) => one.rule === 1).map((one) => `${one.key} ${one.message}`), expected);
});

Deno.test("parseBackendNames() reads the captures of a URL's parts", () => {
  const parameters = new Map([["options", "-c a.b=\\0"]]);
  const names = parseBackendNames({ user: "\\1", parameters }, (message) => assert.fail(message));
  assert.deepEqual(names.user?.parts, [{ group: 1 }]);
  assert.equal(names.database, undefined);
  assert.deepEqual(names.parameters?.get("options")?.parts, ["-c a.b=", { group: 0 }]);
});

Deno.test("parseBackendNames() tells every backslash that is no capture", () => {
  const mistakes: string[] = [];
  const parameters = new Map([["options", "\\z"]]);
  parseBackendNames({ user: "\\x", database: "\\y", parameters }, (message) => mistakes.push(message));
  const rest =
    "that has a backslash that is no capture: write \\0 to \\9 or \\{name}, and \\\\ for a backslash";
  assert.deepEqual(mistakes, [`a user ${rest}`, `a database ${rest}`, `the parameter options ${rest}`]);
});
