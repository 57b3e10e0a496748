import assert from "node:assert/strict";
import { decide } from "../../lib/authorize/decide.ts";
import { mistakesOfPolicy } from "../../lib/authorize/policy.ts";
import { atOnce } from "../../lib/long_work.ts";
import { describe } from "../../lib/authorize/trail.ts";
import { Secret } from "../../lib/secret.ts";
import { policyOf, requestOf, summary } from "./policies.ts";

const byRoles = { match: undefined, roles: "realm_access.roles" };
const listing = (...roles: unknown[]) => ({ sub: "alice", realm_access: { roles } });
const asking = (user: string) => ({ user });

Deno.test.each([
  ["one listed", listing("reader", "writer"), "writer", "writer@orders/orders"],
  ["one not listed", listing("reader"), "writer", "role_not_listed"],
  ["one listed in another case", listing("Writer"), "writer", "role_not_listed"],
  ["a part of one listed", listing("writers"), "writer", "role_not_listed"],
  ["one in a token that lists none", listing(), "writer", "claim_missing"],
  ["one in a token without the claim", { sub: "alice" }, "writer", "claim_missing"],
  ["one listed as a number", listing(7), "7", "claim_missing"],
  ["a reserved one", listing("postgres"), "postgres", "reserved_role"],
  ["a reserved one in another spelling", listing("PG_Monitor"), "PG_Monitor", "reserved_role"],
  ["one of 64 bytes", listing("a".repeat(64)), "a".repeat(64), "role_is_no_name"],
])("decide() by roles alone lets in the user asked for: %s", (_case, claims, user, expected) => {
  assert.equal(summary(decide(policyOf([byRoles]), requestOf(claims, asking(user)))), expected);
});

Deno.test("decide() by roles takes the role asked for, not the URL's, unless login_as says another", () => {
  const request = requestOf(listing("reader"), asking("reader"));
  assert.equal(summary(decide(policyOf([byRoles]), request)), "reader@orders/orders");
  const shared = policyOf([{ ...byRoles, login_as: "app_ro" }]);
  assert.equal(summary(decide(shared, request)), "app_ro@orders/orders");
  assert.equal(summary(decide(shared, requestOf(listing("reader"), asking("app_ro")))), "role_not_listed");
});

Deno.test("decide() by roles of a scope, whose words are named for the database", () => {
  const policy = policyOf([{ match: undefined, roles: { claim: "scope", match: "/pg:(.*)/" } }]);
  const claims = { scope: "openid pg:reader" };
  assert.equal(summary(decide(policy, requestOf(claims, asking("reader")))), "reader@orders/orders");
  assert.equal(summary(decide(policy, requestOf(claims, asking("pg:reader")))), "role_not_listed");
  assert.equal(summary(decide(policy, requestOf(claims, asking("openid")))), "role_not_listed");
});

Deno.test("decide() by identity and roles asks for both", () => {
  const policy = policyOf([{ ...byRoles, match: "alice" }]);
  const request = (sub: string, user: string) => requestOf({ ...listing("reader"), sub }, asking(user));
  assert.equal(summary(decide(policy, request("alice", "reader"))), "reader@orders/orders");
  assert.equal(summary(decide(policy, request("bob", "reader"))), "claim_does_not_match");
  assert.equal(summary(decide(policy, request("alice", "writer"))), "role_not_listed");
});

Deno.test("decide() by roles still asks for users, databases, requirements and replication", () => {
  const request = requestOf(listing("reader"), asking("reader"));
  const outcome = (rule: Record<string, unknown>, asked = request) =>
    summary(decide(policyOf([{ ...byRoles, ...rule }]), asked));
  assert.equal(outcome({ users: ["writer"] }), "user_not_allowed");
  assert.equal(outcome({ users: ["reader"] }), "reader@orders/orders");
  assert.equal(outcome({ databases: ["stock"] }), "database_not_allowed");
  assert.equal(outcome({ require: { tenant: "acme" } }), "requirement_not_held");
  assert.equal(outcome({}, { ...request, replication: true }), "replication_not_allowed");
});

Deno.test("T11 decide() takes roles from email only where it is verified", () => {
  const policy = policyOf([{ match: undefined, roles: "email" }]);
  const asked = requestOf({ email: "reader" }, asking("reader"));
  assert.equal(summary(decide(policy, asked)), "email_not_verified");
});

Deno.test("decide() by roles asks no email of anyone but where it is compared", () => {
  // claim = "email" is the business of match alone.
  const asked = requestOf({ ...listing("reader"), email: "x" }, asking("reader"));
  assert.equal(summary(decide(policyOf([byRoles]), asked)), "reader@orders/orders");
});

Deno.test.each([
  ["a reserved role written out", { ...byRoles, login_as: "postgres" }, [
    "would log in as the reserved role postgres: only a rule whose match is text may",
  ]],
  ["no role written", byRoles, []],
  ["one written out", { ...byRoles, login_as: "app_ro" }, []],
])("mistakesOfPolicy() of a rule by roles with %s", (_case, rule, messages) => {
  const policy = policyOf([rule], {});
  assert.deepEqual(atOnce(mistakesOfPolicy(policy)).map(({ message }) => message), messages);
});

