import assert from "node:assert/strict";
import { createHash, X509Certificate } from "node:crypto";
import {
  calculateJwkThumbprint,
  createLocalJWKSet,
  createRemoteJWKSet,
  customFetch,
  decodeJwt,
  decodeProtectedHeader,
  exportJWK,
  generateKeyPair,
  jwtVerify,
} from "jose";
import { createAuthority } from "./certificates.ts";
import { approveDevice } from "./device_flow.ts";
import { hmacKey } from "./forged_token.ts";
import { OidcIssuer } from "./oidc_issuer.ts";
import { AUDIENCE, CLIENTS } from "./oidc_provider.ts";
import { waitUntil } from "./wait_until.ts";

const authority = await createAuthority("test authority");

Deno.test("the issuer's discovery document speaks of its own URL", async () => {
  await using issuer = await OidcIssuer.start({ authority });
  const discovery = await (await issuer.fetch(`${issuer.url}/.well-known/openid-configuration`)).json();
  assert.match(issuer.url, /^https:\/\/localhost:\d+$/);
  assert.equal(discovery.issuer, issuer.url);
  assert.equal(discovery.jwks_uri, issuer.jwksUrl);
  assert.equal(discovery.device_authorization_endpoint, `${issuer.url}/device/auth`);
});

Deno.test("the issuer's certificate is not trusted by others", async () => {
  await using issuer = await OidcIssuer.start({ authority });
  await assert.rejects(fetch(issuer.jwksUrl), ({ cause }) => /UnknownIssuer/.test(String(cause)));
});

Deno.test.each([{ scheme: "https" }, { scheme: "http" }])(
  "mint() over $scheme gives a good token",
  async ({ scheme }) => {
    await using issuer = await OidcIssuer.start(scheme === "https" ? { authority } : {});
    const claims = { email: "ada@example.com", email_verified: true, groups: ["dba"], roles: ["writer"] };
    const token = await issuer.mint({ sub: "ada", claims, expiresInSeconds: 60 });
    const keys = createRemoteJWKSet(new URL(issuer.jwksUrl), { [customFetch]: issuer.fetch });
    const { payload, protectedHeader } = await jwtVerify(token, keys, {
      issuer: issuer.url,
      audience: AUDIENCE,
    });
    assert.equal(protectedHeader.alg, "ES256");
    assert.equal(protectedHeader.typ, "at+jwt");
    assert.equal(payload.exp! - payload.iat!, 60);
    const { sub, email, email_verified, groups, roles } = payload;
    assert.deepEqual({ sub, email, email_verified, groups, roles }, { sub: "ada", ...claims });
  },
);

Deno.test("mint() lets the order's claims win over the issuer's own", async () => {
  await using issuer = await OidcIssuer.start();
  const token = await issuer.mint({ claims: { aud: "another", exp: undefined } });
  const { aud, exp } = decodeJwt(token);
  assert.deepEqual({ aud, exp }, { aud: "another", exp: undefined });
});

Deno.test("mint() signs with the algorithm that is asked for", async () => {
  await using issuer = await OidcIssuer.start({ algorithms: ["ES256", "RS256"] });
  assert.equal(decodeProtectedHeader(await issuer.mint({ algorithm: "RS256" })).alg, "RS256");
  assert.equal(decodeProtectedHeader(await issuer.mint()).alg, "ES256");
});

Deno.test("rotateKeys() makes old tokens bad and new ones good", async () => {
  await using issuer = await OidcIssuer.start({ authority });
  const old = await issuer.mint({ sub: "ada" });
  await issuer.rotateKeys();
  const fresh = await issuer.mint({ sub: "ada" });
  const keys = createLocalJWKSet(await (await issuer.fetch(issuer.jwksUrl)).json());
  await assert.rejects(jwtVerify(old, keys), { code: "ERR_JWKS_NO_MATCHING_KEY" });
  assert.equal((await jwtVerify(fresh, keys)).payload.sub, "ada");
});

Deno.test("rotateKeys() keeps old keys in the key set when told so", async () => {
  await using issuer = await OidcIssuer.start({ authority });
  const old = await issuer.mint({ sub: "ada" });
  await issuer.rotateKeys({ keepOld: true });
  const keys = createLocalJWKSet(await (await issuer.fetch(issuer.jwksUrl)).json());
  assert.equal((await jwtVerify(old, keys)).payload.sub, "ada");
  assert.notEqual(decodeProtectedHeader(await issuer.mint()).kid, decodeProtectedHeader(old).kid);
});

