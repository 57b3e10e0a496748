import assert from "node:assert/strict";
import fc from "fast-check";
import { decide, fill } from "../../lib/authorize/decide.ts";
import { parseBackendNames, type Policy } from "../../lib/authorize/policy.ts";
import { parseTarget, withIdentity } from "../../lib/connect/target.ts";
import { requestOf, ruleOf, summary } from "./policies.ts";

const target = parseTarget(
  String
    .raw`postgres://\1:pw@db1.internal:5432/\1?sslmode=verify-full&application_name=\1&options=-c%20app.user%3D\1`,
);

const policy: Policy = {
  rules: [ruleOf({ match: "/(?s)(.*)/" })],
  backends: new Map([["orders", parseBackendNames(target, (message) => assert.fail(message))]]),
  reservedRoles: [],
};

const HOSTILE = [
  "@host/",
  "x@evil/",
  "?sslmode=disable",
  "&host=evil",
  "%00",
  "%40",
  "'\"",
  "a b",
  "\\1",
  " -c role=root",
  "\n",
];

Deno.test("T13 whatever a capture holds, only names and values of the target change", () => {
  const subjects = fc.oneof(fc.constantFrom(...HOSTILE), fc.string({ unit: "binary", maxLength: 20 }));
  fc.assert(fc.property(subjects, (sub) => {
    const decision = decide(policy, requestOf({ sub }));
    if (decision.outcome === "refused") return;
    const filled = withIdentity(target, (text, encode) => fill(decision, { text, encode }));
    const { user, database, parameters, ...rest } = filled;
    const { user: _user, database: _database, parameters: _parameters, ...before } = target;
    assert.deepEqual(rest, before);
    assert.equal(user, sub);
    assert.equal(decision.role, sub);
    assert.equal(database, sub);
    assert.deepEqual([...parameters.keys()], ["application_name", "options"]);
    assert.equal(parameters.get("application_name"), sub);
    assert.equal(parameters.get("options")?.replaceAll(/\\([\s\\])/g, "$1"), `-c app.user=${sub}`);
  }));
});

Deno.test.each(HOSTILE)("T13 a capture of %j goes into one name", (sub: string) => {
  assert.equal(summary(decide(policy, requestOf({ sub }))), `${sub}@orders/${sub}`);
});
