import assert from "node:assert/strict";
import { loadConfiguration } from "../../lib/config/load.ts";
import type { Outside } from "../../lib/config/named_file.ts";
import { requiredPermissions } from "../../lib/config/permissions.ts";
import type { ConfigurationError } from "../../lib/config/problem.ts";
import { outsideOf, PEM, SMALLEST } from "./files.ts";

const PATH = "/etc/proxy/config.toml";

function outside(introspection: string, more: Partial<Outside> = {}): Outside {
  const toml = SMALLEST.replace("\n[[backends]]", `\n${introspection}\n\n[[backends]]`);
  return { ...outsideOf({ ...PEM, "config.toml": toml }), ...more };
}

async function mistakesIn(given: Outside): Promise<readonly string[]> {
  let problems: ConfigurationError["problems"] = [];
  await assert.rejects(loadConfiguration(PATH, given), (error: ConfigurationError) => {
    ({ problems } = error);
    return true;
  });
  return problems.map(({ line, message }) => `${line}: ${message}`);
}

const GOOD = `[issuers.introspection]
endpoint = "https://introspect.example.com:8443/token"
client_id = "proxy"
auth = "tls_client_auth"
certificate = "tls/client.crt"
private_key = "tls/client.key"`;

Deno.test("requiredPermissions() lists the endpoint and the files of an introspection", async () => {
  const { net, read } = requiredPermissions(await loadConfiguration(PATH, outside(GOOD)));
  assert(net.includes("login.example.com:443"));
  assert(net.includes("introspect.example.com:8443"));
  assert.deepEqual(read.filter((path) => path.includes("tls")), [
    "/etc/proxy/tls/client.key",
    "/etc/proxy/tls/client.crt",
  ]);
});

Deno.test("requiredPermissions() lists the file of a client's secret", async () => {
  const inline = 'introspection = { client_id = "proxy", client_secret_file = "secrets/client" }';
  const { read } = requiredPermissions(await loadConfiguration(PATH, outside(inline)));
  assert(read.includes("/etc/proxy/secrets/client"));
});

Deno.test("loadConfiguration() tells of the mistakes of an introspection, each with its line", async () => {
  const toml = `[issuers.introspection]
endpoint = "http://introspect.example.com/"
client_id = ""
auth = "client_secret_jwt"
remember_for = "2m"
secret = "x"`;
  assert.deepEqual(await mistakesIn(outside(toml)), [
    "11: issuers[0].introspection.endpoint must begin with https:// unless insecure_http = true",
    "12: issuers[0].introspection.client_id must not be empty",
    "13: issuers[0].introspection.auth must be one of client_secret_basic, client_secret_post, private_key_jwt, tls_client_auth",
    "14: issuers[0].introspection.remember_for must be between 0ms and 1m",
    "15: issuers[0].introspection.secret is not a known key: there are endpoint, client_id, auth, client_secret_file, client_secret_env, private_key, algorithm, key_id, certificate, timeout, remember_for",
  ]);
});

Deno.test("loadConfiguration() tells of a secret that is missing, and of keys without a use", async () => {
  const toml = `[issuers.introspection]
client_id = "proxy"
key_id = "k1"`;
  assert.deepEqual(await mistakesIn(outside(toml)), [
    "10: issuers[0].introspection.client_secret_file is required: name the file that holds the client's secret, or give client_secret_env",
    '12: issuers[0].introspection.key_id has no use with auth = "client_secret_basic": remove it, or change auth',
  ]);
});

Deno.test("loadConfiguration() places what is found wrong with an issuer at the key that says so", async () => {
  const checkIssuers = () =>
    Promise.resolve([{
      issuer: "corp",
      key: ["introspection", "certificate"],
      message: "The file tls/client.crt cannot be read: it does not exist",
    }]);
  assert.deepEqual(await mistakesIn(outside(GOOD, { checkIssuers })), [
    "14: issuers[0].introspection.certificate cannot be used: the file tls/client.crt cannot be read: it does not exist",
  ]);
});
