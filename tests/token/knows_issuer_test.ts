import assert from "node:assert/strict";
import * as v from "valibot";
import { issuerSchema } from "../../lib/token/schema.ts";
import { TokenVerifier } from "../../lib/token/token_verifier.ts";

const ISS = "https://login.example.com";

Deno.test.each<[string, string, Record<string, unknown>, boolean]>([
  ["of the same name and iss", "corp", { iss: ISS }, true],
  ["of the same name, for a token that does not say whose it is", "corp", {}, true],
  ["of the same name and another iss", "corp", { iss: "https://old.example.com" }, false],
  ["of the same name and no text as iss", "corp", { iss: [ISS] }, false],
  ["of another name", "ci", { iss: ISS }, false],
])("knowsIssuerOf() asks for an issuer %s", async (_name, issuer, claims, expected) => {
  const settings = v.parse(issuerSchema, { name: "corp", url: ISS, audience: ["proxy"] });
  await using verifier = await TokenVerifier.create([settings], { fetch, now: Date.now });
  const token = { issuer, claims, expiresAtMs: 0, requireEmailVerified: true };
  assert.equal(verifier.knowsIssuerOf(token), expected);
});
