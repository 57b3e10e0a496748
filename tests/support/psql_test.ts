import assert from "node:assert/strict";
import { createAuthority } from "./certificates.ts";
import { PostgresCluster } from "./postgres_cluster.ts";
import { PASSWORDS } from "./postgres_roles.ts";
import { runPsql, testWithPsql, testWithPsql18 } from "./psql.ts";
import { tempDirectory } from "./temp_directory.ts";

testWithPsql("runPsql() returns what a statement printed", async (psql) => {
  await using cluster = await PostgresCluster.start({ major: 18 });
  const args = ["--tuples-only", "--no-align", "--command", "SELECT current_user", loginAs(cluster)];
  const result = await runPsql(psql, args, { env: { PGPASSWORD: PASSWORDS.app_scram } });
  assert.deepEqual(result, { code: 0, stdout: "app_scram\n", stderr: "" });
});

testWithPsql("runPsql() returns why a login failed", async (psql) => {
  await using cluster = await PostgresCluster.start({ major: 18 });
  const { code, stderr } = await runPsql(psql, [loginAs(cluster)], { env: { PGPASSWORD: "wrong" } });
  assert.equal(code, 2);
  assert.match(stderr, /password authentication failed for user "app_scram"/);
});

testWithPsql("runPsql() writes standard input", async (psql) => {
  await using cluster = await PostgresCluster.start({ major: 18 });
  const env = { PGPASSWORD: PASSWORDS.app_scram };
  const { stdout } = await runPsql(psql, ["-At", loginAs(cluster)], { env, stdin: "SELECT 6 * 7;\n" });
  assert.equal(stdout, "42\n");
});

testWithPsql("runPsql() tells of standard error while psql runs", async (psql) => {
  await using cluster = await PostgresCluster.start({ major: 18 });
  const seen: string[] = [];
  const options = {
    env: { PGPASSWORD: PASSWORDS.app_scram },
    stdin: "DO $$ BEGIN RAISE NOTICE 'first'; END $$; SELECT 1;\n",
    onStderr: (text: string) => void seen.push(text),
  };
  const { stderr } = await runPsql(psql, [loginAs(cluster)], options);
  assert.match(seen[0], /first/);
  assert.equal(seen.at(-1), stderr);
});

testWithPsql("runPsql() does not wait for ever", async (psql) => {
  await using cluster = await PostgresCluster.start({ major: 18 });
  const options = {
    env: { PGPASSWORD: PASSWORDS.app_scram },
    stdin: "SELECT pg_sleep(60);\n",
    timeoutMs: 300,
  };
  await assert.rejects(runPsql(psql, [loginAs(cluster)], options), /did not end within 300 ms/);
});

testWithPsql18("psql 18 opens a connection with TLS directly", async (psql) => {
  const authority = await createAuthority("test authority");
  await using directory = await tempDirectory();
  const ca = await directory.write("ca.pem", authority.certificatePem);
  await using cluster = await PostgresCluster.start({ major: 18, tls: await authority.issueForLoopback() });
  const url = `${loginAs(cluster)}?sslmode=verify-full&sslnegotiation=direct&sslrootcert=${ca}`;
  const statement = "SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()";
  const env = { PGPASSWORD: PASSWORDS.app_scram };
  const { stdout, stderr } = await runPsql(psql, ["-At", "-c", statement, url], { env });
  assert.deepEqual({ stdout, stderr }, { stdout: "t\n", stderr: "" });
});

function loginAs(cluster: PostgresCluster): string {
  return `postgres://app_scram@localhost:${cluster.port}/postgres`;
}
