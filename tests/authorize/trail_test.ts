import assert from "node:assert/strict";
import { describe } from "../../lib/authorize/trail.ts";

const rule = { index: 2 };

Deno.test("describe() names the rule by its place and label", () => {
  assert.equal(
    describe({ rule: { index: 0, name: "dba" }, kind: "granted" }),
    "rules[0] (dba) lets the client in",
  );
});

Deno.test.each(
  [
    [{ rule, kind: "issuer_differs", issuer: "corp" }, "is for tokens of the issuer corp"],
    [
      { rule, kind: "email_not_verified" },
      "looks at the claim email, which the issuer has not marked as verified",
    ],
    [
      { rule, kind: "requirement_not_held", claim: "a.b" },
      "requires a value of the claim a.b that the token does not have",
    ],
    [
      { rule, kind: "claim_missing", claim: "sub" },
      "looks at the claim sub, which the token has not as text",
    ],
    [
      { rule, kind: "role_not_listed", claim: "scope" },
      "does not find the user the client asks for among the roles of the claim scope",
    ],
    [{ rule, kind: "network_not_allowed" }, "does not allow the network the client comes from"],
    [{ rule, kind: "token_too_old" }, "takes only tokens issued within its max_token_age"],
    [{ rule, kind: "token_without_time" }, "has max_token_age, and the token has no iat"],
    [
      { rule, kind: "claim_too_long", claim: "sub" },
      "refuses: a value of the claim sub is longer than 1024 characters, so that no expression is tried on it",
    ],
    [{ rule, kind: "claim_does_not_match", claim: "sub" }, "does not match the claim sub"],
    [
      { rule, kind: "identity_not_representable", claim: "sub" },
      "matches the claim sub, but its value holds a NUL or broken Unicode",
    ],
    [
      { rule, kind: "role_is_no_name" },
      "refuses: the role it would log in as is empty, longer than 63 bytes or not captured",
    ],
    [
      { rule, kind: "database_is_no_name" },
      "refuses: the database's name is empty, longer than 63 bytes or not captured",
    ],
    [
      { rule, kind: "parameter_not_captured", parameter: "options" },
      "refuses: the parameter options of the backend's URL uses a capture that took no part",
    ],
    [{ rule, kind: "user_not_allowed" }, "does not allow the user the client asks for"],
    [{ rule, kind: "database_not_allowed" }, "does not allow the database the client asks for"],
    [{ rule, kind: "replication_not_allowed" }, "refuses: it does not allow replication"],
    [
      { rule, kind: "reserved_role", role: "root" },
      "refuses: root is a reserved role, which it does not write out for one identity given as text",
    ],
    [
      { rule, kind: "reserved_role" },
      "refuses: what it leads to is a reserved role, which it does not write out for one identity given as text",
    ],
  ] as const,
)("describe() %o", (step, sentence) => {
  assert.equal(describe(step), `rules[2] ${sentence}`);
});