const NOW = requestOf({}).nowMs;

Deno.test.each([
  ["just issued", NOW, "app@orders/orders"],
  ["issued a moment ahead of our clock", NOW + 30_000, "app@orders/orders"],
  ["as old as may be, and our clock 60 s ahead", NOW - 660_000, "app@orders/orders"],
  ["a little older", NOW - 660_001, "token_too_old"],
  ["issued who knows when", undefined, "token_without_time"],
])("decide() with max_token_age of 10 min and a token %s", (_case, issuedAtMs, expected) => {
  const policy = policyOf([{ max_token_age: "10m" }]);
  assert.equal(summary(decide(policy, requestOf({ sub: "alice" }, { issuedAtMs }))), expected);
});

const KEY = new Secret("k".repeat(32));
const HEX = /^[0-9a-f]{32}$/;

function recorded(rule: Record<string, unknown>, request: ReturnType<typeof requestOf>) {
  const decision = decide({ ...policyOf([rule]), pseudonymKey: KEY }, request);
  assert.ok(decision.outcome === "granted");
  return decision;
}

Deno.test.each([
  ["the value matched", { claim: "email", match: "/.*/" }, "al@corp.com"],
  ["the subject, where no name is asked for", { match: undefined, roles: "groups" }, "alice"],
])("decide() records %s", (_case, rule, identity) => {
  const claims = { sub: "alice", email: "al@corp.com", email_verified: true, groups: ["alice"] };
  const granted = recorded(rule, requestOf(claims, { subject: "alice", tokenId: "7" }));
  assert.equal(granted.identity, identity);
  assert.equal(granted.tokenId, "7");
});

Deno.test("decide() records no identity where there is none", () => {
  const granted = recorded({ match: undefined, roles: "groups" }, requestOf({ groups: ["alice"] }));
  assert.equal(granted.identity, undefined);
  assert.equal(granted.tokenId, undefined);
});

const hidden = { record_identity: false };

Deno.test("decide() with record_identity = false says nothing of what the token says of its bearer", () => {
  const claims = {
    sub: "s-4711",
    email: "al@corp.com",
    email_verified: true,
    jti: "j-0815",
    name: "Alice L",
  };
  const request = requestOf(claims, { subject: "s-4711", tokenId: "j-0815", user: "reader" });
  const rule = { ...hidden, claim: "email", match: "/.*@corp\\.com/" };
  const granted = recorded(rule, request);
  assert.match(granted.identity!, HEX);
  assert.match(granted.tokenId!, HEX);
  assert.notEqual(granted.identity, granted.tokenId);
  const text = JSON.stringify(granted);
  for (const secret of ["s-4711", "al@corp", "j-0815", "Alice L"]) assert.ok(!text.includes(secret), text);
});

Deno.test("decide() gives a person one pseudonym by every rule, all day long, and another the next day", () => {
  const claims = { sub: "alice", email: "al@corp.com", email_verified: true, groups: ["alice"] };
  const identity = (rule: Record<string, unknown>, nowMs = Date.UTC(2026, 0, 1)) =>
    recorded({ ...hidden, ...rule }, requestOf(claims, { subject: "alice", nowMs })).identity;
  const bySub = identity({});
  assert.equal(identity({ claim: "email", match: "/.*/" }), bySub);
  assert.equal(identity({ match: undefined, roles: "groups" }), bySub);
  assert.equal(identity({}, Date.UTC(2026, 0, 2) - 1), bySub);
  assert.notEqual(identity({}, Date.UTC(2026, 0, 2)), bySub);
});

Deno.test("decide() makes a pseudonym of what matched where a token has no subject", () => {
  const granted = recorded({ ...hidden, claim: "email", match: "/.*/" }, {
    ...requestOf({ email: "al@corp.com", email_verified: true }),
  });
  assert.match(granted.identity!, HEX);
});

Deno.test("decide() without a key records nobody at all", () => {
  const decision = decide(
    policyOf([hidden]),
    requestOf({ sub: "alice" }, { subject: "alice", tokenId: "7" }),
  );
  assert.ok(decision.outcome === "granted");
  assert.deepEqual([decision.identity, decision.tokenId], [undefined, undefined]);
});

Deno.test("decide() refuses without a name where one rule for the issuer records nobody", () => {
  const captured = { match: "/(.*)/", login_as: "\\1" };
  const refuse = (...rules: Record<string, unknown>[]) => {
    const decision = decide(policyOf(rules), requestOf({ sub: "pg_alice" }));
    assert.ok(decision.outcome === "refused");
    return { recordsIdentity: decision.recordsIdentity, text: decision.trail.map(describe).join("; ") };
  };
  const elsewhere = { ...hidden, issuer: "other", match: "x" };
  const open = refuse(elsewhere, captured);
  assert.equal(open.recordsIdentity, true);
  assert.match(open.text, /refuses: pg_alice is a reserved role/);
  const closed = refuse({ ...hidden, match: "bob" }, captured);
  assert.equal(closed.recordsIdentity, false);
  assert.match(closed.text, /refuses: what it leads to is a reserved role/);
  assert.ok(!closed.text.includes("alice"));
});