Deno.test("forge() signs any payload with the issuer's key", async () => {
  await using issuer = await OidcIssuer.start();
  const token = await issuer.forge({ iss: "someone else" });
  const { payload } = await jwtVerify(token, createLocalJWKSet({ keys: [...issuer.publicKeys] }));
  assert.deepEqual(payload, { iss: "someone else" });
});

Deno.test("forge() writes any header, whatever signs", async () => {
  await using issuer = await OidcIssuer.start();
  const key = await hmacKey(new Uint8Array(32));
  const token = await issuer.forge({ sub: "ada" }, { alg: "HS256", kid: "../key" }, { key });
  assert.deepEqual(decodeProtectedHeader(token), { alg: "HS256", typ: "at+jwt", kid: "../key" });
  await jwtVerify(token, key);
  const unsigned = await issuer.forge({ sub: "ada" }, '{"alg":"none","alg":"None"}', { key: null });
  assert.match(unsigned, /^[\w-]+\.[\w-]+\.$/);
});

Deno.test("an opaque token is explained by introspection", async () => {
  await using issuer = await OidcIssuer.start({ authority });
  const token = await issuer.mint({ sub: "ada", claims: { groups: ["dba"] }, format: "opaque" });
  const reply = await (await issuer.post("/token/introspection", { token }, CLIENTS.proxy)).json();
  const { active, sub, groups, iss, aud } = reply;
  assert.deepEqual({ active, sub, groups, iss, aud }, {
    active: true,
    sub: "ada",
    groups: ["dba"],
    iss: issuer.url,
    aud: AUDIENCE,
  });
  await issuer.post("/token/revocation", { token }, CLIENTS.service).then((response) =>
    response.body?.cancel()
  );
  assert.deepEqual(await (await issuer.post("/token/introspection", { token }, CLIENTS.proxy)).json(), {
    active: false,
  });
});

Deno.test("mintForCertificate() gives a token that is bound to the certificate shown", async () => {
  await using issuer = await OidcIssuer.start({ authority });
  const certificate = await authority.issue({ commonName: "ada", usage: "client" });
  const { raw } = new X509Certificate(certificate.certificatePem);
  const token = await issuer.mintForCertificate(certificate, { sub: "ada" });
  const thumbprint = createHash("sha256").update(raw).digest("base64url");
  assert.deepEqual(decodeJwt(token).cnf, { "x5t#S256": thumbprint });
  assert.equal(decodeJwt(token).sub, "ada");
});

Deno.test("mintForKey() gives a token that is bound to the key of its DPoP proof", async () => {
  await using issuer = await OidcIssuer.start({ authority });
  const keys = await generateKeyPair("ES256");
  const thumbprint = await calculateJwkThumbprint(await exportJWK(keys.publicKey));
  assert.deepEqual(decodeJwt(await issuer.mintForKey(keys)).cnf, { jkt: thumbprint });
});

Deno.test("the device flow gives a person's token to psql", async () => {
  await using issuer = await OidcIssuer.start({ authority, accounts: { ada: { email: "ada@example.com" } } });
  const device = await (await issuer.post("/device/auth", { scope: "openid email" }, CLIENTS.psql)).json();
  assert.equal(device.interval, 1);
  const poll = async () => {
    const form = {
      grant_type: "urn:ietf:params:oauth:grant-type:device_code",
      device_code: device.device_code,
    };
    return await (await issuer.post("/token", form, CLIENTS.psql)).json();
  };
  assert.equal((await poll()).error, "authorization_pending");

  const { verification_uri: verificationUrl, user_code: userCode } = device;
  await approveDevice(issuer.fetch, { verificationUrl, userCode, account: "ada" });

  const token = await waitUntil(async () => (await poll()).access_token, { what: "the token" });
  const { sub, email, aud, client_id } = decodeJwt(token);
  assert.deepEqual({ sub, email, aud, client_id }, {
    sub: "ada",
    email: "ada@example.com",
    aud: AUDIENCE,
    client_id: "psql",
  });
});

Deno.test("the issuer tells which paths were asked for", async () => {
  await using issuer = await OidcIssuer.start();
  await (await issuer.fetch(issuer.jwksUrl)).body?.cancel();
  assert.deepEqual(issuer.requestedPaths, ["/jwks"]);
});
