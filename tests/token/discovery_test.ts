import assert from "node:assert/strict";
import { claims, FakeIssuer, settings, sign, signingKey } from "./fake_issuer.ts";

const KEY = await signingKey("ES256", "k1");
const URL_OF_ISSUER = "https://login.example.com/realm";
const DOCUMENT_URL = `${URL_OF_ISSUER}/.well-known/openid-configuration`;
const KEYS_URL = "https://login.example.com/keys";

function discovered(changes: Record<string, unknown> = {}) {
  return settings({ jwks_url: undefined, issuer: undefined, url: URL_OF_ISSUER, ...changes });
}

/** An issuer with a discovery document, whose keys are wherever it says. */
function issuerSaying(document: Record<string, unknown>): FakeIssuer {
  const issuer = new FakeIssuer();
  issuer.answer(DOCUMENT_URL, () => Response.json(document));
  issuer.answer(String(document.jwks_uri), () => Response.json({ keys: [KEY.jwk] }));
  return issuer;
}

Deno.test("discovery finds the key set, and iss is the URL itself", async () => {
  const issuer = issuerSaying({ issuer: URL_OF_ISSUER, jwks_uri: KEYS_URL });
  await using verifier = await issuer.verifier([discovered()]);
  assert.equal((await verifier.verify(await sign(KEY, claims({ iss: URL_OF_ISSUER })))).issuer, "corp");
  assert.deepEqual(issuer.requests, [DOCUMENT_URL, KEYS_URL]);
});

Deno.test("discovery of an issuer that ends in a slash asks without doubling it", async () => {
  const issuer = issuerSaying({ issuer: `${URL_OF_ISSUER}/`, jwks_uri: KEYS_URL });
  await using verifier = await issuer.verifier([discovered({ url: `${URL_OF_ISSUER}/` })]);
  assert.deepEqual(await verifier.probe(), []);
});

Deno.test.each(
  [
    [
      "T6 another issuer",
      { issuer: "https://evil.example", jwks_uri: KEYS_URL },
      /issuer "https:\/\/evil.example", not of/,
    ],
    ["T6 a slash more", { issuer: `${URL_OF_ISSUER}/`, jwks_uri: KEYS_URL }, /the last slash included/],
    [
      "T6 upper case",
      { issuer: URL_OF_ISSUER.toUpperCase(), jwks_uri: KEYS_URL },
      /url must be exactly that/,
    ],
    ["T6 no issuer", { jwks_uri: KEYS_URL }, /issuer without a name/],
    ["T6 an array", { issuer: [URL_OF_ISSUER], jwks_uri: KEYS_URL }, /issuer without a name/],
    [
      "T5 jwks_uri on another host",
      { issuer: URL_OF_ISSUER, jwks_uri: "https://evil.example/k" },
      /jwks_hosts = \["evil.example"\]/,
    ],
    [
      "T5 jwks_uri on another port",
      { issuer: URL_OF_ISSUER, jwks_uri: "https://login.example.com:8443/k" },
      /jwks_hosts = \["login.example.com:8443"\]/,
    ],
    [
      "T5 jwks_uri on a subdomain",
      { issuer: URL_OF_ISSUER, jwks_uri: "https://x.login.example.com/k" },
      /another host/,
    ],
    ["T5 jwks_uri by http", { issuer: URL_OF_ISSUER, jwks_uri: "http://login.example.com/k" }, /not https/],
    ["T5 jwks_uri of a file", { issuer: URL_OF_ISSUER, jwks_uri: "file:///etc/passwd" }, /not https/],
    ["no jwks_uri", { issuer: URL_OF_ISSUER }, /no usable jwks_uri/],
    ["jwks_uri not a URL", { issuer: URL_OF_ISSUER, jwks_uri: "/keys" }, /no usable jwks_uri/],
  ] as const,
)("discovery refuses %s", async (_name, document, problem) => {
  const issuer = issuerSaying(document);
  await using verifier = await issuer.verifier([discovered()]);
  const [{ message }] = await verifier.probe();
  assert.match(message, problem);
  assert.deepEqual(issuer.requests, [DOCUMENT_URL]);
});

Deno.test("T5 a file URL stays refused with insecure_http", async () => {
  const issuer = issuerSaying({ issuer: URL_OF_ISSUER, jwks_uri: "file:///etc/passwd" });
  await using verifier = await issuer.verifier([discovered({ insecure_http: true })]);
  assert.equal((await verifier.probe()).length, 1);
  assert.deepEqual(issuer.requests, [DOCUMENT_URL]);
});

Deno.test("discovery accepts another host that jwks_hosts lists", async () => {
  const issuer = issuerSaying({
    issuer: URL_OF_ISSUER,
    jwks_uri: "https://www.googleapis.com/oauth2/v3/certs",
  });
  await using verifier = await issuer.verifier([discovered({ jwks_hosts: ["www.googleapis.com"] })]);
  assert.deepEqual(await verifier.probe(), []);
});
