import assert from "node:assert/strict";
import { exportJWK, exportPKCS8, generateKeyPair } from "jose";
import * as v from "valibot";
import { issuerSchema } from "../../../lib/token/schema.ts";
import type { TokenEvent } from "../../../lib/token/token_event.ts";
import { TokenVerifier } from "../../../lib/token/token_verifier.ts";
import { createAuthority } from "../../support/certificates.ts";
import { approveDevice } from "../../support/device_flow.ts";
import { OidcIssuer } from "../../support/oidc_issuer.ts";
import { AUDIENCE, CLIENTS } from "../../support/oidc_provider.ts";
import { waitUntil } from "../../support/wait_until.ts";
import { faultOf } from "../fake_issuer.ts";

const authority = await createAuthority("introspection");
const certificate = await authority.issue({
  commonName: "proxy",
  usage: "client",
  dnsNames: ["proxy.example"],
});
const stranger = await authority.issue({ commonName: "other", usage: "client", dnsNames: ["other.example"] });
const signing = await generateKeyPair("ES256", { extractable: true });
const another = await generateKeyPair("ES256", { extractable: true });

// A colon, a percent sign and a space: what a careless client would not encode.
const SECRET = "s:cret 100%";

const FILES: Readonly<Record<string, string>> = {
  "/secret": SECRET,
  "/wrong-secret": "s:cret",
  "/sign.key": await exportPKCS8(signing.privateKey),
  "/other-sign.key": await exportPKCS8(another.privateKey),
  "/client.crt": certificate.certificatePem,
  "/client.key": certificate.keyPem,
  "/other.crt": stranger.certificatePem,
  "/other.key": stranger.keyPem,
};

const CLIENTS_OF_TEST = [
  { client_id: "by basic", client_secret: SECRET, token_endpoint_auth_method: "client_secret_basic" },
  { client_id: "by-post", client_secret: SECRET, token_endpoint_auth_method: "client_secret_post" },
  {
    client_id: "by-key",
    token_endpoint_auth_method: "private_key_jwt",
    jwks: { keys: [{ ...await exportJWK(signing.publicKey), kid: "k1" }] },
  },
  {
    client_id: "by-certificate",
    token_endpoint_auth_method: "tls_client_auth",
    tls_client_auth_san_dns: "proxy.example",
  },
];

const GOOD = {
  basic: { client_id: "by basic", client_secret_file: "/secret" },
  post: { client_id: "by-post", auth: "client_secret_post", client_secret_file: "/secret" },
  key: { client_id: "by-key", auth: "private_key_jwt", private_key: "/sign.key", key_id: "k1" },
  certificate: {
    client_id: "by-certificate",
    auth: "tls_client_auth",
    certificate: "/client.crt",
    private_key: "/client.key",
  },
} as const;

const startIssuer = () => OidcIssuer.start({ authority, clients: CLIENTS_OF_TEST, accounts: { ada: {} } });

interface Asking {
  readonly introspection: Record<string, unknown>;
  readonly report?: (event: TokenEvent) => void;
}

function verifierOf({ url, fetch }: OidcIssuer, { introspection, report }: Asking): Promise<TokenVerifier> {
  const settings = v.parse(issuerSchema, { name: "corp", url, audience: [AUDIENCE], introspection });
  return TokenVerifier.create([settings], {
    fetch,
    now: Date.now,
    report,
    readTextFile: (path) => Promise.resolve(FILES[path]),
    certifiedFetch({ certificates, privateKey }) {
      const caCerts = [authority.certificatePem];
      const client = Deno.createHttpClient({ caCerts, cert: certificates, key: privateKey.reveal() });
      const certified = (input: RequestInfo | URL, init?: RequestInit) => {
        const shown: RequestInit & { client: Deno.HttpClient } = { ...init, client };
        return globalThis.fetch(input, shown);
      };
      return { fetch: certified, close: () => client.close() };
    },
  });
}

