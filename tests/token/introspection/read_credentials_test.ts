import assert from "node:assert/strict";
import { generateKeyPairSync } from "node:crypto";
import * as v from "valibot";
import {
  readCredentials,
  type SecretsOutside,
  UnusableCredentials,
} from "../../../lib/token/introspection/read_credentials.ts";
import { introspectionSchema } from "../../../lib/token/introspection/schema.ts";
import { createAuthority } from "../../support/certificates.ts";

const authority = await createAuthority("credentials");
const client = await authority.issue({ commonName: "proxy", usage: "client" });
const other = await authority.issue({ commonName: "other", usage: "client" });

const pem = (type: "pkcs8" | "sec1", curve: string) =>
  generateKeyPairSync("ec", { namedCurve: curve }).privateKey.export({ type, format: "pem" }) as string;

const FILES: Readonly<Record<string, string>> = {
  "/etc/proxy/secret": "hunter2\n",
  "/etc/proxy/two-lines": "one\ntwo\r\n",
  "/etc/proxy/empty": "\n",
  "/etc/proxy/client.crt": client.certificatePem,
  "/etc/proxy/client.key": client.keyPem,
  "/etc/proxy/other.key": other.keyPem,
  "/etc/proxy/p384.key": pem("sec1", "P-384"),
  "/etc/proxy/k1.key": pem("pkcs8", "secp256k1"),
  "/etc/proxy/rsa.key": generateKeyPairSync("rsa", { modulusLength: 2048 }).privateKey.export({
    type: "pkcs1",
    format: "pem",
  }) as string,
  "/etc/proxy/ed.key": generateKeyPairSync("ed25519").privateKey.export({
    type: "pkcs8",
    format: "pem",
  }) as string,
  "/etc/proxy/locked.key": generateKeyPairSync("ed25519").privateKey.export({
    type: "pkcs8",
    format: "pem",
    cipher: "aes-256-cbc",
    passphrase: "x",
  }) as string,
};

const outside: SecretsOutside = {
  baseDirectory: "/etc/proxy",
  readTextFile: (path) =>
    Object.hasOwn(FILES, path)
      ? Promise.resolve(FILES[path])
      : Promise.reject(new Deno.errors.NotFound("No such file")),
  getEnv: (name) => {
    if (name === "FORBIDDEN") throw new Deno.errors.NotCapable("env");
    return name === "SECRET" ? "hunter3" : undefined;
  },
};

const read = (table: Record<string, unknown>) =>
  readCredentials(v.parse(introspectionSchema, { client_id: "proxy", ...table }), outside);

Deno.test.each<[Record<string, unknown>, string]>([
  [{ client_secret_file: "secret" }, "hunter2"],
  [{ client_secret_file: "/etc/proxy/secret" }, "hunter2"],
  [{ client_secret_file: "two-lines" }, "one\ntwo"],
  [{ client_secret_env: "SECRET" }, "hunter3"],
  [{ client_secret_env: "SECRET", auth: "client_secret_post" }, "hunter3"],
])("readCredentials() reads the secret of %j", async (table, expected) => {
  const credentials = await read(table);
  assert("secret" in credentials);
  assert.equal(credentials.secret.reveal(), expected);
  assert(!Deno.inspect(credentials).includes(expected));
});

Deno.test.each<[string, string | undefined, string]>([
  ["client.key", undefined, "ES256"],
  ["p384.key", undefined, "ES384"],
  ["rsa.key", undefined, "RS256"],
  ["rsa.key", "PS256", "PS256"],
  ["ed.key", undefined, "EdDSA"],
  ["ed.key", "Ed25519", "Ed25519"],
])("readCredentials() of %s with algorithm %s signs with %s", async (file, algorithm, expected) => {
  const credentials = await read({
    auth: "private_key_jwt",
    private_key: file,
    ...(algorithm && { algorithm }),
  });
  assert.equal("algorithm" in credentials && credentials.algorithm, expected);
});

Deno.test("readCredentials() reads the certificate and its key", async () => {
  const credentials = await read({
    auth: "tls_client_auth",
    certificate: "client.crt",
    private_key: "client.key",
  });
  assert("certificates" in credentials);
  assert.equal(credentials.certificates, client.certificatePem);
  assert.equal(credentials.privateKey.reveal(), client.keyPem);
});

const JWT = { auth: "private_key_jwt" };
const TLS = { auth: "tls_client_auth", certificate: "client.crt" };

Deno.test.each<[Record<string, unknown>, string, RegExp]>([
  [
    { client_secret_file: "nothing" },
    "client_secret_file",
    /^The file nothing cannot be read: it does not exist$/,
  ],
  [{ client_secret_file: "empty" }, "client_secret_file", /^The file empty is empty$/],
  [{ client_secret_env: "UNSET" }, "client_secret_env", /^The environment variable UNSET is not set$/],
  [{ client_secret_env: "FORBIDDEN" }, "client_secret_env", /start Deno with --allow-env=FORBIDDEN$/],
  [{ ...JWT, private_key: "secret" }, "private_key", /holds no private key in PEM form$/],
  [{ ...JWT, private_key: "client.crt" }, "private_key", /holds no private key in PEM form$/],
  [{ ...JWT, private_key: "locked.key" }, "private_key", /has a passphrase/],
  [{ ...JWT, private_key: "k1.key" }, "private_key", /of no kind that can sign/],
  [{ ...JWT, private_key: "rsa.key", algorithm: "ES256" }, "algorithm", /^The key can sign RS256, .* only$/],
  [{ ...TLS, private_key: "other.key" }, "private_key", /is not that of the certificate$/],
  [{ ...TLS, certificate: "secret", private_key: "client.key" }, "certificate", /holds no certificate/],
])("readCredentials() says what is wrong with %j", async (table, key, message) => {
  await assert.rejects(read(table), (error: unknown) => {
    assert(error instanceof UnusableCredentials);
    assert.equal(error.key, key);
    assert.match(error.message, message);
    assert(!/hunter/.test(error.message));
    return true;
  });
});

Deno.test({
  name: "readCredentials() names the permissions that Deno withholds",
  permissions: { read: false, env: false },
  async fn() {
    const withheld: SecretsOutside = {
      baseDirectory: "/etc/proxy",
      readTextFile: (path) => Deno.readTextFile(path),
      getEnv: (name) => Deno.env.get(name),
    };
    const table = (keys: Record<string, unknown>) =>
      v.parse(introspectionSchema, { client_id: "proxy", ...keys });
    await assert.rejects(
      readCredentials(table({ client_secret_file: "secret" }), withheld),
      /start Deno with --allow-read=\/etc\/proxy\/secret$/,
    );
    await assert.rejects(
      readCredentials(table({ client_secret_env: "SECRET" }), withheld),
      /start Deno with --allow-env=SECRET$/,
    );
  },
});
