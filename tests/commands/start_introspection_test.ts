import assert from "node:assert/strict";
import { createAuthority, type IssuedCertificate } from "../support/certificates.ts";
import { CLIENTS } from "../support/oidc_provider.ts";
import { OidcIssuer } from "../support/oidc_issuer.ts";
import { tempDirectory } from "../support/temp_directory.ts";

const MAIN = new URL("../../main.ts", import.meta.url).pathname;
const authority = await createAuthority("start");
const server = await authority.issueForLoopback();

const CLIENT = {
  client_id: "by-certificate",
  token_endpoint_auth_method: "tls_client_auth",
  tls_client_auth_san_dns: "proxy.example",
};

const BY_CERTIFICATE = `
client_id = "${CLIENT.client_id}"
auth = "tls_client_auth"
certificate = "client.crt"
private_key = "client.key"`;

Deno.test("start shows its certificate to an issuer that asks for it", async () => {
  const client = await clientCertificate("proxy.example");
  await using scene = await configured(BY_CERTIFICATE, { client });
  const child = scene.command().spawn();
  const { line, rest } = await firstLine(child.stderr);
  child.kill("SIGTERM");
  const { success } = await child.status;
  await Promise.all([child.stdout.cancel(), rest.cancel()]);
  assert.match(line, /listening/);
  assert.equal(success, true);
});

Deno.test.each<[string, string, RegExp]>([
  [
    "a certificate that the issuer does not know",
    BY_CERTIFICATE,
    /^config\.toml:14: issuers\[0\]\.introspection\.certificate cannot be used: .* refused the proxy's credentials \(status 401, invalid_client\)/,
  ],
  [
    "another secret",
    `\nclient_id = "${CLIENTS.proxy.id}"\nclient_secret_file = "secret"`,
    /^config\.toml:13: issuers\[0\]\.introspection\.client_secret_file cannot be used: .* refused the proxy's credentials/,
  ],
  [
    "a secret that is not there",
    `\nclient_id = "${CLIENTS.proxy.id}"\nclient_secret_file = "missing"`,
    /^config\.toml:13: issuers\[0\]\.introspection\.client_secret_file cannot be used: the file missing cannot be read: it does not exist$/,
  ],
  [
    "a variable that Deno withholds",
    `\nclient_id = "${CLIENTS.proxy.id}"\nclient_secret_env = "SECRET"`,
    /^config\.toml:13: issuers\[0\]\.introspection\.client_secret_env cannot be used: .* start Deno with --allow-env=SECRET$/,
  ],
])("start says of an introspection with %s where it is", async (_name, introspection, expected) => {
  const client = await clientCertificate("other.example");
  await using scene = await configured(introspection, { client });
  const { code, stderr } = await scene.command().output();
  assert.equal(code, 1);
  const text = new TextDecoder().decode(stderr).trimEnd();
  assert.match(text.replace(`${scene.path}/`, ""), expected);
  assert(!text.includes("hunter2"));
});

const clientCertificate = (name: string) =>
  authority.issue({ commonName: name, usage: "client", dnsNames: [name] });

/** A configuration with this introspection, and a real issuer that it leads to. */
async function configured(introspection: string, { client }: { readonly client: IssuedCertificate }) {
  await using resources = new AsyncDisposableStack();
  const issuer = resources.use(await OidcIssuer.start({ authority, clients: [CLIENT] }));
  const directory = resources.use(await tempDirectory());
  const files = {
    "server.crt": server.certificatePem,
    "server.key": server.keyPem,
    "ca.crt": authority.certificatePem,
    "client.crt": client.certificatePem,
    "client.key": client.keyPem,
    "secret": "hunter2",
    "config.toml": `[listen]
address = "127.0.0.1:0"
certificate = "server.crt"
private_key = "server.key"

[[issuers]]
name = "corp"
url = "${issuer.url}"
audience = ["pg-auth-proxy"]

[issuers.introspection]${introspection}

[[backends]]
name = "main"
url = "postgres://app@localhost:5432/app"

[[rules]]
issuer = "corp"
match = "alice"
backend = "main"
`,
  };
  for (const [name, text] of Object.entries(files)) await directory.write(name, text);
  const moved = resources.move();
  const { path } = directory;
  return {
    path,
    command: () =>
      new Deno.Command(Deno.execPath(), {
        args: [
          "run",
          "--no-prompt",
          "--allow-net",
          "--allow-read",
          MAIN,
          "start",
          "-c",
          `${path}/config.toml`,
        ],
        env: { NO_COLOR: "1", DENO_CERT: `${path}/ca.crt` },
        stdin: "null",
        stdout: "piped",
        stderr: "piped",
      }),
    [Symbol.asyncDispose]: () => moved.disposeAsync(),
  };
}

/** The first line of a stream, and what is left of it. */
async function firstLine(stream: ReadableStream<Uint8Array<ArrayBuffer>>) {
  const reader = stream.getReader();
  const decoder = new TextDecoder();
  let text = "";
  while (!text.includes("\n")) {
    const { value, done } = await reader.read();
    if (done) break;
    text += decoder.decode(value, { stream: true });
  }
  reader.releaseLock();
  return { line: text.split("\n")[0], rest: stream };
}
