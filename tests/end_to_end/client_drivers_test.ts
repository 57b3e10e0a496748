import assert from "node:assert/strict";
import pg from "pg";
import { concat, int16, int32, query, typed } from "../support/raw_messages.ts";
import { cancelRequest, cString, type RawMessage } from "../support/raw_messages.ts";
import { ClientScene, typesOf } from "./client_scene.ts";

let scene: ClientScene;

Deno.test.beforeAll(async () => {
  scene = await ClientScene.start({ major: 17 });
});

Deno.test.afterEach(() => scene.isQuiet());

Deno.test.afterAll(async () => {
  await scene[Symbol.asyncDispose]();
});

/** What both drivers can do, in words they share. */
interface Driver extends AsyncDisposable {
  query(statement: string, values?: unknown[]): Promise<Record<string, unknown>[]>;
  /** The ParameterStatus values that came, by name. */
  readonly parameters: Readonly<Record<string, string>>;
  /** Texts of the notices that came. */
  readonly notices: string[];
}

const DRIVERS = { "pg": withPg, "postgres.js": withPostgresJs };

for (const [name, connect] of Object.entries(DRIVERS)) {
  Deno.test(`A2 ${name} logs in by token as the backend's role`, async () => {
    await using driver = await connect();
    const rows = await driver.query("select current_user, ssl from pg_stat_ssl where pid = pg_backend_pid()");
    assert.deepEqual(rows, [{ current_user: "app_scram", ssl: true }]);
  });

  Deno.test(`A2 ${name} is refused with another token`, async () => {
    const error = await connect({ password: "not.a.token" }).then(
      (driver) => driver[Symbol.asyncDispose]().then(() => undefined),
      (error) => error,
    );
    assert.equal(error?.code, "28P01");
    assert.equal(error.message, 'token authentication failed for user "alice"');
  });

  Deno.test(`${name} runs an extended query with parameters`, async () => {
    await using driver = await connect();
    const rows = await driver.query(
      "select $1::int + $2::int as sum, $3::text as word, $4::text as nothing",
      [
        40,
        2,
        "naïve ☃",
        null,
      ],
    );
    assert.deepEqual(rows, [{ sum: 42, word: "naïve ☃", nothing: null }]);
  });

  Deno.test(`${name} goes on after a syntax error`, async () => {
    await using driver = await connect();
    await assert.rejects(driver.query("selec 1"), { code: "42601" });
    assert.deepEqual(await driver.query("select 1 as one"), [{ one: 1 }]);
  });

  Deno.test(`${name} goes on after an error in an extended query`, async () => {
    await using driver = await connect();
    await assert.rejects(driver.query("select 1 / $1::int", [0]), { code: "22012" });
    assert.deepEqual(await driver.query("select 2 / $1::int as two", [1]), [{ two: 2 }]);
  });

  Deno.test(`${name} hears of the server's version and of parameters that change`, async () => {
    await using driver = await connect();
    await driver.query("select 1");
    assert.match(driver.parameters.server_version, /^17\./);
    await driver.query("set application_name to 'renamed'");
    assert.equal(driver.parameters.application_name, "renamed");
    const rows = await driver.query(
      "select application_name from pg_stat_activity where pid = pg_backend_pid()",
    );
    assert.deepEqual(rows, [{ application_name: "renamed" }]);
  });

  Deno.test(`${name} hears notices`, async () => {
    await using driver = await connect();
    await driver.query("do $$ begin raise notice 'mind the gap'; end $$");
    assert.deepEqual(driver.notices, ["mind the gap"]);
  });

  Deno.test(`${name} reads and writes a large object`, async () => {
    await using driver = await connect();
    const [{ oid }] = await driver.query("select lo_from_bytea(0, 'large'::bytea) as oid");
    const rows = await driver.query(
      "select convert_from(lo_get($1::oid), 'UTF8') as text, lo_unlink($1::oid)",
      [
        oid,
      ],
    );
    assert.deepEqual(rows, [{ text: "large", lo_unlink: 1 }]);
  });
}

