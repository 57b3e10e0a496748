import assert from "node:assert/strict";
import fc from "fast-check";
import { decide, deciding, fill } from "../../lib/authorize/decide.ts";
import { DEFAULT_LIFETIME } from "../../lib/authorize/lifetime.ts";
import { policyOf, requestOf, summary } from "./policies.ts";

Deno.test("A5 decide() lets in by the first rule whose conditions all hold", () => {
  const policy = policyOf([{ match: "bob" }, { name: "hers" }, { backend: "other" }]);
  const decision = decide(policy, requestOf({ sub: "alice" }, { tokenId: "7" }));
  assert.deepEqual(decision, {
    outcome: "granted",
    rule: { index: 1, name: "hers" },
    backend: "orders",
    role: "app",
    database: "orders",
    identity: "alice",
    tokenId: "7",
    captures: ["alice"],
    match: { kind: "text", text: "alice" },
    maxConnections: undefined,
    lifetime: {
      ...DEFAULT_LIFETIME,
      maxSessionMs: undefined,
      idleMs: undefined,
      idleInTransactionMs: undefined,
      reintrospectMs: undefined,
    },
    recordsIdentity: true,
    trail: [
      { rule: { index: 0, name: undefined }, kind: "claim_does_not_match", claim: "sub" },
      { rule: { index: 1, name: "hers" }, kind: "granted" },
    ],
  });
});

Deno.test("decide() refuses where there is no rule", () => {
  const refused = { outcome: "refused", recordsIdentity: true, trail: [] };
  assert.deepEqual(decide(policyOf([]), requestOf({ sub: "alice" })), refused);
});

const email = { claim: "email", match: "/^(.*)@corp\\.com$/", login_as: "\\1" };
const verified = { email_verified: true };

Deno.test.each([
  ["another issuer", {}, requestOf({ sub: "alice" }, { issuer: "other" }), "issuer_differs"],
  ["no such claim", {}, requestOf({}), "claim_missing"],
  ["a claim that is a number", { match: "1" }, requestOf({ sub: 1 }), "claim_missing"],
  ["another value", {}, requestOf({ sub: "alicia" }), "claim_does_not_match"],
  ["another case", {}, requestOf({ sub: "Alice" }), "claim_does_not_match"],
  ["a user not listed", { users: ["bob"] }, requestOf({ sub: "alice" }), "user_not_allowed"],
  ["a user listed", { users: ["bob", "alice"] }, requestOf({ sub: "alice" }), "app@orders/orders"],
  ["any user", { users: ["*"] }, requestOf({ sub: "alice" }, { user: "x" }), "app@orders/orders"],
  ["users absent", {}, requestOf({ sub: "alice" }, { user: "x" }), "app@orders/orders"],
  ["a database not listed", { databases: ["stock"] }, requestOf({ sub: "alice" }), "database_not_allowed"],
  [
    "a database captured",
    { databases: ["\\0"] },
    requestOf({ sub: "alice" }, { database: "alice" }),
    "app@orders/alice",
  ],
  ["a network not listed", { networks: ["10.0.0.0/8"] }, requestOf({ sub: "alice" }), "network_not_allowed"],
  [
    "one of the networks listed",
    { networks: ["10.0.0.0/8", "2001:db8::/32"] },
    requestOf({ sub: "alice" }, { clientAddress: "2001:db8::7" }),
    "app@orders/orders",
  ],
  ["replication", {}, requestOf({ sub: "alice" }, { replication: true }), "replication_not_allowed"],
  [
    "replication allowed",
    { replication: true },
    requestOf({ sub: "alice" }, { replication: true }),
    "app@orders/orders",
  ],
  ["login_as", { login_as: "reader" }, requestOf({ sub: "alice" }), "reader@orders/orders"],
  ["an e-mail address", email, requestOf({ email: "al@corp.com", ...verified }), "al@orders/orders"],
])("decide() for %s", (_case, rule, request, expected) => {
  assert.equal(summary(decide(policyOf([rule]), request)), expected);
});

