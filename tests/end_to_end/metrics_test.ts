import assert from "node:assert/strict";
import pg from "pg";
import { Metrics } from "../../lib/observe/metrics.ts";
import { valuesOf } from "../observe/metric_lines.ts";
import { NEEDS_PROMTOOL, PROMTOOL, promtool } from "../observe/promtool.ts";
import { createAuthority } from "../support/certificates.ts";
import { PASSWORDS } from "../support/postgres_roles.ts";
import { PostgresCluster } from "../support/postgres_cluster.ts";
import { RunningProxy } from "../support/running_proxy.ts";
import { waitUntil } from "../support/wait_until.ts";

Deno.test("metrics tell what logins and sessions before a real PostgreSQL do", async (t) => {
  await using scene = await startScene();
  const { proxy, values } = scene;

  await t.step("a login is counted once, and each of its stages is timed", async () => {
    const client = await scene.connect();
    await client.end();
    await proxy.observed("session_ended");
    const after = await values();
    const labels = 'result="success",reason="none",blame="none",method="password"';
    assert.equal(after.get(`pg_auth_proxy_logins_total{${labels}}`), 1);
    assert.equal(after.get('target_dial_successes_total{host="localhost"}'), 1);
    assert.equal(after.get("sql_auth_successes_total"), 1);
    const [tls, token, backend, total] = ["tls", "token", "backend", "total"].map((stage) => {
      assert.equal(after.get(`pg_auth_proxy_login_seconds_count{stage="${stage}",result="success"}`), 1);
      return after.get(`pg_auth_proxy_login_seconds_sum{stage="${stage}",result="success"}`)!;
    });
    for (const seconds of [tls, token, backend]) assert(seconds > 0);
    // The whole is told in whole milliseconds.
    assert(tls + token + backend < total + 0.001, `${tls} + ${token} + ${backend} < ${total}`);
  });

  await t.step("a session is in the state that PostgreSQL would say it is in", async () => {
    const client = await scene.connect();
    try {
      assert.deepEqual(await scene.states(), ["idle"]);
      await client.query("begin");
      assert.deepEqual(await scene.states(), ["idle in transaction"]);
      await assert.rejects(client.query("select 1/0"));
      // The driver tells of an error before the ReadyForQuery behind it has come.
      await scene.untilState("idle in transaction (aborted)");
      await client.query("rollback");
      const asleep = client.query("select pg_sleep(60)");
      const canceled = assert.rejects(asleep, { code: "57014" });
      await scene.untilState("active");
      await scene.cancel();
      await canceled;
      await scene.untilState("idle");
    } finally {
      await client.end();
    }
  });

  await t.step("the bytes of a session count while it runs, and no other way when it is over", async () => {
    const sent = 'pg_auth_proxy_bytes_total{backend="main",direction="to_client"}';
    const client = await scene.connect();
    const before = (await values()).get(sent)!;
    await client.query("select repeat('x', 100000)");
    const running = (await values()).get(sent)!;
    assert(running >= before + 100_000);
    await client.end();
    await waitUntil(() => proxy.connectionCount === 0, { what: "the session's end" });
    assert.equal((await values()).get(sent), running);
    assert.deepEqual(await scene.states(), []);
  });

  await t.step("T17 logins refused under random names add no series", async () => {
    const refuse = async () => {
      const user = crypto.randomUUID();
      const client = scene.client({ user, database: user, application_name: user, password: user });
      await assert.rejects(client.connect(), { code: "28P01" });
    };
    await refuse();
    const before = await values();
    for (let round = 0; round < 10; round++) await refuse();
    const after = await values();
    assert.deepEqual([...after.keys()], [...before.keys()]);
    const labels = 'result="failure",reason="not_a_token",blame="frontend",method="password"';
    assert.equal(after.get(`pg_auth_proxy_logins_total{${labels}}`), 11);
  });

  await t.step(
    "the issuer's keys and the listener's certificate are told with their age and end",
    async () => {
      const after = await values();
      assert(after.get('pg_auth_proxy_key_set_keys{issuer="corp"}')! > 0);
      assert(after.get('pg_auth_proxy_key_set_age_seconds{issuer="corp"}')! < 60);
      const expiry = after.get(
        'pg_auth_proxy_certificate_expiry_timestamp_seconds{certificate="listen.certificate"}',
      );
      assert(expiry! > Date.now() / 1000);
    },
  );

  await t.step({
    name: `promtool finds nothing wrong with them, but for a name of the ancestor${NEEDS_PROMTOOL}`,
    ignore: PROMTOOL === undefined,
    async fn() {
      assert.deepEqual((await promtool(["check", "metrics"], await scene.text())).says, [
        'open_connection_count non-histogram and non-summary metrics should not have "_count" suffix',
      ]);
    },
  });
});

async function startScene() {
  await using resources = new AsyncDisposableStack();
  const authority = await createAuthority("metrics");
  const cluster = resources.use(await PostgresCluster.start({ major: 18 }));
  const toml = `
[[backends]]
name = "main"
url = "postgres://app_scram@localhost:${cluster.port}/postgres?sslmode=disable"
password_file = "password"

[[rules]]
name = "staff"
issuer = "corp"
match = "alice"
backend = "main"
`;
  const proxy = resources.use(
    await RunningProxy.start({ toml, files: { password: PASSWORDS.app_scram } }, authority),
  );
  const metrics = resources.use(new Metrics());
  metrics.watch(() => proxy.census());
  const token = await proxy.issuer.mint({ sub: "alice" });
  let seen = 0;
  const observed = () => {
    while (seen < proxy.events.length) metrics.observe(proxy.events[seen++]);
    return metrics;
  };
  const client = (options: pg.ClientConfig = {}) =>
    new pg.Client({ ...proxy.driverOptions(token), user: "alice", database: "postgres", ...options });
  const moved = resources.move();
  return {
    proxy,
    client,
    async connect() {
      const connected = client();
      await connected.connect();
      return connected;
    },
    text: () => observed().text(),
    values: () => valuesOf(observed()),
    /** The states of all sessions. */
    async states() {
      const series = [...await valuesOf(observed())].filter(([name]) =>
        /^pg_auth_proxy_sessions\{/.test(name)
      );
      return series.flatMap(([name, count]) => Array(count).fill(/state="(.*)"/.exec(name)![1]));
    },
    async untilState(state: string) {
      const what = `the one session to be ${state}`;
      await waitUntil(async () => (await this.states()).join() === state, { what });
    },
    /** Cancels what runs at the cluster, from beside the proxy. */
    async cancel() {
      await cluster.sql(
        "select pg_cancel_backend(pid) from pg_stat_activity where query like '%pg_sleep(60)%' and pid <> pg_backend_pid()",
      );
    },
    [Symbol.asyncDispose]: () => moved.disposeAsync(),
  };
}
