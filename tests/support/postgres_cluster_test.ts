import assert from "node:assert/strict";
import pg from "pg";
import { createAuthority } from "./certificates.ts";
import { POSTGRES_MAJORS } from "./postgres_binaries.ts";
import { PostgresCluster } from "./postgres_cluster.ts";
import { PASSWORDS } from "./postgres_roles.ts";
import { waitUntil } from "./wait_until.ts";

const authority = await createAuthority("test authority");
const server = await authority.issueForLoopback();
const tls = { ...server, caPem: authority.certificatePem };
const majors = POSTGRES_MAJORS.map((major) => ({ major }));

Deno.test.each(majors)("PostgreSQL $major lets each role in by its method, over TLS", async ({ major }) => {
  await using cluster = await PostgresCluster.start({ major, tls });
  const certificate = await authority.issue({ commonName: "app_cert", usage: "client" });
  const ssl = { ca: authority.certificatePem };
  const client = { cert: certificate.certificatePem, key: certificate.keyPem };

  for (const [user, password] of Object.entries(PASSWORDS)) {
    assert.deepEqual(await whoAmI(cluster, { user, password, ssl }), { user, ssl: true });
  }
  assert.deepEqual(await whoAmI(cluster, { user: "app_cert", ssl: { ...ssl, ...client } }), {
    user: "app_cert",
    ssl: true,
  });
  assert.deepEqual(await whoAmI(cluster, { user: "app_trust", ssl }), { user: "app_trust", ssl: true });

  const log = await cluster.log();
  assert.match(log, /identity="app_scram" method=scram-sha-256/);
  assert.match(log, /identity="app_md5" method=md5/);
  assert.match(log, /identity="app_cleartext" method=password/);
  assert.match(log, /identity="CN=app_cert" method=cert/);
});

Deno.test("a cluster without TLS lets passwords in, over IPv4 and IPv6", async () => {
  await using cluster = await PostgresCluster.start({ major: 18 });
  for (const host of ["127.0.0.1", "::1"]) {
    const who = await whoAmI(cluster, { host, user: "app_scram", password: PASSWORDS.app_scram });
    assert.deepEqual(who, { user: "app_scram", ssl: false });
  }
});

Deno.test("a cluster refuses a wrong password", async () => {
  await using cluster = await PostgresCluster.start({ major: 18 });
  await assert.rejects(whoAmI(cluster, { user: "app_md5", password: "wrong" }), { code: "28P01" });
});

Deno.test("a cluster takes the given hba lines and settings", async () => {
  await using cluster = await PostgresCluster.start({
    major: 18,
    hba: ["host all app_scram 127.0.0.1/32 reject"],
    settings: { application_name: "it's given" },
  });
  await assert.rejects(whoAmI(cluster, { user: "app_scram", password: PASSWORDS.app_scram }), {
    code: "28000",
  });
  assert.deepEqual(await cluster.sql("SHOW application_name"), [{ application_name: "it's given" }]);
});

Deno.test("reload() changes hba and settings for who comes next", async () => {
  await using cluster = await PostgresCluster.start({ major: 18 });
  await cluster.reload({ hba: ["host all all 127.0.0.1/32 trust"], settings: { work_mem: "1MB" } });
  assert.equal((await whoAmI(cluster, { user: "app_scram" })).user, "app_scram");
  assert.deepEqual(await cluster.sql("SHOW work_mem"), [{ work_mem: "1MB" }]);
});

Deno.test("restart() keeps the port and the data", async () => {
  await using cluster = await PostgresCluster.start({ major: 18 });
  const { port } = cluster;
  await cluster.sql("CREATE TABLE kept (id int)");
  await cluster.restart();
  assert.equal(cluster.port, port);
  assert.deepEqual(await cluster.sql("SELECT count(*)::int AS rows FROM kept"), [{ rows: 0 }]);
});

Deno.test("kill() is survived by start()", async () => {
  await using cluster = await PostgresCluster.start({ major: 18 });
  await cluster.kill();
  await assert.rejects(cluster.sql("SELECT 1"));
  await cluster.start();
  assert.deepEqual(await cluster.sql("SELECT 1 AS one"), [{ one: 1 }]);
});

Deno.test("killBackend() makes the server recover", async () => {
  await using cluster = await PostgresCluster.start({ major: 18 });
  const client = new pg.Client({ ...address(cluster), user: "app_trust" });
  client.on("error", () => {});
  await client.connect();
  const { rows } = await client.query("SELECT pg_backend_pid() AS pid");
  cluster.killBackend(rows[0].pid);
  await assert.rejects(client.query("SELECT 1"));
  await client.end();
  await waitUntil(() => cluster.sql("SELECT 1"), { what: "the server to recover" });
  assert.match(await cluster.log(), /was terminated by signal 9/);
});

Deno.test("stop() leaves no files and no listener", async () => {
  const cluster = await PostgresCluster.start({ major: 18 });
  await cluster.stop();
  await assert.rejects(Deno.stat(cluster.dataDirectory), Deno.errors.NotFound);
  await assert.rejects(Deno.connect({ port: cluster.port }), Deno.errors.ConnectionRefused);
});

Deno.test("start() shows the server's log when a setting is wrong", async () => {
  await assert.rejects(
    PostgresCluster.start({ major: 18, settings: { no_such_setting: 1 } }),
    /did not start[^]*no_such_setting/,
  );
});

Deno.test("a cluster ends and leaves no files when its test process is killed", async () => {
  const program = `
    import { PostgresCluster } from ${JSON.stringify(import.meta.resolve("./postgres_cluster.ts"))};
    const { port, dataDirectory } = await PostgresCluster.start({ major: 18 });
    console.log(JSON.stringify({ port, dataDirectory }));
    await new Promise(() => setInterval(() => {}, 60_000));
  `;
  await using child = new Deno.Command(Deno.execPath(), {
    args: ["eval", program],
    cwd: new URL("../..", import.meta.url),
    stdout: "piped",
    stderr: "null",
  }).spawn();
  const reader = child.stdout.pipeThrough(new TextDecoderStream()).getReader();
  const { port, dataDirectory } = JSON.parse((await reader.read()).value!);
  (await Deno.connect({ port })).close();

  child.kill("SIGKILL");
  await reader.cancel();
  await child.status;
  await waitUntil(() => Deno.stat(dataDirectory).then(() => false, () => true), {
    what: "the files to be removed",
  });
  await assert.rejects(Deno.connect({ port }), Deno.errors.ConnectionRefused);
});

async function whoAmI(
  cluster: PostgresCluster,
  options: pg.ClientConfig,
): Promise<{ user: string; ssl: boolean }> {
  const client = new pg.Client({ ...address(cluster), ...options });
  await client.connect();
  try {
    const { rows } = await client.query(
      "SELECT current_user AS user, ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()",
    );
    return { ...rows[0] };
  } finally {
    await client.end();
  }
}

function address(cluster: PostgresCluster): pg.ClientConfig {
  return { host: "localhost", port: cluster.port, database: "postgres" };
}