Deno.test("pg uses a named prepared statement again", async () => {
  await using client = await scene.pgClient();
  for (const number of [1, 2, 3]) {
    const { rows } = await client.query({
      name: "double",
      text: "select $1::int * 2 as twice",
      values: [number],
    });
    assert.deepEqual(rows, [{ twice: number * 2 }]);
  }
  const { rows } = await client.query(
    "select name, generic_plans + custom_plans as runs from pg_prepared_statements",
  );
  assert.deepEqual(rows, [{ name: "double", runs: "3" }]);
});

Deno.test("postgres.js uses its prepared statements again", async () => {
  await using sql = scene.postgresJs();
  for (const number of [1, 2, 3]) {
    assert.deepEqual([...await sql`select ${number}::int * 2 as twice`], [{ twice: number * 2 }]);
  }
  const runs = await sql.unsafe(
    "select generic_plans + custom_plans as runs from pg_prepared_statements where statement like '%twice'",
  );
  assert.deepEqual([...runs], [{ runs: "3" }]);
});

Deno.test("pg gets the answers to queued queries in order", async () => {
  await using client = await scene.pgClient();
  const ask = async (n: number) => (await client.query("select $1::int as n", [n])).rows[0].n;
  const numbers = await Promise.all(Array.from({ length: 200 }, (_, n) => ask(n)));
  assert.deepEqual(numbers, Array.from({ length: 200 }, (_, n) => n));
});

Deno.test("postgres.js gets the answers to pipelined queries in order, errors among them", async () => {
  await using sql = scene.postgresJs();
  const queries = Array.from(
    { length: 300 },
    (_, n) => sql`select ${n}::int, 100 / (${n}::int % 50) as part`,
  );
  const outcomes = await Promise.allSettled(queries);
  for (const [n, outcome] of outcomes.entries()) {
    if (n % 50 === 0) assert.equal(outcome.status === "rejected" && outcome.reason.code, "22012");
    else assert.equal(outcome.status === "fulfilled" && outcome.value[0].int4, n);
  }
});

Deno.test("pg rolls a transaction back", async () => {
  await using client = await scene.pgClient();
  await client.query("create temporary table counted (n int)");
  await client.query("begin");
  await client.query("insert into counted values (1)");
  await client.query("rollback");
  assert.deepEqual((await client.query("select count(*)::int as n from counted")).rows, [{ n: 0 }]);
});

Deno.test("postgres.js rolls a transaction back when its function throws", async () => {
  await using sql = scene.postgresJs();
  await sql`create temporary table counted (n int)`;
  const changedMind = sql.begin(async (transaction) => {
    await transaction`insert into counted values (1)`;
    throw new Error("changed my mind");
  });
  await assert.rejects(changedMind, /changed my mind/);
  assert.deepEqual([...await sql`select count(*)::int as n from counted`], [{ n: 0 }]);
});

Deno.test("a notification goes from a session of postgres.js to an idle one of pg", async () => {
  await using client = await scene.pgClient();
  await using sql = scene.postgresJs();
  const heard = Promise.withResolvers<pg.Notification>();
  client.on("notification", heard.resolve);
  await client.query("listen news");
  await sql.notify("news", "from the other driver");
  const { channel, payload } = await heard.promise;
  assert.deepEqual({ channel, payload }, { channel: "news", payload: "from the other driver" });
});

Deno.test("a notification goes from a session of pg to an idle one of postgres.js", async () => {
  await using client = await scene.pgClient();
  await using sql = scene.postgresJs();
  const heard = Promise.withResolvers<string>();
  await sql.listen("news", heard.resolve);
  await client.query("select pg_notify('news', 'from the other driver')");
  assert.equal(await heard.promise, "from the other driver");
});

Deno.test("postgres.js cancels a query and goes on", async () => {
  await using sql = scene.postgresJs();
  const [{ pid }] = await sql`select pg_backend_pid() as pid`;
  const sleeping = sql`select pg_sleep(60)`.execute();
  await scene.isRunning(pid, "pg_sleep(60)");
  sleeping.cancel();
  await assert.rejects(sleeping, { code: "57014" });
  assert.deepEqual([...await sql`select 1 as one`], [{ one: 1 }]);
});

