import assert from "node:assert/strict";
import { dirname, join } from "node:path";
import { runProgram, startProgram } from "../support/libpq_program.ts";
import { findPsql, findPsql18, type Psql, runPsql, testWithPsql, testWithPsql18 } from "../support/psql.ts";
import { tempDirectory } from "../support/temp_directory.ts";
import { waitUntil } from "../support/wait_until.ts";
import { ClientScene } from "./client_scene.ts";

/** A rule that lets Bob, and nobody else, replicate. */
const REPLICATION_RULE = `
[[rules]]
issuer = "corp"
match = "bob@example.com"
backend = "main"
replication = true
`;

let scene: ClientScene;

Deno.test.beforeAll(async () => {
  const hba = ["127.0.0.1/32", "::1/128"].map((address) =>
    `host replication app_scram ${address} scram-sha-256`
  );
  scene = await ClientScene.start({ toml: REPLICATION_RULE, hba });
  await scene.cluster.sql("alter role app_scram replication");
  await scene.cluster.sql("create schema shop authorization app_scram");
  await scene.cluster.sql("grant create on schema public to app_scram");
});

Deno.test.afterEach(() => scene.isQuiet());

Deno.test.afterAll(async () => {
  await scene[Symbol.asyncDispose]();
});

for (const [name, test] of [["psql", testWithPsql], ["psql 18", testWithPsql18]] as const) {
  test(`A2 ${name} logs in with the token as its password, over verify-full`, async (psql) => {
    const { stdout, stderr } = await runPsql(psql, ["-At", "-c", "select current_user"], { env: alice() });
    assert.deepEqual({ stdout, stderr }, { stdout: "app_scram\n", stderr: "" });
  });

  test(`${name} is told of TLS and of its own name`, async (psql) => {
    const { stdout } = await runPsql(psql, ["-c", "\\conninfo"], { env: alice() });
    assert.match(stdout, /alice/);
    assert.match(stdout, /TLSv1\.3/);
  });

  test(`${name} reads the one sentence that a wrong token gets`, async (psql) => {
    const { code, stderr } = await runPsql(psql, ["-c", "select 1"], {
      env: alice({ PGPASSWORD: "no.token" }),
    });
    const where = `connection to server at "localhost" (127.0.0.1), port ${scene.proxy.port} failed`;
    assert.equal(stderr, `psql: error: ${where}: FATAL:  token authentication failed for user "alice"\n`);
    assert.equal(code, 2);
  });

  test(`${name} runs several statements in one query`, async (psql) => {
    const statements = "select 1; select 2; select 3 / 1";
    const { stdout } = await runPsql(psql, ["-At", "-c", statements], { env: alice() });
    assert.equal(stdout, "1\n2\n3\n");
  });

  test(`${name} goes on after an error in a script`, async (psql) => {
    const options = { env: alice(), stdin: "selec 1;\nselect 'on';\n" };
    const { stdout, stderr } = await runPsql(psql, ["-At", "-v", "ON_ERROR_STOP=0"], options);
    assert.equal(stdout, "on\n");
    assert.match(stderr, /ERROR: {2}syntax error at or near "selec"/);
  });

  test(`${name} copies in and out by \\copy`, async (psql) => {
    await using directory = await tempDirectory();
    const [from, to] = [join(directory.path, "in.csv"), join(directory.path, "out.csv")];
    const lines = Array.from({ length: 10_000 }, (_, n) => `${n},line ${n}\n`).join("");
    await Deno.writeTextFile(from, lines);
    const script = [
      "create temporary table goods (number int, name text);",
      `\\copy goods from '${from}' csv`,
      `\\copy (select * from goods order by number) to '${to}' csv`,
    ];
    const { stderr } = await runPsql(psql, ["-q"], { env: alice(), stdin: script.join("\n") });
    assert.equal(stderr, "");
    assert.equal(await Deno.readTextFile(to), lines);
  });

  test(`A7 Ctrl-C in ${name} cancels the query`, async (psql) => {
    assert.match(await interrupt(psql, alice()), /ERROR: {2}canceling statement due to user request\n$/);
  });

  test(`${name} asks for replication and is refused without a rule for it`, async (psql) => {
    const { code, stderr } = await identifySystem(psql, alice());
    assert.equal(code, 2);
    assert.match(stderr, /FATAL: {2}token authentication failed for user "alice"\n$/);
  });

  test(`${name} asks for replication and gets it by a rule for it`, async (psql) => {
    const { stdout, stderr } = await identifySystem(psql, await bob());
    assert.equal(stderr, "");
    assert.match(stdout, /^\d+\|1\|[0-9A-F]+\/[0-9A-F]+\|postgres\n$/); // system, timeline, position, database
  });
}

