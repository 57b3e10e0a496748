import assert from "node:assert/strict";
import * as v from "valibot";
import { introspectionSchema } from "../../../lib/token/introspection/schema.ts";

const GOOD = { client_id: "proxy", client_secret_file: "secret" };

const problems = (table: unknown) =>
  (v.safeParse(introspectionSchema, table).issues ?? []).map(({ path, message }) =>
    `${path?.map(({ key }) => key).join(".")}: ${message}`
  );

Deno.test("introspectionSchema fills in what is not given", () => {
  assert.deepEqual(v.parse(introspectionSchema, GOOD), {
    ...GOOD,
    auth: "client_secret_basic",
    timeout: 2_000,
    remember_for: 60_000,
  });
});

Deno.test.each([
  ["every secret option", {
    ...GOOD,
    endpoint: "https://a.b/introspect?tenant=1",
    auth: "client_secret_post",
    timeout: "500ms",
    remember_for: "0",
  }],
  ["a secret of the environment", { client_id: "proxy", client_secret_env: "SECRET" }],
  ["a signing key", {
    client_id: "proxy",
    auth: "private_key_jwt",
    private_key: "key.pem",
    algorithm: "PS256",
    key_id: "k1",
  }],
  ["a certificate", {
    client_id: "proxy",
    auth: "tls_client_auth",
    certificate: "a.crt",
    private_key: "a.key",
  }],
])("introspectionSchema accepts %s", (_name, table) => {
  assert.deepEqual(problems(table), []);
});

Deno.test.each<[string, Record<string, unknown>, readonly string[]]>([
  ["no secret", { client_id: "proxy" }, [
    "client_secret_file: is required: name the file that holds the client's secret, or give client_secret_env",
  ]],
  ["two secrets", { ...GOOD, client_secret_env: "SECRET" }, [
    "client_secret_env: is a second secret: give it in one place only",
  ]],
  ["a key for a secret", { ...GOOD, private_key: "a.key" }, [
    'private_key: has no use with auth = "client_secret_basic": remove it, or change auth',
  ]],
  ["no signing key", { client_id: "proxy", auth: "private_key_jwt" }, [
    'private_key: is required: auth = "private_key_jwt" needs it',
  ]],
  ["a secret for a signing key", { ...GOOD, auth: "private_key_jwt", private_key: "a.key" }, [
    'client_secret_file: has no use with auth = "private_key_jwt": remove it, or change auth',
  ]],
  ["no certificate and no key", { client_id: "proxy", auth: "tls_client_auth" }, [
    'certificate: is required: auth = "tls_client_auth" needs it',
    'private_key: is required: auth = "tls_client_auth" needs it',
  ]],
  ["an algorithm for a certificate", {
    client_id: "proxy",
    auth: "tls_client_auth",
    certificate: "a.crt",
    private_key: "a.key",
    algorithm: "ES256",
  }, ['algorithm: has no use with auth = "tls_client_auth": remove it, or change auth']],
  ["a longer memory", { ...GOOD, remember_for: "61s" }, ["remember_for: must be between 0ms and 1m"]],
  ["a longer wait", { ...GOOD, timeout: "11s" }, ["timeout: must be between 100ms and 10s"]],
  ["an endpoint with credentials", { ...GOOD, endpoint: "https://u:p@a.b/" }, [
    'endpoint: "endpoint" must be a URL without credentials and fragment',
  ]],
  ["an endpoint that is none", { ...GOOD, endpoint: "introspect" }, [
    'endpoint: "endpoint" must be a URL without credentials and fragment',
  ]],
  ["T1 an algorithm with a shared key", { ...GOOD, algorithm: "HS256" }, [
    'algorithm: "algorithm" must be one of RS256, RS384, RS512, PS256, PS384, PS512, ES256, ES384, ES512, EdDSA, Ed25519',
  ]],
  ["another method", { ...GOOD, auth: "none" }, [
    'auth: "auth" must be one of client_secret_basic, client_secret_post, private_key_jwt, tls_client_auth',
  ]],
])("introspectionSchema refuses %s", (_name, table, expected) => {
  assert.deepEqual(problems(table), expected);
});