Deno.test.each([
  ["in plain text", () => scene.rawPlain()],
  ["inside TLS", () => scene.rawTls()],
])("A7 the key that pg was given cancels its query %s", async (_name, open) => {
  await using client = await scene.pgClient();
  const { processID, secretKey } = client as unknown as { processID: number; secretKey: number };
  const [{ pid }] = (await client.query("select pg_backend_pid() as pid")).rows;
  assert.notEqual(processID, pid); // the backend's own key stays with the proxy
  const sleeping = assert.rejects(client.query("select pg_sleep(60)"), { code: "57014" });
  await scene.isRunning(pid, "pg_sleep(60)");
  await using canceller = await open();
  await canceller.send(cancelRequest(processID, int32(secretKey)));
  assert.equal((await canceller.receiveToEnd()).length, 0);
  await sleeping;
  assert.deepEqual((await client.query("select 1 as one")).rows, [{ one: 1 }]);
});

Deno.test("a FunctionCall is answered", async () => {
  await using session = await scene.rawSession();
  const absoluteValueOfInt4 = 1397; // pg_proc.oid
  const call = concat(
    int32(absoluteValueOfInt4),
    concat(int16(1), int16(1)), // one argument format: binary
    concat(int16(1), int32(4), int32(-5)), // one argument
    int16(1), // the result in binary
  );
  await session.connection.send(typed("F", call));
  const [response, ready] = await session.connection.receiveMessagesUntil("Z");
  assert.deepEqual(response, { type: "V", body: concat(int32(4), int32(5)) } satisfies RawMessage);
  assert.equal(String.fromCharCode(...ready.body), "I");
});

Deno.test("an extended query without Sync is answered by Flush", async () => {
  await using session = await scene.rawSession();
  const parse = typed("P", concat(cString(""), cString("select 1"), int16(0)));
  await session.connection.send(parse, typed("H"));
  assert.equal((await session.connection.receiveMessage()).type, "1"); // ParseComplete
  await session.connection.send(typed("S"));
  assert.equal(typesOf(await session.connection.receiveMessagesUntil("Z")), "Z");
});

Deno.test("two simple queries in one segment get two answers", async () => {
  await using session = await scene.rawSession();
  await session.connection.send(query("select 1"), query("select 2"));
  const answers = [
    ...await session.connection.receiveMessagesUntil("Z"),
    ...await session.connection.receiveMessagesUntil("Z"),
  ];
  assert.equal(typesOf(answers), "TDCZTDCZ");
});

async function withPg(options: { password?: string } = {}): Promise<Driver> {
  const parameters: Record<string, string> = {};
  const notices: string[] = [];
  const client = new pg.Client({
    ...scene.proxy.driverOptions(options.password ?? scene.token),
    user: "alice",
    database: "postgres",
  });
  const { connection } = client as unknown as { connection: NodeJS.EventEmitter };
  connection.on("parameterStatus", ({ parameterName, parameterValue }) => {
    parameters[parameterName] = parameterValue;
  });
  client.on("notice", (notice: Error) => notices.push(notice.message));
  await client.connect();
  return {
    parameters,
    notices,
    query: async (statement, values) => (await client.query(statement, values)).rows,
    [Symbol.asyncDispose]: () => client.end(),
  };
}

async function withPostgresJs(options: { password?: string } = {}): Promise<Driver> {
  const notices: string[] = [];
  const sql = scene.postgresJs({ ...options, onnotice: ({ message }) => void notices.push(message) });
  try {
    await sql`select 1`;
  } catch (error) {
    await sql.end();
    throw error;
  }
  return {
    get parameters() {
      return sql.parameters as unknown as Record<string, string>;
    },
    notices,
    query: async (statement, values) => {
      const rows = await sql.unsafe(statement, values as string[]);
      return [...rows].map((row) => ({ ...row }));
    },
    [Symbol.asyncDispose]: () => sql.end({ timeout: 5 }),
  };
}