testWithPsql18("psql 18 begins with TLS directly", async (psql) => {
  const { stdout, stderr } = await runPsql(psql, ["-At", "-c", "select 'direct'"], {
    env: alice({ PGSSLNEGOTIATION: "direct" }),
  });
  assert.deepEqual({ stdout, stderr }, { stdout: "direct\n", stderr: "" });
  assert.equal((await scene.proxy.observed("tls_established")).isDirect, true);
});

testWithPsql18("psql 18 speaks protocol 3.2 when it asks for the latest", async (psql) => {
  const { stdout } = await runPsql(psql, ["-At", "-c", "\\conninfo"], { env: alice(LATEST) });
  assert.match(stdout, /Protocol Version\|3\.2/);
});

testWithPsql18("psql 18 speaks protocol 3.2 where the backend speaks only 3.0", async (psql) => {
  await using older = await ClientScene.start({ major: 17 });
  const env = {
    ...older.proxy.libpqEnvironment(older.token),
    PGUSER: "alice",
    PGDATABASE: "postgres",
    ...LATEST,
  };
  const { stdout } = await runPsql(psql, ["-At", "-c", "\\conninfo", "-c", "show server_version_num"], {
    env,
  });
  assert.match(stdout, /Protocol Version\|3\.2\n[^]*\n17\d{4}\n$/);
});

testWithPsql18("A7 Ctrl-C in psql 18 cancels by the longer key of protocol 3.2", async (psql) => {
  assert.match(await interrupt(psql, alice(LATEST)), /ERROR: {2}canceling statement due to user request\n$/);
});

testWithTool("pgbench, 2 clients that stay", { psql: findPsql(), tool: "pgbench" }, async (pgbench) => {
  await run(pgbench, ["--initialize", "--quiet", "--scale=1"], alice());
  const args = ["--select-only", "--protocol=prepared", "--client=2", "--transactions=100", "--no-vacuum"];
  assert.match(await run(pgbench, args, alice()), /actually processed: 200\/200/);
});

testWithTool(
  "pgbench, a login for each transaction",
  { psql: findPsql(), tool: "pgbench" },
  async (pgbench) => {
    await run(pgbench, ["--initialize", "--quiet", "--scale=1"], alice());
    const args = ["--select-only", "--connect", "--client=2", "--transactions=10", "--no-vacuum"];
    assert.match(await run(pgbench, args, alice()), /actually processed: 20\/20/);
  },
);

