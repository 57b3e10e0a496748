import assert from "node:assert/strict";
import { decodeProtectedHeader, generateKeyPair, jwtVerify } from "jose";
import { authenticateClient } from "../../../lib/token/introspection/client_authentication.ts";
import { Secret } from "../../../lib/secret.ts";

const ISS = "https://issuer.example";
const NOW_MS = Date.UTC(2026, 0, 1);
const about = { iss: ISS, nowMs: NOW_MS };

Deno.test.each<[string, string, string]>([
  ["proxy", "secret", "proxy:secret"],
  ["pg:proxy", "a:b", "pg%3Aproxy:a%3Ab"],
  ["pg proxy", "100% ä+&=/", "pg+proxy:100%25+%C3%A4%2B%26%3D%2F"],
  ["a-b.c_d*e", "~!'()", "a-b.c_d*e:%7E%21%27%28%29"],
])(
  "authenticateClient() by client_secret_basic encodes %j and its secret",
  async (clientId, secret, pair) => {
    const credentials = { method: "client_secret_basic", clientId, secret: new Secret(secret) } as const;
    assert.deepEqual(await authenticateClient(credentials, about), {
      headers: { authorization: `Basic ${btoa(pair)}` },
      form: {},
    });
  },
);

Deno.test("authenticateClient() by client_secret_post writes id and secret into the form", async () => {
  const credentials = { method: "client_secret_post", clientId: "proxy", secret: new Secret("a:b") } as const;
  assert.deepEqual(await authenticateClient(credentials, about), {
    headers: {},
    form: { client_id: "proxy", client_secret: "a:b" },
  });
});

Deno.test("authenticateClient() by tls_client_auth says only who it is", async () => {
  const credentials = {
    method: "tls_client_auth",
    clientId: "proxy",
    certificates: "",
    privateKey: new Secret(""),
  } as const;
  assert.deepEqual(await authenticateClient(credentials, about), {
    headers: {},
    form: { client_id: "proxy" },
  });
});

Deno.test("authenticateClient() by private_key_jwt signs an assertion for the issuer alone, for a minute", async () => {
  const { privateKey, publicKey } = await generateKeyPair("ES256");
  const credentials = {
    method: "private_key_jwt",
    clientId: "proxy",
    key: privateKey,
    algorithm: "ES256",
    keyId: "k1",
  } as const;
  const { headers, form } = await authenticateClient(credentials, about);
  const { client_assertion: assertion, ...rest } = form;
  assert.deepEqual(headers, {});
  assert.deepEqual(rest, {
    client_assertion_type: "urn:ietf:params:oauth:client-assertion-type:jwt-bearer",
  });
  const { payload, protectedHeader } = await jwtVerify(assertion, publicKey, {
    currentDate: new Date(NOW_MS),
  });
  assert.deepEqual(protectedHeader, { alg: "ES256", kid: "k1" });
  const { jti, ...claims } = payload;
  assert.deepEqual(claims, {
    iss: "proxy",
    sub: "proxy",
    aud: ISS,
    iat: NOW_MS / 1000,
    exp: NOW_MS / 1000 + 60,
  });
  assert.match(String(jti), /^[0-9a-f-]{36}$/);
});

Deno.test("authenticateClient() by private_key_jwt makes a new assertion for each request, with a kid only if there is one", async () => {
  const { privateKey } = await generateKeyPair("ES256");
  const credentials = {
    method: "private_key_jwt",
    clientId: "p",
    key: privateKey,
    algorithm: "ES256",
  } as const;
  const [one, other] = await Promise.all([
    authenticateClient(credentials, about),
    authenticateClient(credentials, about),
  ]);
  assert.notEqual(one.form.client_assertion, other.form.client_assertion);
  assert.deepEqual(decodeProtectedHeader(one.form.client_assertion), { alg: "ES256" });
});
