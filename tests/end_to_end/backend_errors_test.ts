import assert from "node:assert/strict";
import { freePort } from "../support/free_port.ts";
import { PostgresCluster } from "../support/postgres_cluster.ts";
import { PASSWORDS } from "../support/postgres_roles.ts";
import { query, readFields } from "../support/raw_messages.ts";
import { RunningProxy } from "../support/running_proxy.ts";
import { tempDirectory } from "../support/temp_directory.ts";
import { waitUntil } from "../support/wait_until.ts";
import {
  backendsToml,
  type BackendUrls,
  fatal,
  letIn,
  refusalThrough,
  rowOf,
  rowsThrough,
} from "./backend_access.ts";

const resources = new AsyncDisposableStack();
let cluster: PostgresCluster;
let backends: BackendUrls;
let proxy: RunningProxy;

Deno.test.beforeAll(async () => {
  cluster = resources.use(await PostgresCluster.start({ major: 18 }));
  const url = (login: string, database = "/postgres") =>
    `postgres://${login}@127.0.0.1:${cluster.port}${database}?sslmode=disable`;
  backends = {
    "any database": url("app_trust", ""),
    "missing database": url("app_trust", "/missing"),
    "password in the URL": url(`app_scram:${PASSWORDS.app_scram}`, ""),
    "wrong SCRAM password": url("app_scram:guessed"),
    "wrong MD5 password": url("app_md5:guessed"),
    "wrong cleartext password": url("app_cleartext:guessed"),
    "unknown role": url("nobody"),
    "role that needs TLS": url("app_cert"),
    "no password": url("app_scram"),
  };
  proxy = resources.use(await RunningProxy.start({ toml: backendsToml(backends) }));
});

Deno.test.afterAll(() => resources.disposeAsync());

Deno.test("A12 3D000 reaches the client when the database it asks for does not exist", async () => {
  const { told } = await refusalThrough(proxy, "any database", { database: "nowhere" });
  assert.deepEqual(told, fatal("3D000", 'database "nowhere" does not exist'));
});

Deno.test("A12 3D000 reaches the client when the backend's own database does not exist", async () => {
  const { told } = await refusalThrough(proxy, "missing database");
  assert.deepEqual(told, fatal("3D000", 'database "missing" does not exist'));
});

Deno.test("A12 53300 reaches the client when the role has too many connections", async () => {
  await cluster.sql("ALTER ROLE app_scram CONNECTION LIMIT 1");
  try {
    await using first = await letIn(proxy, "password in the URL");
    const { told, event } = await refusalThrough(proxy, "password in the URL");
    assert.deepEqual(told, fatal("53300", 'too many connections for role "app_scram"'));
    assert.equal(event.blame, "backend");
    assert.deepEqual(await rowOf(first, "SELECT current_user"), ["app_scram"]);
  } finally {
    await cluster.sql("ALTER ROLE app_scram CONNECTION LIMIT -1");
  }
});

Deno.test("A12 what reaches the client follows a backend that shuts down, is down, and is up again", async (t) => {
  await using passing = await PostgresCluster.start({ major: 17 });
  const hosts = (...clusters: readonly PostgresCluster[]) => clusters.map(({ port }) => `127.0.0.1:${port}`);
  const url = (hosts: readonly string[]) => `postgres://app_trust@${hosts}/postgres?sslmode=disable`;
  await using proxy = await RunningProxy.start({
    toml: backendsToml({ alone: url(hosts(passing)), "in front": url(hosts(passing, cluster)) }),
  });
  const whoIsReached = (backend: string) => rowsThrough(proxy, backend, "SHOW port");
  const last = await letIn(proxy, "alone");
  const ended = passing.shutDown("smart"); // it waits for `last`
  try {
    await t.step("57P03, in its own words, while it waits for its last session", async () => {
      const { told } = await waitUntil(() => refusalThrough(proxy, "alone"), { what: "nobody to be let in" });
      assert.deepEqual(told, fatal("57P03", "the database system is shutting down"));
      assert.deepEqual(await rowOf(last, "SHOW port"), [String(passing.port)]);
    });
    await t.step("no error where there is another host", async () => {
      assert.deepEqual(await whoIsReached("in front"), [{ port: String(cluster.port) }]);
    });
  } finally {
    await last[Symbol.asyncDispose]();
    await ended;
  }
  await t.step("08001 when it is down", async () => {
    const { told, event } = await refusalThrough(proxy, "alone");
    assert.deepEqual(told, fatal("08001", 'could not reach backend "alone"'));
    assert.match(event.reason!, /^127\.0\.0\.1:\d+: .*ECONNREFUSED/);
  });
  await passing.start();
  await t.step("no error when it is up again", async () => {
    assert.deepEqual(await whoIsReached("alone"), [{ port: String(passing.port) }]);
  });
});

Deno.test.each([
  { name: "wrong SCRAM password", sqlstate: "28P01", reason: /password authentication failed .*app_scram/ },
  { name: "wrong MD5 password", sqlstate: "28P01", reason: /password authentication failed .*app_md5/ },
  {
    name: "wrong cleartext password",
    sqlstate: "28P01",
    reason: /password authentication failed .*app_cleartext/,
  },
  {
    name: "unknown role",
    sqlstate: "28000",
    reason: /no pg_hba\.conf entry for host "127\.0\.0\.1", user "nobody"/,
  },
  { name: "role that needs TLS", sqlstate: "28000", reason: /no pg_hba\.conf entry .*app_cert/ },
])("A12 of the proxy's own login the client learns neither role nor address: $name", async (refused) => {
  const { told, event } = await refusalThrough(proxy, refused.name);
  assert.deepEqual(told, fatal(refused.sqlstate, `backend "${refused.name}" refused the proxy's login`));
  assert.match(event.reason!, refused.reason);
  assert.doesNotMatch(Deno.inspect(event), /guessed/);
});