Deno.test.each(Object.entries(GOOD))(
  "a real issuer answers about an opaque token, asked by %s",
  async (_name, introspection) => {
    await using issuer = await startIssuer();
    await using verifier = await verifierOf(issuer, { introspection });
    assert.deepEqual(await verifier.probe(), []);
    const token = await issuer.mint({ sub: "ada", claims: { groups: ["dba"] }, format: "opaque" });
    const { subject, claims } = await verifier.verify(token);
    assert.deepEqual([subject, claims.groups, claims.iss], ["ada", ["dba"], issuer.url]);
  },
);

Deno.test.each<[string, Record<string, unknown>]>([
  ["another secret", { ...GOOD.basic, client_secret_file: "/wrong-secret" }],
  ["another secret in the form", { ...GOOD.post, client_secret_file: "/wrong-secret" }],
  ["another way than registered", { ...GOOD.key, client_id: "by-post" }],
  ["another key", { ...GOOD.key, private_key: "/other-sign.key" }],
  ["another certificate", { ...GOOD.certificate, certificate: "/other.crt", private_key: "/other.key" }],
  ["a client that nobody knows", { ...GOOD.basic, client_id: "nobody" }],
])("a real issuer refuses a proxy with %s, and the proxy says so", async (_name, introspection) => {
  await using issuer = await startIssuer();
  const events: TokenEvent[] = [];
  await using verifier = await verifierOf(issuer, { introspection, report: (event) => events.push(event) });
  const [{ key, message }] = await verifier.probe();
  assert.equal(key?.[0], "introspection");
  assert.match(message, /refused the proxy's credentials \(status 401, invalid_client\)/);
  assert.equal(await faultOf(verifier, await issuer.mint({ format: "opaque" })), "issuer_unavailable");
  assert(events.some(({ kind }) => kind === "introspection_refused"));
});

Deno.test("a real issuer says that a token is revoked, expired or unknown", async () => {
  await using issuer = await startIssuer();
  await using verifier = await verifierOf(issuer, { introspection: { ...GOOD.basic, remember_for: "0" } });
  const token = await issuer.mint({ sub: "ada", format: "opaque" });
  const verified = await verifier.verify(token);
  assert.equal(await verifier.introspectAgain(token, verified), "good");
  const revoked = await issuer.post("/token/revocation", { token }, CLIENTS.service);
  await revoked.body?.cancel();
  assert.equal(await faultOf(verifier, token), "inactive");
  assert.equal(await verifier.introspectAgain(token, verified), "revoked");
  assert.equal(await faultOf(verifier, "nobody-has-issued-this"), "inactive");
});

Deno.test("T10 a real refresh token and a real ID token open nothing", async () => {
  await using issuer = await startIssuer();
  await using verifier = await verifierOf(issuer, { introspection: GOOD.basic });
  const scope = "openid offline_access";
  const asked = await issuer.post("/device/auth", { scope, prompt: "consent" }, CLIENTS.psql);
  const device = await asked.json();
  const { verification_uri: verificationUrl, user_code: userCode, device_code } = device;
  await approveDevice(issuer.fetch, { verificationUrl, userCode, account: "ada" });
  const grant_type = "urn:ietf:params:oauth:grant-type:device_code";
  const reply = await waitUntil(async () => {
    const polled = await (await issuer.post("/token", { grant_type, device_code }, CLIENTS.psql)).json();
    return polled.access_token && polled;
  }, { what: "the tokens" });
  assert.equal(typeof reply.refresh_token, "string");

  const introspected = await issuer.post(
    "/token/introspection",
    { token: reply.refresh_token },
    CLIENTS.proxy,
  );
  const { active, token_type } = await introspected.json();
  // It is active, and its kind is not told: only aud keeps it out here.
  assert.deepEqual({ active, token_type }, { active: true, token_type: undefined });
  assert.equal(await faultOf(verifier, reply.refresh_token), "audience");
  assert.equal(await faultOf(verifier, reply.id_token), "audience");
});
