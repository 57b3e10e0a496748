import assert from "node:assert/strict";
import { freePort } from "../support/free_port.ts";
import {
  concat,
  query,
  type RawMessage,
  readFields,
  startupMessage,
  typed,
} from "../support/raw_messages.ts";
import { waitUntil } from "../support/wait_until.ts";
import { messagesIn } from "./client_scene.ts";
import { DrainedClient, ProgramStage } from "./program_scene.ts";

const LEAVING = "57P01 terminating connection because the proxy is shutting down";
const REPLICATION_RULE = `
[[rules]]
issuer = "corp"
match = "alice@example.com"
users = ["replicator"]
backend = "main"
replication = true
`;

Deno.test("the program at SIGTERM", async (t) => {
  // A backend that takes logins and never answers.
  using silent = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const accepting = silent.accept();
  const slowBackend = `
[[backends]]
name = "slow"
url = "postgres://app@127.0.0.1:${(silent.addr as Deno.NetAddr).port}/postgres?sslmode=disable"
password_file = "password"

[[rules]]
issuer = "corp"
match = '/(.*)@example\\.com/'
users = ["slow"]
backend = "slow"
`;
  await using stage = await ProgramStage.open({ toml: REPLICATION_RULE + slowBackend });

  await t.step("tells idle sessions why, and ends with 0", async () => {
    await using program = await stage.start();
    await using client = await stage.client(program.port);
    await client.ask("listen news");
    program.signal("SIGTERM");
    assert.equal(await client.isOver(), LEAVING);
    const { code, ms } = await program.ended();
    assert.equal(code, 0);
    assert.ok(ms < 2_000, `it took ${ms} ms`);
    await program.logged(
      /info draining sessions=1 grace_ms=30000 delay_ms=0\n[^]*info drained sessions_cut=0\n/,
    );
  });

  await t.step("lets a transaction end, and takes nobody in meanwhile", async () => {
    await using program = await stage.start();
    await using client = await stage.client(program.port);
    await client.ask("begin");
    const sleeping = client.ask("select pg_sleep(0.3), 'busy'");
    await stage.isRunning("'busy'");
    program.signal("SIGTERM");
    await program.logged(/info draining/);
    await assert.rejects(stage.client(program.port), { code: "ECONNREFUSED" });
    await sleeping;
    await client.ask("insert into done values ('transaction')");
    await client.ask("commit");
    assert.equal(await client.isOver(), LEAVING);
    assert.equal((await program.ended()).code, 0);
    assert.deepEqual(await stage.done("transaction"), ["transaction"]);
  });

  await t.step(
    "S5 A19 answers all that was done of 64 KB of pipelined queries, whenever it comes",
    async () => {
      for (const share of [0, 0.2501, 0.5003, 0.7777, 1]) {
        await using program = await stage.start();
        const { connection } = await stage.rawClient(program.port);
        await using _connection = connection;
        const unit = (number: number) =>
          query(`insert into done values ('s5-${share}-${String(number).padStart(5, "0")}')`);
        const units = Array.from(
          { length: Math.floor(65_536 / unit(0).length) },
          (_, number) => unit(number),
        );
        const pipeline = concat(...units);
        const at = Math.floor(pipeline.length * share);
        // Deno 2.9 fails with EPERM when nothing is written inside TLS.
        if (at > 0) {
          await connection.send(pipeline.subarray(0, at));
        }
        program.signal("SIGTERM");
        // A session that is over takes no more.
        if (at < pipeline.length) await connection.send(pipeline.subarray(at)).catch(() => {});
        const messages = messagesIn(await connection.receiveToEnd());
        connection.end();
        checkEnd(messages);
        const answered = messages.filter(({ type }) => type === "Z").length;
        assert.equal((await stage.done(`s5-${share}-`)).length, answered, `at ${share}`);
        assert.ok(answered >= Math.floor(units.length * share), `${answered} answers at ${share}`);
        assert.equal((await program.ended()).code, 0);
      }
    },
  );

  await t.step("lets COPY in and COPY out end", async () => {
    await using program = await stage.start();
    const { connection: copyIn } = await stage.rawClient(program.port);
    const { connection: copyOut } = await stage.rawClient(program.port);
    await using _copyIn = copyIn;
    await using _copyOut = copyOut;
    await copyIn.send(query("copy done from stdin"));
    await copyIn.receiveMessagesUntil("G");
    await copyOut.send(query("copy (select repeat('x', 1000) from generate_series(1, 50000)) to stdout"));
    await copyOut.receiveMessagesUntil("H");
    program.signal("SIGTERM");
    await program.logged(/info draining/);
    for (let line = 0; line < 1000; line++) await copyIn.send(typed("d", encode(`copied ${line}\n`)));
    await copyIn.send(typed("c"));
    checkEnd(messagesIn(await copyIn.receiveToEnd()));
    const rows = messagesIn(await copyOut.receiveToEnd());
    checkEnd(rows);
    assert.equal(rows.filter(({ type }) => type === "d").length, 50_000);
    assert.equal((await stage.done("copied ")).length, 1000);
    copyIn.end();
    copyOut.end();
    assert.equal((await program.ended()).code, 0);
  });

  await t.step("cuts off who is not done when the grace is over, and ends with 1", async () => {
    await using program = await stage.start({ service: 'grace_period = "300ms"' });
    await using inTransaction = await stage.client(program.port);
    await inTransaction.ask("begin");
    await using inQuery = await stage.client(program.port);
    const asking = inQuery.ask("select pg_sleep(60), 'endless'");
    const asked = assert.rejects(asking, { code: "57P01" });
    await stage.isRunning("'endless'");
    const { connection: replicating } = await stage.rawClient(program.port, {
      user: "replicator",
      database: "postgres",
      replication: "true",
    });
    await using _replicating = replicating;
    const [{ position }] = await stage.cluster.sql("select pg_current_wal_flush_lsn()::text as position");
    await replicating.send(query(`START_REPLICATION PHYSICAL ${position}`));
    await replicating.receiveMessagesUntil("W");
    program.signal("SIGTERM");
    assert.equal(await inTransaction.isOver(), LEAVING);
    await asked;
    const last = messagesIn(await replicating.receiveToEnd()).at(-1)!;
    assert.equal(readFields(last).C, "57P01");
    replicating.end();
    const { code, ms } = await program.ended();
    assert.equal(code, 1);
    assert.ok(ms < 3_000, `it took ${ms} ms`);
    await program.logged(/info drained sessions_cut=3\n/);
    await stage.isNotRunning("'endless'");
  });

  await t.step("A14 ends whoever is not logged in at once, whatever they are doing", async () => {
    await using program = await stage.start();
    const { connection: silentOne } = await stage.rawSocket(program.port);
    const { connection: inTls } = await stage.rawTls(program.port);
    const { connection: asked } = await stage.rawTls(program.port);
    await asked.send(startupMessage({ user: "alice", database: "postgres" }));
    await asked.receiveMessagesUntil("R");
    const slow = { ...stage.driverOptions(program.port), user: "slow" };
    const loggingIn = assert.rejects(DrainedClient.connect(slow), { code: "57P01" });
    using _backend = await accepting;
    program.signal("SIGTERM");
    await loggingIn;
    for (const connection of [silentOne, inTls, asked]) {
      await using _connection = connection;
      const told = messagesIn(await connection.receiveToEnd()).map(readFields);
      assert.deepEqual(told.map(({ S, C }) => `${S} ${C}`), ["FATAL 57P01"]);
    }
    const { code, ms } = await program.ended();
    assert.equal(code, 0);
    assert.ok(ms < 3_000, `it took ${ms} ms`);
  });

  await t.step("A14 and SIGINT behind it ends now, and tells whom it cuts off", async () => {
    await using program = await stage.start();
    await using busy = await stage.client(program.port);
    await busy.ask("begin");
    program.signal("SIGTERM");
    await program.logged(/info draining/);
    program.signal("SIGINT");
    assert.equal(await busy.isOver(), LEAVING);
    const { code, ms } = await program.ended();
    assert.equal(code, 1);
    assert.ok(ms < 2_000, `it took ${ms} ms`);
  });

  await t.step("with drain_delay still serves whom a balancer sends, though it is not ready", async () => {
    const adminPort = freePort();
    const service = 'drain_delay = "1h"\ngrace_period = "5s"';
    await using program = await stage.start({ service, adminPort });
    await using client = await stage.client(program.port);
    const ready = async () => {
      const response = await fetch(`http://127.0.0.1:${adminPort}/ready`);
      await response.body?.cancel();
      return response.status;
    };
    await waitUntil(async () => await ready() === 200, { what: "the program to be ready" });
    program.signal("SIGTERM");
    await waitUntil(async () => await ready() === 503, { what: "the program not to be ready" });
    await using late = await stage.client(program.port);
    for (const one of [client, late]) await one.ask("select 1");
    program.signal("SIGTERM");
    for (const one of [client, late]) assert.equal(await one.isOver(), LEAVING);
    // Nobody was doing anything.
    assert.equal((await program.ended()).code, 0);
  });

  await t.step("is not held up by a client that does not read its answers", async () => {
    await using program = await stage.start({ service: 'grace_period = "300ms"' });
    const { connection, socket } = await stage.rawClient(program.port);
    await using _connection = connection;
    await connection.send(query("select repeat('x', 1000000) from generate_series(1, 100)"));
    await connection.receiveMessagesUntil("T");
    // To the socket under TLS: a TLS socket's own pause does not stop the one under it.
    (socket as unknown as { _handle: { readStop(): void } })._handle.readStop();
    program.signal("SIGTERM");
    const { code, ms } = await program.ended();
    assert.equal(code, 1);
    assert.ok(ms < 5_000, `it took ${ms} ms`);
  });
});

/** The last message is the reason, stands where it may, and nothing went wrong before. */
function checkEnd(messages: readonly RawMessage[]): void {
  const last = messages.at(-1)!;
  assert.equal(last.type, "E");
  assert.equal(readFields(last).C, "57P01");
  assert.equal(messages.filter(({ type }) => type === "E").length, 1);
  const before = messages.at(-2);
  assert.ok(before === undefined || before.type === "Z");
}

function encode(text: string): Uint8Array {
  return new TextEncoder().encode(text);
}
