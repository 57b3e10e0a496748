import assert from "node:assert/strict";
import * as v from "valibot";
import { issuerSchema } from "../../lib/token/schema.ts";

const GOOD = { name: "corp", url: "https://login.example.com", audience: ["pg"] };
const WITH_JWKS = {
  name: "corp",
  jwks_url: "https://login.example.com/jwks?x=1",
  issuer: "corp",
  audience: ["pg"],
};

const ASKING = { client_id: "proxy", client_secret_env: "SECRET" };
const WITH_INTROSPECTION = {
  name: "corp",
  issuer: "corp",
  audience: ["pg"],
  introspection: { ...ASKING, endpoint: "https://login.example.com/introspect" },
};

const messages = (table: unknown) =>
  v.safeParse(issuerSchema, table).issues?.map(({ message }) => message) ?? [];

Deno.test("issuerSchema fills in what is not given", () => {
  assert.deepEqual(v.parse(issuerSchema, GOOD), {
    ...GOOD,
    algorithms: ["ES256", "RS256"],
    required_claims: [],
    insecure_http: false,
    introspect: "opaque",
    require_binding: false,
    require_email_verified: true,
  });
});

Deno.test.each([
  ["jwks_url with issuer", WITH_JWKS],
  ["signing_keys with issuer", { name: "ci", signing_keys: ["keys/*.pem"], issuer: "ci", audience: ["pg"] }],
  ["introspection alone", WITH_INTROSPECTION],
  ["introspection of an issuer with url", { ...GOOD, introspection: ASKING, introspect: "always" }],
  ["introspection besides jwks_url", { ...WITH_JWKS, introspection: WITH_INTROSPECTION.introspection }],
  ["an endpoint in clear with insecure_http", {
    ...WITH_INTROSPECTION,
    insecure_http: true,
    introspection: { ...ASKING, endpoint: "http://127.0.0.1:8080/" },
  }],
  ["every option", {
    ...GOOD,
    jwks_hosts: ["www.googleapis.com"],
    algorithms: ["EdDSA", "Ed25519", "PS512"],
    types: ["at+jwt"],
    required_claims: { groups: ["dba", "ops"], level: 3, admin: true, "realm_access.roles": "db" },
    clients: ["psql"],
    require_email_verified: false,
  }],
  ["http with insecure_http", { ...GOOD, url: "http://127.0.0.1:8080", insecure_http: true }],
])("issuerSchema accepts %s", (_name, table) => {
  assert.deepEqual(messages(table), []);
});