Deno.test.each([
  ["one that holds", { groups: "dba" }, { groups: ["dev", "dba"] }, "app@orders/orders"],
  ["one that does not", { groups: "dba" }, { groups: ["dbas"] }, "requirement_not_held"],
  ["one that is missing", { groups: "dba" }, {}, "requirement_not_held"],
  ["any of several values", { dept: ["a", "b"] }, { dept: "b" }, "app@orders/orders"],
  ["several, of which one fails", { dept: "a", level: 3 }, { dept: "a", level: 2 }, "requirement_not_held"],
  ["a number, not its text", { level: 3 }, { level: "3" }, "requirement_not_held"],
  ["a boolean", { employee: true }, { employee: true }, "app@orders/orders"],
  ["a boolean, not its text", { employee: true }, { employee: "true" }, "requirement_not_held"],
  ["a dotted path", { "realm.roles": "dba" }, { realm: { roles: ["dba"] } }, "app@orders/orders"],
  ["a name with dots", { '"a.b".c': 1 }, { "a.b": { c: 1 } }, "app@orders/orders"],
  ["a prototype's property", { "constructor.name": "Object" }, {}, "requirement_not_held"],
])("decide() with the requirement of %s", (_case, require, claims, expected) => {
  assert.equal(summary(decide(policyOf([{ require }]), requestOf({ sub: "alice", ...claims }))), expected);
});

Deno.test("decide() keeps a requirement of a claim named __proto__", () => {
  const require = JSON.parse('{"__proto__":"dba"}');
  assert.equal(summary(decide(policyOf([{ require }]), requestOf({ sub: "alice" }))), "requirement_not_held");
});

Deno.test("decide() takes of an array the first element that satisfies the whole rule", () => {
  const policy = policyOf([{ claim: "groups", match: "/db-(.*)/", users: ["\\1"], login_as: "\\1" }]);
  const claims = { groups: ["staff", "db-reader", 7, "db-writer"] };
  assert.equal(summary(decide(policy, requestOf(claims, { user: "writer" }))), "writer@orders/orders");
  assert.equal(summary(decide(policy, requestOf(claims, { user: "owner" }))), "user_not_allowed");
});

Deno.test("decide() asks no later rule once the conditions of one hold", () => {
  const policy = policyOf([{}, { replication: true }]);
  const decision = decide(policy, requestOf({ sub: "alice" }, { replication: true }));
  assert.equal(summary(decision), "replication_not_allowed");
});

Deno.test("decide() fills the URL's user, database and parameters with captures", () => {
  const policy = policyOf([{ match: "/(.*)\\.(.*)/" }], {
    user: "\\1_app",
    database: "tenant_\\2",
    parameters: { options: "-c app.user=\\0" },
  });
  const decision = decide(policy, requestOf({ sub: "a.b" }));
  assert.equal(summary(decision), "a_app@orders/tenant_b");
  assert.ok(decision.outcome === "granted");
  assert.equal(
    fill(decision, { text: "-c app.user=\\0", encode: (text) => `<${text}>` }),
    "-c app.user=<a.b>",
  );
});

Deno.test.each([
  ["the e-mail address is not verified", { email: "al@corp.com" }, "email_not_verified"],
  ["verified is text", { email: "al@corp.com", email_verified: "true" }, "email_not_verified"],
  ["verified is false", { email: "al@corp.com", email_verified: false }, "email_not_verified"],
  [
    "a second address stands before it",
    { email: "a@evil.com@corp.com.evil", ...verified },
    "claim_does_not_match",
  ],
  [
    "the domain is followed by another",
    { email: "al@corp.com.evil.com", ...verified },
    "claim_does_not_match",
  ],
  ["the dot is another character", { email: "al@corpxcom", ...verified }, "claim_does_not_match"],
  ["a letter looks alike", { email: "al@c\u043erp.com", ...verified }, "claim_does_not_match"],
  ["the case differs", { email: "al@CORP.com", ...verified }, "claim_does_not_match"],
  ["full-width letters", { email: "al@\uff43orp.com", ...verified }, "claim_does_not_match"],
])("T11 refused: %s", (_case, claims, expected) => {
  assert.equal(summary(decide(policyOf([email]), requestOf(claims))), expected);
});

Deno.test("T11 a@evil.com@corp.com becomes no one's role but its own whole capture", () => {
  const claims = { email: "a@evil.com@corp.com", ...verified };
  assert.equal(summary(decide(policyOf([email]), requestOf(claims))), "a@evil.com@orders/orders");
  const strict = policyOf([{ ...email, match: "/([^@]*)@corp\\.com/" }]);
  assert.equal(summary(decide(strict, requestOf(claims))), "claim_does_not_match");
});

Deno.test("T11 an unverified e-mail address does not count in require either", () => {
  const policy = policyOf([{ require: { email: "al@corp.com" } }]);
  const claims = { sub: "alice", email: "al@corp.com" };
  assert.equal(summary(decide(policy, requestOf(claims))), "email_not_verified");
  assert.equal(summary(decide(policy, requestOf({ ...claims, ...verified }))), "app@orders/orders");
});

