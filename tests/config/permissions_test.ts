import assert from "node:assert/strict";
import { loadConfiguration, THIS_MACHINE } from "../../lib/config/load.ts";
import { checkPermissions, requiredPermissions } from "../../lib/config/permissions.ts";
import type { ConfigurationError } from "../../lib/config/problem.ts";
import { outsideOf, PEM } from "./files.ts";

const TOML = `
[listen]
address = ["127.0.0.1:6432", "[::]:0"]
certificate = "server.crt"
private_key = "server.key"

[[issuers]]
name = "a"
url = "https://login.example.com/tenant"
jwks_hosts = ["keys.example.com"]
audience = ["proxy"]

[[issuers]]
name = "b"
jwks_url = "http://127.0.0.1:8080/keys"
issuer = "b"
insecure_http = true
audience = ["proxy"]

[[issuers]]
name = "c"
signing_keys = ["one.pem", "keys/*.pem"]
deny_list = "denied.txt"
issuer = "c"
audience = ["proxy"]

[[issuers]]
name = "d"
validator = { command = ["/usr/local/libexec/check-token", "./x"] }

[[issuers]]
name = "e"
validator = { command = ["./check"] }

[[issuers]]
name = "f"
validator = { command = ["sh"] }

[[backends]]
name = "far"
url = "postgres://app@db1.internal,[2001:db8::1]:6000/orders"
password_file = "secrets/far"

[[backends]]
name = "near"
url = "postgres://app@%2Frun%2Fpostgresql/orders"
password_env = "NEAR_PASSWORD"

[[rules]]
issuer = "a"
match = "alice"
backend = "far"
`;

const outside = outsideOf({ ...PEM, "config.toml": TOML, "secrets/far": "x" }, { NEAR_PASSWORD: "x" });
const load = () => loadConfiguration("/etc/proxy/config.toml", outside);

Deno.test("requiredPermissions() lists every address and path", async () => {
  assert.deepEqual(requiredPermissions(await load()), {
    net: [
      "127.0.0.1:6432",
      "[::]",
      "login.example.com:443",
      "keys.example.com:443",
      "127.0.0.1:8080",
      "db1.internal:5432",
      "[2001:db8::1]:6000",
      "unix:/run/postgresql/.s.PGSQL.5432",
    ],
    read: [
      "/etc/proxy/config.toml",
      "/etc/proxy/server.crt",
      "/etc/proxy/server.key",
      "/etc/proxy/secrets/far",
      "/etc/proxy/one.pem",
      "/etc/proxy/keys",
      "/etc/proxy/denied.txt",
      "/run/postgresql/.s.PGSQL.5432",
    ],
    write: ["/run/postgresql/.s.PGSQL.5432"],
    run: ["/usr/local/libexec/check-token", "/etc/proxy/check", "sh"],
    env: ["NEAR_PASSWORD"],
  });
});

Deno.test.each(["2", '"auto"'])(
  "requiredPermissions() lists the program itself for workers = %s",
  async (workers) => {
    const toml = `${TOML}\n[service]\nworkers = ${workers}\n`;
    const configuration = await loadConfiguration(
      "/etc/proxy/config.toml",
      outsideOf({ ...PEM, "config.toml": toml, "secrets/far": "x" }, { NEAR_PASSWORD: "x" }),
    );
    const lib = new URL("../../lib", import.meta.url).pathname;
    const alone = requiredPermissions(await load()).read;
    const added = requiredPermissions(configuration).read.filter((path) => !alone.includes(path));
    assert.deepEqual(added, [new URL(Deno.mainModule).pathname, lib]);
  },
);

Deno.test("requiredPermissions() lists the admin addresses, and the files of the log and of the audit trail", async () => {
  const toml = `${TOML}
[admin]
address = ["127.0.0.1:9187", "[::1]:0"]
[log]
file = "proxy.log"
[audit]
file = "/var/log/audit.jsonl"
`;
  const files = { ...PEM, "config.toml": toml, "secrets/far": "x" };
  const configuration = await loadConfiguration(
    "/etc/proxy/config.toml",
    outsideOf(files, { NEAR_PASSWORD: "x" }),
  );
  const { net, write } = requiredPermissions(configuration);
  assert.deepEqual(net.slice(2, 4), ["127.0.0.1:9187", "[::1]"]);
  assert.deepEqual(write.slice(0, 2), ["/etc/proxy/proxy.log", "/var/log/audit.jsonl"]);
});

Deno.test("checkPermissions() says nothing where all is granted", async () => {
  const granted = () => Promise.resolve({ state: "granted" });
  assert.equal(await checkPermissions(await load(), granted), undefined);
});

Deno.test("checkPermissions() names all that is missing in one sentence", async () => {
  const sentence = await checkPermissions(await load(), (descriptor) => {
    const isMissing = "host" in descriptor && descriptor.host?.endsWith(":5432") ||
      "path" in descriptor && String(descriptor.path).includes("secrets");
    return Promise.resolve({ state: isMissing ? "denied" : "granted" });
  });
  assert.equal(
    sentence,
    "Deno does not permit what the configuration needs:" +
      " start with --allow-net=db1.internal:5432 --allow-read=/etc/proxy/secrets/far",
  );
});

Deno.test({
  name: "checkPermissions() asks Deno itself",
  permissions: { net: ["db1.internal:5432", "127.0.0.1"], read: true, write: true, run: ["sh"] },
  async fn() {
    const sentence = await checkPermissions(await load(), (descriptor) => Deno.permissions.query(descriptor));
    assert.equal(
      sentence,
      "Deno does not permit what the configuration needs: start with" +
        " --allow-net=[::],login.example.com:443,keys.example.com:443,[2001:db8::1]:6000,unix:/run/postgresql/.s.PGSQL.5432" +
        " --allow-run=/usr/local/libexec/check-token,/etc/proxy/check --allow-env=NEAR_PASSWORD",
    );
  },
});

Deno.test({
  name: "loadConfiguration() names the permission that Deno withholds",
  permissions: { read: false },
  async fn() {
    const path = new URL("../../config.example.toml", import.meta.url).pathname;
    await assert.rejects(loadConfiguration(path, THIS_MACHINE), (error: ConfigurationError) => {
      const says = `is the configuration file, which Deno may not read: start with --allow-read=${path}`;
      assert.deepEqual(error.problems, [{ path: "", message: says }]);
      return true;
    });
  },
});

Deno.test({
  name: "loadConfiguration() names the variable that Deno withholds",
  permissions: { env: false },
  async fn() {
    const toml = TOML.replace('password_file = "secrets/far"', 'password_env = "PW"');
    const files = outsideOf({ ...PEM, "config.toml": toml.replace('"NEAR_PASSWORD"', '"PW"') });
    const loading = loadConfiguration("/etc/proxy/config.toml", { ...files, getEnv: THIS_MACHINE.getEnv });
    await assert.rejects(loading, (error: ConfigurationError) => {
      assert.deepEqual(error.problems.map(({ message }) => message), [
        "backends[0].password_env names the environment variable PW, which Deno may not read: start with --allow-env=PW",
        "backends[1].password_env names the environment variable PW, which Deno may not read: start with --allow-env=PW",
      ]);
      return true;
    });
  },
});