testWithTool(
  "pg_dump writes a schema with its rows",
  { psql: findPsql18(), tool: "pg_dump" },
  async (pgDump) => {
    const psql = findPsql18()!;
    const schema =
      "create table shop.goods (number int primary key, name text); insert into shop.goods values (1, 'tea')";
    await runPsql(psql, ["-q", "-c", schema], { env: alice() });
    const dump = await run(pgDump, ["--schema=shop", "--no-owner"], alice());
    assert.match(dump, /CREATE TABLE shop\.goods \(/);
    assert.match(dump, /COPY shop\.goods \(number, name\) FROM stdin;\n1\ttea\n\\\.\n/);
    assert.match(dump, /ADD CONSTRAINT goods_pkey PRIMARY KEY \(number\)/);
  },
);

testWithTool(
  "pg_receivewal receives WAL",
  { psql: findPsql18(), tool: "pg_receivewal" },
  async (pgReceivewal) => {
    await using directory = await tempDirectory();
    // At the beginning of a segment: it starts with the segment of now, and the end must not lie in the one before.
    await scene.cluster.sql("select pg_switch_wal()");
    await scene.cluster.sql("select pg_logical_emit_message(true, 'test', 'something to receive')");
    const [{ position }] = await scene.cluster.sql("select pg_current_wal_flush_lsn()::text as position");
    const args = ["--directory", directory.path, "--no-loop", `--endpos=${position}`];
    await run(pgReceivewal, args, await bob());
    assert.equal(Array.from(Deno.readDirSync(directory.path)).length, 1);
  },
);

testWithTool(
  "pg_basebackup copies the cluster",
  { psql: findPsql18(), tool: "pg_basebackup" },
  async (tool) => {
    await using directory = await tempDirectory();
    const target = join(directory.path, "copy");
    await run(
      tool,
      ["--pgdata", target, "--checkpoint=fast", "--no-sync", "--wal-method=stream"],
      await bob(),
    );
    assert.equal((await Deno.readTextFile(join(target, "PG_VERSION"))).trim(), "18");
    assert.ok((await Deno.stat(join(target, "backup_manifest"))).size > 0);
  },
);

const LATEST = { PGMAXPROTOCOLVERSION: "latest" };

function alice(more: Record<string, string> = {}): Record<string, string> {
  return { ...scene.proxy.libpqEnvironment(scene.token), PGUSER: "alice", PGDATABASE: "postgres", ...more };
}

async function bob(): Promise<Record<string, string>> {
  const token = await scene.proxy.issuer.mint({ sub: "bob@example.com" });
  return { ...scene.proxy.libpqEnvironment(token), PGUSER: "bob", PGDATABASE: "postgres" };
}

function identifySystem(psql: Psql, env: Record<string, string>) {
  return runPsql(psql, ["-At", "-c", "IDENTIFY_SYSTEM", "dbname=postgres replication=database"], { env });
}

/** Has psql sleep for a minute and sends it SIGINT while it does; returns what it wrote to standard error. */
async function interrupt(psql: Psql, env: Record<string, string>): Promise<string> {
  await using running = startProgram(psql.program, ["--no-psqlrc", "-c", "select pg_sleep(60)"], { env });
  await waitUntil(async () => {
    const sleepers =
      "select 1 from pg_stat_activity where query = 'select pg_sleep(60)' and state = 'active'";
    return (await scene.cluster.sql(sleepers)).length === 1;
  }, { what: "psql to sleep" });
  running.interrupt();
  return (await running.ended).stderr;
}

/** Registers a test that needs a program which lies beside psql; without it the test is ignored, and its name says so. */
function testWithTool(
  name: string,
  { psql, tool }: { psql: Psql | undefined; tool: string },
  test: (program: string) => Promise<void>,
): void {
  const program = psql && join(dirname(psql.program), tool);
  const isThere = program !== undefined && isFile(program);
  if (isThere) Deno.test(name, () => test(program));
  else Deno.test({ name: `${name} (needs ${tool} beside psql)`, ignore: true, fn() {} });
}

function isFile(path: string): boolean {
  try {
    return Deno.statSync(path).isFile;
  } catch {
    return false;
  }
}

/** Runs a program to its end, and returns what it wrote to standard output; @throws when it fails. */
async function run(program: string, args: readonly string[], env: Record<string, string>): Promise<string> {
  const { code, stdout, stderr } = await runProgram(program, args, { env });
  assert.equal(code, 0, `${program} failed\n${stdout}${stderr}`);
  return stdout;
}