Deno.test("a backend whose password is not configured is the operator's mistake, and the log says which", async () => {
  const { told, event } = await refusalThrough(proxy, "no password");
  assert.deepEqual(told, fatal("08001", 'the proxy cannot log in to backend "no password"'));
  assert.equal(event.blame, "operator");
  assert.match(event.reason!, /it asked for a password, and none is configured/);
});

/** What libpq and its imitators would go by. */
function misleadingEnvironment(home: string): Record<string, string> {
  return {
    HOME: home,
    PGHOST: "192.0.2.1",
    PGHOSTADDR: "192.0.2.1",
    PGPORT: String(freePort()),
    PGUSER: "app_md5",
    PGDATABASE: "template1",
    PGPASSWORD: PASSWORDS.app_scram,
    PGPASSFILE: `${home}/.pgpass`,
    PGSERVICE: "misled",
    PGSERVICEFILE: `${home}/.pg_service.conf`,
    PGSSLMODE: "require",
    PGSSLROOTCERT: `${home}/missing.crt`,
    PGSSLCERT: `${home}/missing.crt`,
    PGSSLKEY: `${home}/missing.key`,
    PGSSLNEGOTIATION: "direct",
    PGREQUIREAUTH: "none",
    PGCHANNELBINDING: "require",
    PGTARGETSESSIONATTRS: "standby",
    PGCONNECT_TIMEOUT: "1",
    PGOPTIONS: "-c work_mem=1234kB",
    PGAPPNAME: "misled",
    PGCLIENTENCODING: "LATIN1",
    PGTZ: "Asia/Tokyo",
    PGDATESTYLE: "German",
  };
}

/** A proxy like the other one that came up, and stays, in that environment. */
async function misledProxy(stack: AsyncDisposableStack): Promise<RunningProxy> {
  const home = stack.use(await tempDirectory());
  await home.write(".pgpass", `*:*:*:app_scram:${PASSWORDS.app_scram}\n`);
  await home.write(".pg_service.conf", "[misled]\nhost=192.0.2.1\nuser=app_md5\n");
  stack.defer(setEnvironment(misleadingEnvironment(home.path)));
  return stack.use(await RunningProxy.start({ toml: backendsToml(backends) }));
}

/** Where and as whom a client of this proxy comes in, and with which settings. */
async function comesInAs(proxy: RunningProxy): Promise<string[]> {
  await using client = await letIn(proxy, "password in the URL");
  return await rowOf(
    client,
    `SELECT current_user, current_database(), inet_server_port(), inet_server_addr(),
            (SELECT json_object_agg(name, setting ORDER BY name) FROM pg_settings)`,
  );
}

Deno.test("A18 PG* variables do not change where and as whom the proxy logs in, nor any setting", async () => {
  await using stack = new AsyncDisposableStack();
  const expected = await comesInAs(proxy);
  assert.equal(expected[0], "app_scram");
  assert.deepEqual(await comesInAs(await misledProxy(stack)), expected);
});

Deno.test("A18 a password in PGPASSWORD or ~/.pgpass is not taken", async () => {
  await using stack = new AsyncDisposableStack();
  const { told, event } = await refusalThrough(await misledProxy(stack), "no password");
  assert.equal(told.C, "08001");
  assert.match(event.reason!, /none is configured/);
});

/** Sets variables of this process; what it returns sets them back. */
function setEnvironment(variables: Readonly<Record<string, string>>): () => void {
  const before = Object.keys(variables).map((name) => [name, Deno.env.get(name)] as const);
  for (const [name, value] of Object.entries(variables)) Deno.env.set(name, value);
  return () => {
    for (const [name, value] of before) {
      if (value === undefined) Deno.env.delete(name);
      else Deno.env.set(name, value);
    }
  };
}

Deno.test("B7 a backend killed in a query is announced within a second, as PostgreSQL's crash is to the others", async () => {
  await using victim = await letIn(proxy, "password in the URL");
  await using neighbour = await letIn(proxy, "password in the URL");
  const [pid] = await rowOf(victim, "SELECT pg_backend_pid()");
  await victim.send(query("SELECT pg_sleep(60)"));
  const running = () =>
    cluster.sql("SELECT FROM pg_stat_activity WHERE pid = $1 AND state = 'active'", [pid]);
  await waitUntil(async () => (await running()).length === 1, { what: "the query to run" });
  const startedMs = performance.now();
  cluster.killBackend(Number(pid));
  const lost = readFields(await victim.receiveMessage());
  assert.equal(lost.C, "08006");
  assert.ok(performance.now() - startedMs < 1_000);
  const [warning, end] = await neighbour.receiveMessagesUntil("E");
  assert.equal(readFields(warning).C, "57P02");
  assert.equal(readFields(end).C, "08006");
  const isBack = () => rowsThrough(proxy, "password in the URL", "SELECT 1");
  await waitUntil(isBack, { what: "PostgreSQL to have recovered" });
});