Deno.test("T11 an issuer whose addresses are trusted needs no email_verified", () => {
  const request = requestOf({ email: "al@corp.com" }, { requireEmailVerified: false });
  assert.equal(summary(decide(policyOf([email]), request)), "al@orders/orders");
});

Deno.test.each([
  ["NUL", "al\0ice"],
  ["a lone surrogate", "al\ud800ice"],
])("T13 a capture holding %s is refused", (_case, sub) => {
  const policy = policyOf([{ match: "/(?s)(.*)/", login_as: "\\1" }]);
  assert.equal(summary(decide(policy, requestOf({ sub }))), "identity_not_representable");
});

Deno.test.each([
  ["64 bytes", "a".repeat(64)],
  ["32 characters of two bytes", "é".repeat(32)],
  ["nothing", ""],
])("T13 a captured role of %s is refused: PostgreSQL would make another of it", (_case, captured) => {
  const policy = policyOf([{ match: "/u:(.*)/", login_as: "\\1" }]);
  assert.equal(summary(decide(policy, requestOf({ sub: `u:${captured}` }))), "role_is_no_name");
});

Deno.test("T13 a captured database of 64 bytes is refused", () => {
  const policy = policyOf([{ match: "/(.*)/" }], { user: "app", database: "\\1" });
  assert.equal(summary(decide(policy, requestOf({ sub: "a".repeat(64) }))), "database_is_no_name");
});

Deno.test("T13 a captured role of 63 bytes is let in whole", () => {
  const policy = policyOf([{ match: "/(.*)/", login_as: "\\1" }]);
  assert.equal(
    summary(decide(policy, requestOf({ sub: "a".repeat(63) }))),
    `${"a".repeat(63)}@orders/orders`,
  );
});

Deno.test("T13 a group that took no part in the match fills nothing", () => {
  const tables = [{ match: "/(x)?alice/", login_as: "app_\\1" }];
  assert.equal(summary(decide(policyOf(tables), requestOf({ sub: "alice" }))), "role_is_no_name");
  const users = [{ match: "/(x)?alice/", users: ["alice\\1"] }];
  assert.equal(summary(decide(policyOf(users), requestOf({ sub: "alice" }))), "user_not_allowed");
});

Deno.test("T13 fill() refuses a group that took no part in the match", () => {
  const decision = decide(policyOf([{ match: "/(x)?alice/" }]), requestOf({ sub: "alice" }));
  assert.ok(decision.outcome === "granted");
  assert.throws(() => fill(decision, { text: "\\1", encode: encodeURIComponent }), {
    name: "PgError",
    sqlstate: "28000",
  });
  const policy = policyOf([{ match: "/(x)?alice/" }], { user: "app", parameters: { options: "\\1" } });
  assert.equal(summary(decide(policy, requestOf({ sub: "alice" }))), "parameter_not_captured");
});

const long = "a".repeat(1025);

Deno.test.each([
  ["one of 1024", { match: "/a+/" }, { sub: "a".repeat(1024) }, "app@orders/orders"],
  ["a longer one", { match: "/a+/" }, { sub: long }, "claim_too_long"],
  ["a longer one beside another", { claim: "g", match: "/b/" }, { g: ["b", long] }, "claim_too_long"],
  ["a longer role", { roles: { claim: "g", match: "/(b)/" } }, { sub: "alice", g: [long] }, "claim_too_long"],
  [
    "a longer scope of short words",
    { claim: "scp", match: "/b/" },
    { scp: "a ".repeat(600) + "b" },
    "app@orders/orders",
  ],
  ["a longer one given as text", { match: long }, { sub: long }, "app@orders/orders"],
  ["a longer one of another claim", {}, { sub: "alice", email: long }, "app@orders/orders"],
  ["a longer one of another issuer", { match: "/a+/", issuer: "other" }, { sub: long }, "issuer_differs"],
  [
    "a longer one elsewhere",
    { match: "/a+/", networks: ["10.0.0.0/8"] },
    { sub: long },
    "network_not_allowed",
  ],
])(
  "T12 decide() holds against an expression no value of over 1024 characters: %s",
  (_case, rule, claims, expected) => {
    assert.equal(summary(decide(policyOf([rule]), requestOf(claims))), expected);
  },
);

Deno.test("T12 a value too long for an expression refuses although a later rule would let in", () => {
  const policy = policyOf([{ match: "/guest-.*/", login_as: "guest" }, { claim: "g", match: "staff" }]);
  assert.equal(summary(decide(policy, requestOf({ sub: `guest-${long}`, g: "staff" }))), "claim_too_long");
});