Deno.test.each([
  ["an unknown key", { ...GOOD, audiense: [] }, 'Unknown key "audiense" in [[issuers]]'],
  ["no table", 1, "[[issuers]] must be a table"],
  ["no name", { ...GOOD, name: undefined }, '"name" must be text'],
  ["an empty name", { ...GOOD, name: "" }, '"name" must not be empty'],
  ["audience as text", { ...GOOD, audience: "pg" }, '"audience" must be an array of text'],
  ["an empty audience", { ...GOOD, audience: [] }, '"audience" must have at least one element'],
  ["an empty algorithms", { ...GOOD, algorithms: [] }, '"algorithms" must have at least one element'],
  ["insecure_http as text", { ...GOOD, insecure_http: "yes" }, '"insecure_http" must be true or false'],
  [
    "no source",
    { ...GOOD, url: undefined },
    'An issuer needs one of "url", "jwks_url", "signing_keys", "introspection" and "validator"',
  ],
  [
    "two sources",
    { ...GOOD, signing_keys: ["a.pem"] },
    'An issuer needs exactly one of "url", "jwks_url" and "signing_keys"',
  ],
  [
    "jwks_url without issuer",
    { ...WITH_JWKS, issuer: undefined },
    '"issuer" is missing: with "jwks_url" or "signing_keys" give the iss that tokens must have',
  ],
  [
    "url with issuer",
    { ...GOOD, issuer: "corp" },
    'Remove "issuer": with "url" the tokens\' iss must be that URL itself',
  ],
  [
    "introspect without introspection",
    { ...GOOD, introspect: "always" },
    'needs the table "introspection", which says whom to ask',
  ],
  [
    "introspection alone without issuer",
    { ...WITH_INTROSPECTION, issuer: undefined },
    '"issuer" is missing: with "introspection" alone give the iss that tokens must have',
  ],
  [
    "introspection without a place to ask",
    { ...WITH_INTROSPECTION, introspection: ASKING },
    "is required: only an issuer with url tells by discovery where to ask",
  ],
  [
    "introspection beside a key set without a place to ask",
    { ...WITH_JWKS, introspection: ASKING },
    "is required: only an issuer with url tells by discovery where to ask",
  ],
  [
    "introspection alone with algorithms",
    { ...WITH_INTROSPECTION, algorithms: ["ES256"] },
    'Remove "algorithms": with "introspection" alone no signature is checked',
  ],
  [
    "introspection alone with introspect",
    { ...WITH_INTROSPECTION, introspect: "opaque" },
    'Remove "introspect": with "introspection" alone no signature is checked',
  ],
  [
    "an endpoint in clear",
    { ...WITH_INTROSPECTION, introspection: { ...ASKING, endpoint: "http://a.b/" } },
    "must begin with https:// unless insecure_http = true",
  ],
  [
    "an endpoint in clear with a certificate",
    {
      ...WITH_INTROSPECTION,
      insecure_http: true,
      introspection: {
        client_id: "proxy",
        auth: "tls_client_auth",
        certificate: "a.crt",
        private_key: "a.key",
        endpoint: "http://a.b/",
      },
    },
    "must begin with https://, or no certificate can be shown",
  ],
  [
    "a host that is none",
    { ...GOOD, jwks_hosts: ["keys example"] },
    '"jwks_hosts" must be hosts alone, as "keys.example.com" or "keys.example.com:8443"',
  ],
  [
    "a host that is a URL",
    { ...GOOD, jwks_hosts: ["https://keys.example.com"] },
    '"jwks_hosts" must be hosts alone, as "keys.example.com" or "keys.example.com:8443"',
  ],
  [
    "a host with a path",
    { ...GOOD, jwks_hosts: ["keys.example.com/jwks"] },
    '"jwks_hosts" must be hosts alone, as "keys.example.com" or "keys.example.com:8443"',
  ],
  [
    "jwks_hosts with jwks_url",
    { ...WITH_JWKS, jwks_hosts: ["a"] },
    '"jwks_hosts" is only for issuers with "url"',
  ],
  ["http", { ...GOOD, url: "http://a.b" }, '"url" must begin with https:// unless insecure_http = true'],
  [
    "http for keys",
    { ...WITH_JWKS, jwks_url: "http://a.b" },
    '"jwks_url" must begin with https:// unless insecure_http = true',
  ],
  ["a path", { ...GOOD, url: "login" }, '"url" must be a URL without credentials, query and fragment'],
  [
    "a file URL",
    { ...GOOD, url: "file:///a" },
    '"url" must be a URL without credentials, query and fragment',
  ],
  [
    "credentials",
    { ...GOOD, url: "https://u:p@a.b" },
    '"url" must be a URL without credentials, query and fragment',
  ],
  [
    "a query",
    { ...GOOD, url: "https://a.b?c" },
    '"url" must be a URL without credentials, query and fragment',
  ],
  [
    "a fragment",
    { ...WITH_JWKS, jwks_url: "https://a.b#c" },
    '"jwks_url" must be a URL without credentials and fragment',
  ],
  [
    "a nested claim table",
    { ...GOOD, required_claims: { realm: { roles: "dba" } } },
    'must give realm a text, a number, a boolean or an array of these; quote a dotted claim: "a.b" = …',
  ],
  [
    "a required claim without values",
    { ...GOOD, required_claims: { groups: [] } },
    "accepts no value for groups: name at least one",
  ],
])("issuerSchema refuses %s with one sentence", (_name, table, message) => {
  assert.deepEqual(messages(table), [message]);
});

Deno.test("issuerSchema says that a key is missing", () => {
  assert.deepEqual(messages({ url: "https://a.b" }), [
    '"name" is missing',
    '"audience" is required: name the audience the tokens must carry',
  ]);
});

Deno.test.each([["none"], ["HS256"], ["HS512"], ["es256"], ["ES256K"], ["RSA1_5"], [""], [1]])(
  "T1 issuerSchema refuses algorithm %j",
  (algorithm) => {
    const [message, ...more] = messages({ ...GOOD, algorithms: ["ES256", algorithm] });
    assert.match(message, /^"algorithms" may hold only RS256, /);
    assert.deepEqual(more, []);
  },
);

Deno.test("issuerSchema tells of every mistake at once", () => {
  assert.deepEqual(messages({ url: "http://a.b", audience: [], typo: 1 }), [
    '"name" is missing',
    '"audience" must have at least one element',
    'Unknown key "typo" in [[issuers]]',
    '"url" must begin with https:// unless insecure_http = true',
  ]);
});
