import assert from "node:assert/strict";
import { claimsOfAnswer, NoAnswer } from "../../../lib/token/introspection/introspection_answer.ts";
import { TokenRefused } from "../../../lib/token/refused_token.ts";

const ISS = "https://issuer.example";
const GOOD = { active: true, iss: ISS, sub: "alice", aud: "pg", exp: 1_800_000_000 };
const claimsOf = (answer: Record<string, unknown>) => claimsOfAnswer(answer, { token: "opaque-1", iss: ISS });

Deno.test("claimsOfAnswer() gives what the issuer says, without active", () => {
  const { active: _active, ...claims } = GOOD;
  assert.deepEqual(claimsOf({ ...GOOD, scope: "a b", cnf: { jkt: "x" } }), {
    ...claims,
    scope: "a b",
    cnf: { jkt: "x" },
  });
});

Deno.test.each<[string, Record<string, unknown>]>([
  ["iss left out", { iss: undefined }],
  ["token_type Bearer", { token_type: "Bearer" }],
  ["token_type in another case", { token_type: "BEARER" }],
  ["token_type access_token", { token_type: "access_token" }],
  ["token_use access_token", { token_type: "Bearer", token_use: "access_token" }],
  ["typ Bearer", { typ: "Bearer" }],
  ["typ at+jwt", { typ: "at+jwt" }],
])("claimsOfAnswer() takes an access token with %s", (_name, changes) => {
  const answer = Object.fromEntries(
    Object.entries({ ...GOOD, ...changes }).filter(([, value]) => value !== undefined),
  );
  assert.equal(claimsOf(answer).sub, "alice");
});

Deno.test.each<[string, Record<string, unknown>, string]>([
  ["active false", { active: false }, "inactive"],
  ["T9 iss of another", { iss: "https://evil.example" }, "unknown_issuer"],
  ["T9 iss with a slash more", { iss: `${ISS}/` }, "unknown_issuer"],
  ["T9 iss an array", { iss: [ISS] }, "unknown_issuer"],
  ["T9 iss null", { iss: null }, "unknown_issuer"],
  ["T10 a refresh token by token_type", { token_type: "refresh_token" }, "type"],
  ["T10 a refresh token by token_use", { token_type: "Bearer", token_use: "refresh_token" }, "type"],
  ["T10 a refresh token by typ", { typ: "Refresh" }, "type"],
  ["T10 an offline token by typ", { typ: "Offline" }, "type"],
  ["T10 an ID token by typ", { typ: "ID" }, "type"],
  ["T10 an ID token by token_use", { token_use: "id" }, "type"],
  ["T10 what is no access token", { token_type: "N_A" }, "type"],
  ["T10 token_type null", { token_type: null }, "type"],
  ["T10 token_type an array", { token_type: ["Bearer"] }, "type"],
  ["T15 token_type DPoP", { token_type: "DPoP" }, "bound"],
  ["T15 typ DPoP", { typ: "DPoP" }, "bound"],
])("claimsOfAnswer() %s is refused", (_name, changes, fault) => {
  assert.throws(
    () => claimsOf({ ...GOOD, ...changes }),
    (error: unknown) => error instanceof TokenRefused && error.fault === fault,
  );
});

Deno.test.each<[unknown]>([[undefined], [null], ["true"], ["false"], [1], [0], [{}], [[true]]])(
  "claimsOfAnswer() takes active = %j for no answer",
  (active) => assert.throws(() => claimsOf({ ...GOOD, active }), NoAnswer),
);

Deno.test("T17 claimsOfAnswer() drops a jti that is the token itself, and keeps another", () => {
  assert.equal(Object.hasOwn(claimsOf({ ...GOOD, jti: "opaque-1" }), "jti"), false);
  assert.equal(claimsOf({ ...GOOD, jti: "opaque-2" }).jti, "opaque-2");
});