Deno.test("deciding() lets others have their turn between two rules", () => {
  const policy = policyOf(Array.from({ length: 5 }, (_, index) => ({ match: `/user${index}/` })));
  assert.ok([...deciding(policy, requestOf({ sub: "alice" }))].length >= 5);
});

Deno.test.each([
  ["values of a claim", { claim: "g", match: "/b/" }],
  ["roles", { roles: { claim: "g", match: "/(b)/" } }],
])("T12 deciding() lets others have their turn between two %s", (_what, rule) => {
  const groups = Array.from({ length: 20 }, (_, index) => `group${index}`);
  assert.ok([...deciding(policyOf([rule]), requestOf({ sub: "alice", g: groups }))].length >= 20);
});

const anyone = { match: "/(.*)/", login_as: "\\1" };

Deno.test.each([
  "postgres",
  "root",
  "pg_read_all_data",
  "pg_",
  "rdsadmin",
  "cloudsqladmin",
  "azure_pg_admin",
])(
  "T13 the reserved role %s is not reached by a capture",
  (role: string) => {
    assert.equal(summary(decide(policyOf([anyone]), requestOf({ sub: role }))), "reserved_role");
    const whole = { match: role, login_as: "\\0" };
    assert.equal(summary(decide(policyOf([whole]), requestOf({ sub: role }))), "reserved_role");
    const url = policyOf([{ match: "/(.*)/" }], { user: "\\1" });
    assert.equal(summary(decide(url, requestOf({ sub: role }))), "reserved_role");
  },
);

Deno.test.each([
  ["login_as and match are text", { login_as: "postgres" }, "app", "postgres@orders/orders"],
  [
    "login_as is text, match an expression",
    { match: "/alice/", login_as: "postgres" },
    "app",
    "reserved_role",
  ],
  ["the URL's user and match are text", {}, "postgres", "postgres@orders/orders"],
  ["the URL's user is text, match an expression", { match: "/alice/" }, "postgres", "reserved_role"],
  [
    "login_as takes the place of a reserved URL user",
    { match: "/alice/", login_as: "a" },
    "postgres",
    "a@orders/orders",
  ],
])("T13 a reserved role where %s", (_case, rule, user, expected) => {
  assert.equal(summary(decide(policyOf([rule], { user }), requestOf({ sub: "alice" }))), expected);
});

Deno.test("T13 a reserved role refuses although a later rule would let in", () => {
  const policy = policyOf([anyone, { match: "postgres" }]);
  assert.equal(summary(decide(policy, requestOf({ sub: "postgres" }))), "reserved_role");
});

const subjects = fc.oneof(fc.constantFrom("alice", "bob", "carol", "postgres"), fc.string());
const tables = fc.array(
  fc.record({
    issuer: fc.constantFrom("corp", "other"),
    match: fc.constantFrom("alice", "bob", "/(.*)/", "/[a-b].*/"),
    users: fc.constantFrom(["*"], ["\\0"], ["alice"]),
    backend: fc.constantFrom("orders", "other"),
    login_as: fc.constantFrom("\\0", "reader", "r_\\0"),
    replication: fc.boolean(),
  }),
  { maxLength: 6 },
);
const requests = fc.record({ sub: subjects, user: subjects, replication: fc.boolean() });

Deno.test("A5 decide() gives the same answer for the same question", () => {
  fc.assert(fc.property(tables, requests, (tables, { sub, ...rest }) => {
    const once = decide(policyOf(tables), requestOf({ sub }, rest));
    assert.deepEqual(decide(policyOf(tables), requestOf({ sub }, rest)), once);
  }));
});

Deno.test("A5 decide() never lets a rule behind the deciding one change the answer", () => {
  fc.assert(fc.property(tables, tables, requests, (before, behind, { sub, ...rest }) => {
    const alone = decide(policyOf(before), requestOf({ sub }, rest));
    const steps = alone.trail.length;
    const decided = alone.outcome === "granted" ||
      /^(replication|role|reserved|database_is)/.test(alone.trail[steps - 1]?.kind ?? "");
    fc.pre(decided);
    assert.deepEqual(decide(policyOf([...before, ...behind]), requestOf({ sub }, rest)), alone);
  }));
});

Deno.test("decide() considers every rule before the deciding one, in order", () => {
  fc.assert(fc.property(tables, requests, (tables, { sub, ...rest }) => {
    const { trail } = decide(policyOf(tables), requestOf({ sub }, rest));
    assert.deepEqual(trail.map((step) => step.rule.index), [...trail.keys()]);
  }));
});
