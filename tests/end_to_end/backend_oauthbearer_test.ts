// In: a client's token, presented to the proxy. Out: the same token, presented by the proxy to a backend that judges it.
// Chapter: OAUTHBEARER at the backend, which is a real PostgreSQL 18 with a validator of the tests' own.

import assert from "node:assert/strict";
import pg from "pg";
import { createAuthority } from "../support/certificates.ts";
import {
  acceptTokens,
  hasCompiler,
  installOauthValidator,
  oauthHba,
  testWithCompiler,
} from "../support/oauth_validator.ts";
import { PostgresCluster, type Row } from "../support/postgres_cluster.ts";
import { everyMethodHba, PASSWORDS } from "../support/postgres_roles.ts";
import { RunningProxy } from "../support/running_proxy.ts";
import { backendsToml, fatal, refusalThrough, rowsThrough } from "./backend_access.ts";

const resources = new AsyncDisposableStack();
let cluster: PostgresCluster;
let proxy: RunningProxy;

Deno.test.beforeAll(async () => {
  const authority = await createAuthority("backend oauthbearer");
  cluster = resources.use(
    await PostgresCluster.start({ major: 18, tls: await authority.issueForLoopback() }),
  );
  await cluster.sql("CREATE ROLE alice LOGIN");
  if (hasCompiler()) await installOauthValidator(cluster, [...oauthHba("alice"), ...everyMethodHba()]);
  const url = (login: string) => `postgres://${login}@localhost:${cluster.port}/postgres?sslrootcert=ca.crt`;
  const backends = backendsToml({
    oauth: [url("alice"), 'require_auth = "oauth"'],
    scram: [url("alice"), 'require_auth = "scram-sha-256"'],
    both: [url(`app_scram:${PASSWORDS.app_scram}`), 'require_auth = ["oauth", "scram-sha-256"]'],
    trust: [url("app_trust"), 'require_auth = "oauth"'],
  });
  const toml = `${backends}\n[log]\nlevel = "trace"\n`;
  proxy = resources.use(await RunningProxy.start({ toml }, authority));
});

Deno.test.afterAll(() => resources.disposeAsync());

testWithCompiler("PostgreSQL 18 lets in whose token it accepts, as who it takes its bearer for", async () => {
  const token = await proxy.issuer.mint({ sub: "oauth" });
  await acceptTokens(cluster, { [token]: "alice" });
  assert.deepEqual(await queryWith(token, "SELECT current_user, system_user"), [
    { current_user: "alice", system_user: "oauth:alice" },
  ]);
});

testWithCompiler("PostgreSQL 18 lets in whose token has 12 000 characters", async () => {
  const token = await proxy.issuer.mint({ sub: "oauth", claims: { padding: "x".repeat(9_000) } });
  assert.ok(token.length > 12_000);
  await acceptTokens(cluster, { [token]: "alice" });
  assert.deepEqual(await queryWith(token, "SELECT current_user"), [{ current_user: "alice" }]);
});

testWithCompiler("PostgreSQL 18 that does not accept the token has the last word", async () => {
  await acceptTokens(cluster, {});
  const { told, event } = await refusalThrough(proxy, "oauth");
  assert.deepEqual(told, fatal("28000", `backend "oauth" refused the proxy's login`));
  assert.match(
    event.reason!,
    /^localhost:\d+: it refused the token with status invalid_token; the backend said: 28000: OAuth bearer authentication failed for user "alice"$/,
  );
});

testWithCompiler("PostgreSQL 18 that takes the token's bearer for somebody else lets nobody in", async () => {
  const token = await proxy.issuer.mint({ sub: "oauth" });
  await acceptTokens(cluster, { [token]: "mallory" });
  await assert.rejects(queryWith(token, "SELECT 1"), { code: "28000" });
});

testWithCompiler(
  "B3 PostgreSQL 18 that asks for a token where require_auth is SCRAM is sent none",
  async () => {
    const { told, event } = await refusalThrough(proxy, "scram");
    assert.deepEqual(told, fatal("08001", 'backend "scram" asked for a login method that is not allowed'));
    assert.match(event.reason!, /it asked for OAUTHBEARER, which require_auth does not allow$/);
  },
);

Deno.test("B3 PostgreSQL 18 that asks for nothing where require_auth is oauth is refused", async () => {
  const { told, event } = await refusalThrough(proxy, "trust");
  assert.deepEqual(told, fatal("08001", 'backend "trust" asked for a login method that is not allowed'));
  assert.match(event.reason!, /it asked for nothing, and require_auth does not allow none$/);
});

Deno.test("PostgreSQL 18 that asks for SCRAM where require_auth has both is given the password", async () => {
  const rows = await rowsThrough(proxy, "both", "SELECT current_user");
  assert.deepEqual(rows, [{ current_user: "app_scram" }]);
});

testWithCompiler("T17 neither a trace nor PostgreSQL's log shows a token that is passed on", async () => {
  const token = await proxy.issuer.mint({ sub: "oauth" });
  await acceptTokens(cluster, { [token]: "alice" });
  await queryWith(token, "SELECT 1");
  const text = JSON.stringify(proxy.events);
  assert.match(
    text,
    /"peer":"backend","message":"F\\t\d+\\tSASLInitialResponse\\t \\"OAUTHBEARER\\" \d+ 'BBBB'"/,
  );
  const log = await cluster.log();
  for (const part of token.split(".")) {
    assert.ok(!text.includes(part));
    assert.ok(!log.includes(part));
  }
});

async function queryWith(token: string, statement: string): Promise<Row[]> {
  const client = new pg.Client({ ...proxy.driverOptions(token), user: "anyone", database: "postgres" });
  try {
    await client.connect();
    return (await client.query(statement)).rows;
  } finally {
    await client.end();
  }
}
