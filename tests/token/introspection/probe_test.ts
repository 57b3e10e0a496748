import assert from "node:assert/strict";
import type { IssuerProblem } from "../../../lib/token/token_event.ts";
import { createAuthority } from "../../support/certificates.ts";
import { ISS } from "../fake_issuer.ts";
import { asking, ENDPOINT, FakeEndpoint, told } from "./fake_endpoint.ts";

const DISCOVERY = `${ISS}/.well-known/openid-configuration`;

async function probe(
  endpoint: FakeEndpoint,
  { introspection, changes }: {
    introspection?: Record<string, unknown>;
    changes?: Record<string, unknown>;
  } = {},
): Promise<readonly IssuerProblem[]> {
  await using verifier = await endpoint.verifier([asking(introspection, changes)]);
  return await verifier.probe();
}

Deno.test("probe() asks about a token that nobody has issued, and finds nothing wrong with an issuer that says so", async () => {
  const endpoint = new FakeEndpoint();
  endpoint.tell({ active: false });
  assert.deepEqual(await probe(endpoint), []);
  assert.match(endpoint.requests[0].form.token, /^not-a-token-[0-9a-f-]{36}$/);
});

Deno.test("probe() finds nothing wrong with an issuer that does not speak about such a token", async () => {
  const endpoint = new FakeEndpoint();
  endpoint.tell({ error: "invalid_request" }, { status: 400 });
  assert.deepEqual(await probe(endpoint), []);
});

Deno.test("probe() tells of credentials that the issuer refuses", async () => {
  const endpoint = new FakeEndpoint();
  endpoint.tell({ error: "invalid_client" }, { status: 401 });
  const says = "(status 401, invalid_client); compare them with the client at the issuer";
  assert.deepEqual(await probe(endpoint), [{
    issuer: "corp",
    key: ["introspection", "client_secret_env"],
    message: `${ENDPOINT} refused the proxy's credentials ${says}`,
  }]);
});

Deno.test("probe() tells of an issuer that cannot be reached", async () => {
  const endpoint = new FakeEndpoint();
  endpoint.goDown();
  assert.deepEqual(await probe(endpoint), [{
    issuer: "corp",
    key: ["introspection", "endpoint"],
    message: `${ENDPOINT} could not be fetched: connection refused`,
  }]);
});

Deno.test("probe() tells of an issuer that calls every token active", async () => {
  const endpoint = new FakeEndpoint();
  endpoint.tell(told());
  assert.deepEqual(await probe(endpoint), [{
    issuer: "corp",
    key: ["introspection", "endpoint"],
    message: "It calls a token active that nobody has issued; every login would be let in",
  }]);
});

const DOCUMENT = {
  issuer: ISS,
  jwks_uri: `${ISS}/jwks`,
  introspection_endpoint: ENDPOINT,
  mtls_endpoint_aliases: { introspection_endpoint: `${ISS}/mtls/introspect` },
};
const DISCOVERED = { introspection: { endpoint: undefined }, changes: { url: ISS, issuer: undefined } };

/** An issuer with this discovery document, whose key set cannot be had. */
function discovered(document: Record<string, unknown>): FakeEndpoint {
  const endpoint = new FakeEndpoint();
  endpoint.answer = ({ url }) =>
    url === DISCOVERY
      ? Response.json(document)
      : Response.json({ active: false }, { status: url.endsWith("jwks") ? 500 : 200 });
  return endpoint;
}

/** What is found wrong with the introspection alone. */
async function problemsOfIntrospection(
  endpoint: FakeEndpoint,
  options: Parameters<typeof probe>[1] = DISCOVERED,
) {
  return (await probe(endpoint, options)).filter(({ key }) => key?.[0] === "introspection");
}

Deno.test("probe() finds the endpoint by discovery", async () => {
  const endpoint = discovered(DOCUMENT);
  assert.deepEqual(await problemsOfIntrospection(endpoint), []);
  assert(endpoint.requests.some(({ url, method }) => url === ENDPOINT && method === "POST"));
});

Deno.test("probe() finds the endpoint for those who show a certificate", async () => {
  const endpoint = discovered(DOCUMENT);
  const client = await (await createAuthority("probe")).issue({ commonName: "proxy", usage: "client" });
  const options = {
    ...DISCOVERED,
    introspection: {
      endpoint: undefined,
      client_secret_env: undefined,
      auth: "tls_client_auth",
      certificate: "certificatePem",
      private_key: "keyPem",
    },
  };
  await using verifier = await endpoint.verifier([asking(options.introspection, options.changes)], {
    readTextFile: (path) => Promise.resolve(client[path.split("/").at(-1) as keyof typeof client]),
    certifiedFetch: () => ({ fetch: endpoint.fetch, close: () => {} }),
  });
  await verifier.probe();
  assert(endpoint.requests.some(({ url }) => url === `${ISS}/mtls/introspect`));
});

Deno.test.each<[string, Record<string, unknown>, string]>([
  [
    "has none",
    { ...DOCUMENT, introspection_endpoint: undefined },
    "has no usable introspection_endpoint; set endpoint in introspection",
  ],
  [
    "T5 names one on another host",
    { ...DOCUMENT, introspection_endpoint: "https://evil.example/introspect" },
    "names an introspection_endpoint on another host; if that is right set endpoint in introspection",
  ],
  [
    "names one in clear",
    { ...DOCUMENT, introspection_endpoint: "http://issuer.example/introspect" },
    "names an introspection_endpoint that is not https",
  ],
])("probe() tells of a discovery document that %s", async (_name, document, says) => {
  assert.deepEqual(await problemsOfIntrospection(discovered(document)), [{
    issuer: "corp",
    key: ["introspection", "endpoint"],
    message: `The discovery document of "${ISS}" ${says}`,
  }]);
});

Deno.test("T6 probe() tells of a discovery document of another issuer", async () => {
  const endpoint = discovered({ ...DOCUMENT, issuer: `${ISS}/` });
  const [{ message }] = await problemsOfIntrospection(endpoint);
  assert.match(message, /is the document of issuer "https:\/\/issuer\.example\/", not of/);
  assert(!endpoint.requests.some(({ method }) => method === "POST"));
});

Deno.test("the endpoint is discovered once, and again after an outage", async () => {
  const endpoint = discovered(DOCUMENT);
  const discoveries = () => endpoint.requests.filter(({ url }) => url === DISCOVERY).length;
  await using verifier = await endpoint.verifier([asking(DISCOVERED.introspection, DISCOVERED.changes)]);
  const attempt = (token: string) => verifier.verify(token).catch(() => {});
  for (let count = 0; count < 3; count++) await attempt(`opaque-${count}`);
  assert.equal(discoveries(), 1);
  endpoint.goDown();
  for (let count = 0; count < 5; count++) await attempt(`opaque-${count}`);
  endpoint.nowMs += 5_000;
  await attempt("opaque");
  assert.ok(discoveries() > 1);
});
