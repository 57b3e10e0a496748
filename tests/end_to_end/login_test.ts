import assert from "node:assert/strict";
import pg from "pg";
import { createAuthority } from "../support/certificates.ts";
import { PostgresCluster } from "../support/postgres_cluster.ts";
import { RunningProxy } from "../support/running_proxy.ts";
import { PASSWORDS } from "../support/postgres_roles.ts";

Deno.test("first light", async () => {
  const authority = await createAuthority("first light");
  const server = await authority.issueForLoopback();
  await using cluster = await PostgresCluster.start({
    major: 18,
    tls: { certificatePem: server.certificatePem, keyPem: server.keyPem, caPem: authority.certificatePem },
  });
  await using proxy = await RunningProxy.start({
    toml: `
[[backends]]
name = "main"
url = "postgres://app_scram@localhost:${cluster.port}/postgres?sslmode=verify-full&sslrootcert=ca.crt"
password_file = "password"

[[rules]]
issuer = "corp"
match = '/^(.*)@example\\.com$/'
backend = "main"
`,
    files: { password: PASSWORDS.app_scram },
  }, authority);
  const token = await proxy.issuer.mint({ sub: "alice@example.com" });
  const client = new pg.Client({ ...proxy.driverOptions(token), user: "alice", database: "postgres" });
  try {
    await client.connect();
  } catch (error) {
    console.log(error, proxy.events);
    throw error;
  }
  const { rows } = await client.query(
    "select current_user, ssl from pg_stat_ssl where pid = pg_backend_pid()",
  );
  assert.deepEqual(rows, [{ current_user: "app_scram", ssl: true }]);
  await client.end();
});
