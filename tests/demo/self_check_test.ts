import assert from "node:assert/strict";
import { createAuthority } from "../support/certificates.ts";
import { PostgresCluster } from "../support/postgres_cluster.ts";
import { PASSWORDS } from "../support/postgres_roles.ts";
import { RunningProxy } from "../support/running_proxy.ts";
import { tempDirectory } from "../support/temp_directory.ts";
import { type CheckedStage, CheckFailed, checkLogins, checkRefusals } from "./self_check.ts";
import { TokenFiles } from "./token_files.ts";

const EVERYBODY = `
[[rules]]
issuer = "corp"
match = '/(.*)/'
backend = "shop"
`;

Deno.test("checkLogins() fails when a visitor becomes another role", async () => {
  await using stage = await brokenStage({ sslmode: "require", rules: EVERYBODY });
  await assert.rejects(
    checkLogins(stage, { tell() {}, hasPsql: false }),
    new CheckFailed("The role of alice is app_scram, it should be alice"),
  );
});

Deno.test("checkLogins() fails when the backend's connection is not inside TLS", async () => {
  await using stage = await brokenStage({ sslmode: "disable", rules: EVERYBODY + "login_as = '\\1'" });
  await assert.rejects(
    checkLogins(stage, { tell() {}, hasPsql: false }),
    new CheckFailed("The backend's connection is not inside TLS"),
  );
});

Deno.test("checkRefusals() fails when a visitor may be whom they like", async () => {
  await using stage = await brokenStage({ sslmode: "require", rules: EVERYBODY });
  await assert.rejects(
    checkRefusals(stage, () => {}),
    new CheckFailed("The proxy let in alice, with a good token, asking for the user shop_owner"),
  );
});

interface Breakage {
  readonly sslmode: string;
  readonly rules: string;
}

/** A stage that is not as the demo's: its configuration lets in what must not be. */
async function brokenStage({ sslmode, rules }: Breakage): Promise<CheckedStage & AsyncDisposable> {
  await using resources = new AsyncDisposableStack();
  const authority = await createAuthority("pg-auth-proxy tests");
  const cluster = resources.use(
    await PostgresCluster.start({
      major: 18,
      tls: await authority.issueForLoopback(),
      hba: ["127.0.0.1/32", "::1/128"].map((address) => `host all all ${address} scram-sha-256`),
    }),
  );
  await cluster.sql(`CREATE ROLE alice LOGIN PASSWORD '${PASSWORDS.app_scram}'`);
  await cluster.sql("CREATE DATABASE shop");
  const backend = `
[[backends]]
name = "shop"
url = "postgres://app_scram@localhost:${cluster.port}/shop?sslmode=${sslmode}"
password_file = "password"
`;
  const files = { password: PASSWORDS.app_scram };
  const proxy = resources.use(await RunningProxy.start({ toml: backend + rules, files }, authority));
  const directory = resources.use(await tempDirectory());
  const tokens = resources.use(await TokenFiles.write({ directory: directory.path, issuer: proxy.issuer }));
  const moved = resources.move();
  return {
    proxy: { logLength: 0, reasonSince: () => Promise.resolve("a reason") },
    proxyPort: proxy.port,
    tokens,
    caFile: proxy.caFile,
    caPem: authority.certificatePem,
    [Symbol.asyncDispose]: () => moved.disposeAsync(),
  };
}
