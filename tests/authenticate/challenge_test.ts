import assert from "node:assert/strict";
import fc from "fast-check";
import { encodeChallenge } from "../../lib/authenticate/challenge.ts";

const read = (issuer: string, scope: string) => new TextDecoder().decode(encodeChallenge({ issuer, scope }));

Deno.test.each([
  [
    "https://login.example.com",
    '{"status":"invalid_token","openid-configuration":"https://login.example.com/.well-known/openid-configuration","scope":"pg"}',
  ],
  [
    "https://login.example.com/realms/corp",
    '{"status":"invalid_token","openid-configuration":"https://login.example.com/realms/corp/.well-known/openid-configuration","scope":"pg"}',
  ],
  // With its slash dropped it would be another issuer to libpq.
  [
    "https://login.example.com/",
    '{"status":"invalid_token","openid-configuration":"https://login.example.com//.well-known/openid-configuration","scope":"pg"}',
  ],
])("encodeChallenge() sends clients of %s to its discovery document", (issuer, expected) => {
  assert.equal(read(issuer, "pg"), expected);
});

Deno.test("encodeChallenge() is JSON whatever issuer and scope hold", () => {
  fc.assert(fc.property(fc.string({ unit: "binary" }), fc.string({ unit: "binary" }), (issuer, scope) => {
    const encoded = read(issuer, scope);
    assert.deepEqual(JSON.parse(encoded), {
      status: "invalid_token",
      "openid-configuration": `${issuer}/.well-known/openid-configuration`,
      scope,
    });
    assert(!encoded.includes("\0"));
  }));
});
