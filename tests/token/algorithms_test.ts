import assert from "node:assert/strict";
import { ALGORITHM_NAMES } from "../../lib/token/algorithms.ts";
import { faultOf, issuerWith, settings, sign, signingKey } from "./fake_issuer.ts";

Deno.test.each(ALGORITHM_NAMES.map((name) => [name] as const))(
  "verify() accepts a token signed with %s",
  async (alg) => {
    const key = await signingKey(alg, "k1");
    await using verifier = await issuerWith(key).verifier([settings({ algorithms: [alg] })]);
    assert.equal((await verifier.verify(await sign(key))).subject, "alice");
  },
);

Deno.test("T1 a key made for PS256 does not verify RS256", async () => {
  const key = await signingKey("RS256", "k1");
  const issuer = issuerWith({ ...key, jwk: { ...key.jwk, alg: "PS256" } });
  await using verifier = await issuer.verifier([settings({ algorithms: ["RS256", "PS256"] })]);
  assert.equal(await faultOf(verifier, await sign(key)), "algorithm");
});

Deno.test("a key without alg verifies each configured algorithm it fits", async () => {
  const key = await signingKey("RS512", "k1");
  const issuer = issuerWith({ ...key, jwk: { ...key.jwk, alg: undefined } });
  await using verifier = await issuer.verifier([settings({ algorithms: ["RS256", "RS512"] })]);
  assert.equal((await verifier.verify(await sign(key))).subject, "alice");
});

Deno.test("a key for EdDSA verifies Ed25519, its newer name", async () => {
  const key = await signingKey("Ed25519", "k1");
  const issuer = issuerWith({ ...key, jwk: { ...key.jwk, alg: "EdDSA" } });
  await using verifier = await issuer.verifier([settings({ algorithms: ["Ed25519"] })]);
  assert.equal((await verifier.verify(await sign(key))).subject, "alice");
});
