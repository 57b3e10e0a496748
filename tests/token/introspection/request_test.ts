import assert from "node:assert/strict";
import { generateKeyPairSync } from "node:crypto";
import { decodeJwt } from "jose";
import type { ClientCertificate } from "../../../lib/token/introspection/client_authentication.ts";
import { createAuthority } from "../../support/certificates.ts";
import { ISS } from "../fake_issuer.ts";
import { asking, ENDPOINT, FakeEndpoint } from "./fake_endpoint.ts";

const TOKEN = "opaque-token_1.~+/==";
const FORM = { token: TOKEN, token_type_hint: "access_token" };

const { privateKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
const authority = await createAuthority("introspection");
const client = await authority.issue({ commonName: "proxy", usage: "client" });

const files: Readonly<Record<string, string>> = {
  "/sign.key": privateKey.export({ type: "pkcs8", format: "pem" }) as string,
  "/client.crt": client.certificatePem,
  "/client.key": client.keyPem,
};

async function requestOf(introspection: Record<string, unknown>) {
  const endpoint = new FakeEndpoint();
  const table = introspection.auth === undefined || String(introspection.auth).startsWith("client_secret")
    ? introspection
    : { client_secret_env: undefined, ...introspection };
  const certified: ClientCertificate[] = [];
  let closed = 0;
  const outside = {
    readTextFile: (path: string) => Promise.resolve(files[path]),
    certifiedFetch(certificate: ClientCertificate) {
      certified.push(certificate);
      return { fetch: endpoint.fetch, close: () => void closed++ };
    },
  };
  {
    await using verifier = await endpoint.verifier([asking(table)], outside);
    await verifier.verify(TOKEN);
  }
  assert.equal(endpoint.requests.length, 1);
  return { request: endpoint.requests[0], certified, closed };
}

Deno.test("introspection is a POST of a form to the endpoint, which follows no redirect", async () => {
  const { request } = await requestOf({});
  const { url, method, redirect, headers } = request;
  assert.deepEqual({ url, method, redirect }, { url: ENDPOINT, method: "POST", redirect: "manual" });
  assert.equal(headers.get("accept"), "application/json");
  assert.equal(headers.get("content-type"), "application/x-www-form-urlencoded");
});

Deno.test("introspection by client_secret_basic", async () => {
  const { headers, form } = (await requestOf({ auth: "client_secret_basic" })).request;
  assert.equal(headers.get("authorization"), `Basic ${btoa("proxy:hunter2")}`);
  assert.deepEqual(form, FORM);
});

Deno.test("introspection by client_secret_post", async () => {
  const { headers, form } = (await requestOf({ auth: "client_secret_post" })).request;
  assert.equal(headers.get("authorization"), null);
  assert.deepEqual(form, { ...FORM, client_id: "proxy", client_secret: "hunter2" });
});

Deno.test("introspection by private_key_jwt", async () => {
  const { headers, form } = (await requestOf({ auth: "private_key_jwt", private_key: "/sign.key" })).request;
  const { client_assertion: assertion, ...rest } = form;
  assert.equal(headers.get("authorization"), null);
  assert.deepEqual(rest, {
    ...FORM,
    client_assertion_type: "urn:ietf:params:oauth:client-assertion-type:jwt-bearer",
  });
  const { iss, sub, aud } = decodeJwt(assertion);
  assert.deepEqual({ iss, sub, aud }, { iss: "proxy", sub: "proxy", aud: ISS });
});

Deno.test("introspection by tls_client_auth shows its certificate, and gives back what that takes", async () => {
  const table = { auth: "tls_client_auth", certificate: "/client.crt", private_key: "/client.key" };
  const { request, certified, closed } = await requestOf(table);
  assert.equal(request.headers.get("authorization"), null);
  assert.deepEqual(request.form, { ...FORM, client_id: "proxy" });
  assert.deepEqual(certified.map(({ certificates }) => certificates), [client.certificatePem]);
  assert.equal(certified[0].privateKey.reveal(), client.keyPem);
  assert.equal(closed, 1);
});

Deno.test("create() tells of every secret that cannot be read, and closes what was opened for others", async () => {
  const endpoint = new FakeEndpoint();
  let closed = 0;
  const tls = {
    client_secret_env: undefined,
    auth: "tls_client_auth",
    certificate: "/client.crt",
    private_key: "/client.key",
  };
  const opening = endpoint.verifier(
    [
      asking(tls, { name: "one", issuer: "one" }),
      asking({}, { name: "two", issuer: "two" }),
      asking({ client_secret_env: undefined, client_secret_file: "/nothing" }, {
        name: "three",
        issuer: "three",
      }),
    ],
    {
      getEnv: () => undefined,
      readTextFile: (path) =>
        path in files ? Promise.resolve(files[path]) : Promise.reject(new Deno.errors.NotFound("no file")),
      certifiedFetch: () => ({ fetch: endpoint.fetch, close: () => void closed++ }),
    },
  );
  await assert.rejects(opening, {
    name: "IssuersMisconfigured",
    problems: [
      {
        issuer: "two",
        key: ["introspection", "client_secret_env"],
        message: "The environment variable SECRET is not set",
      },
      {
        issuer: "three",
        key: ["introspection", "client_secret_file"],
        message: "The file /nothing cannot be read: it does not exist",
      },
    ],
  });
  assert.equal(closed, 1);
});
