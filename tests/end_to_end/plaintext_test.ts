import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import pg from "pg";
import { createAuthority } from "../support/certificates.ts";
import { PASSWORDS } from "../support/postgres_roles.ts";
import { PostgresCluster } from "../support/postgres_cluster.ts";
import { RunningProxy } from "../support/running_proxy.ts";
import { waitUntil } from "../support/wait_until.ts";

const MEGABYTE = 1 << 20;

// A listener without a certificate is served by Deno's own sockets; a backend inside TLS is not: both pairings.
Deno.test.each<[string, string]>([
  ["plain, too", "sslmode=disable"],
  ["inside TLS", "sslmode=verify-full&sslrootcert=ca.crt"],
])("a plain client's megabytes pass unharmed both ways, to a backend %s", async (_name, query) => {
  await using scene = await startScene(query);
  const client = await scene.connect();
  const text = "0123456789abcdef".repeat(MEGABYTE / 2);
  const { rows: [there] } = await client.query("select md5($1::text) as sum, length($1::text)", [text]);
  assert.deepEqual(there, { sum: createHash("md5").update(text).digest("hex"), length: text.length });
  const { rows } = await client.query(
    "select i, repeat(md5(i::text), 32) as text from generate_series(1, 16384) as i order by i",
  );
  assert.equal(rows.length, 16384);
  for (const { i, text } of rows) {
    assert(text === createHash("md5").update(String(i)).digest("hex").repeat(32));
  }
  await client.end();
});

Deno.test("a plain client's query is cancelled, and its session ends with it", async () => {
  await using scene = await startScene("sslmode=disable");
  const client = await scene.connect() as pg.Client & { processID: number; secretKey: number };
  const sleeping = assert.rejects(client.query("select pg_sleep(60)"), { code: "57014" });
  const running = "select count(*)::int as n from pg_stat_activity where query = 'select pg_sleep(60)'";
  await waitUntil(async () => (await scene.cluster.sql(running))[0].n === 1, { what: "the query running" });
  const request = new DataView(new ArrayBuffer(16));
  [16, 80877102, client.processID, client.secretKey].forEach((value, at) => request.setInt32(at * 4, value));
  using canceller = await Deno.connect({ port: scene.proxy.port });
  await canceller.write(new Uint8Array(request.buffer));
  assert.equal(await canceller.read(new Uint8Array(1)), null);
  await sleeping;
  await client.end();
  await waitUntil(() => scene.proxy.connectionCount === 0, { what: "the session's end" });
});

async function startScene(query: string) {
  await using resources = new AsyncDisposableStack();
  const authority = await createAuthority("plaintext");
  const { certificatePem, keyPem } = await authority.issueForLoopback();
  const cluster = resources.use(
    await PostgresCluster.start({
      major: 17,
      tls: { certificatePem, keyPem, caPem: authority.certificatePem },
    }),
  );
  const toml = `
[[backends]]
name = "main"
url = "postgres://app_scram@localhost:${cluster.port}/postgres?${query}"
password_file = "password"

[[rules]]
issuer = "corp"
match = "alice"
backend = "main"
`;
  const scenario = { toml, files: { password: PASSWORDS.app_scram }, isPlaintext: true };
  const proxy = resources.use(await RunningProxy.start(scenario, authority));
  const password = await proxy.issuer.mint({ sub: "alice" });
  const moved = resources.move();
  return {
    cluster,
    proxy,
    async connect() {
      const { port } = proxy;
      const client = new pg.Client({
        host: "127.0.0.1",
        port,
        user: "alice",
        database: "postgres",
        password,
      });
      await client.connect();
      return client;
    },
    [Symbol.asyncDispose]: () => moved.disposeAsync(),
  };
}
