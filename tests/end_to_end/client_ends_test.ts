import assert from "node:assert/strict";
import {
  cancelRequest,
  int32,
  query,
  readFields,
  SSL_REQUEST,
  text,
  typed,
} from "../support/raw_messages.ts";
import { waitUntil } from "../support/wait_until.ts";
import { isPending } from "../stream/pending.ts";
import { askOne, ClientScene, messagesIn, type RawSession, typesOf } from "./client_scene.ts";

/** What 'within a second' means on a machine that runs other tests at the same time, in milliseconds. */
const WITHIN_A_SECOND = 1_500;

let scene: ClientScene;

Deno.test.beforeAll(async () => {
  scene = await ClientScene.start();
  await scene.cluster.sql("create table ledger (line text)");
  await scene.cluster.sql("grant all on ledger to app_scram");
});

Deno.test.afterEach(() => scene.isQuiet());

Deno.test.afterAll(async () => {
  await scene[Symbol.asyncDispose]();
});

const WAYS_TO_VANISH = {
  "with RST": (session: RawSession) => session.reset(),
  "with FIN": (session: RawSession) => session.connection.end(),
};

for (const [way, vanish] of Object.entries(WAYS_TO_VANISH)) {
  Deno.test(`A9 a client that vanishes ${way} while idle takes its backend session with it`, async () => {
    await using session = await scene.rawSession();
    vanish(session);
    assertSoon(await scene.isGone(session.backendPid));
  });

  Deno.test(`S3 a client that vanishes ${way} in a transaction leaves no lock`, async () => {
    await using session = await scene.rawSession();
    await askOne(session.connection, "begin; lock table ledger; select 1");
    vanish(session);
    assertSoon(await scene.isGone(session.backendPid));
    await assertUnlocked();
  });

  Deno.test(`S3 a client that vanishes ${way} in a running query leaves no lock`, async () => {
    await using session = await scene.rawSession();
    await askOne(session.connection, "begin; lock table ledger; select 1");
    await session.connection.send(query("select pg_sleep(60)"));
    await scene.isRunning(session.backendPid, "pg_sleep(60)");
    vanish(session);
    assertSoon(await scene.isGone(session.backendPid));
    await assertUnlocked();
  });

  Deno.test(`S3 a client that vanishes ${way} in a COPY in leaves no line of it`, async () => {
    await using session = await scene.rawSession();
    await session.connection.send(query("copy ledger from stdin"));
    await session.connection.receiveMessagesUntil("G");
    await session.connection.send(typed("d", text("half a line and no")));
    vanish(session);
    assertSoon(await scene.isGone(session.backendPid));
    await assertUnlocked();
    assert.deepEqual(await scene.cluster.sql("select line from ledger"), []);
  });

  Deno.test(`S3 a client that vanishes ${way} in a COPY out that it did not read`, async () => {
    await using session = await scene.rawSession();
    session.stopReading();
    await session.connection.send(
      query("copy (select repeat('x', 1000) from generate_series(1, 1e6)) to stdout"),
    );
    await waitUntil(async () => {
      const activity = await scene.backendActivity(session.backendPid);
      return activity?.wait_event === "ClientWrite";
    }, { what: "the backend to be held up by its client" });
    vanish(session);
    assertSoon(await scene.isGone(session.backendPid));
  });
}

Deno.test("S3 a client that vanishes with RST behind more than its backend takes leaves no lock", async () => {
  await using session = await scene.rawSession();
  await askOne(session.connection, "begin; lock table ledger; select 1");
  await session.connection.send(query("select pg_sleep(60)"));
  await scene.isRunning(session.backendPid, "pg_sleep(60)");
  const long = query(`select '${"x".repeat(1 << 20)}'`);
  while (!await isPending(session.connection.send(long)));
  session.reset();
  // It is not read now, and looked for once a second.
  assertSoon(await scene.isGone(session.backendPid) - 1_000);
  await assertUnlocked();
});

Deno.test("a client that closes its end behind a query gets the answer", async () => {
  await using session = await scene.rawSession();
  await session.connection.send(query("select 'an answer' from pg_sleep(0.1)"));
  session.connection.end();
  const answer = messagesIn(await session.connection.receiveToEnd());
  assert.equal(typesOf(answer), "TDCZ");
  assert.equal(session.connection.ending, "end");
});

Deno.test("a query is completed that is still running when its client says Terminate", async () => {
  await using session = await scene.rawSession();
  const statement = "insert into ledger select 'written' from pg_sleep(0.7)";
  await session.connection.send(query(statement), typed("X"));
  session.connection.end();
  await scene.isGone(session.backendPid);
  assert.deepEqual(await scene.cluster.sql("delete from ledger returning line"), [{ line: "written" }]);
});

Deno.test("a query is completed whose client says Terminate and resets the connection", async () => {
  await using session = await scene.rawSession();
  const statement = "insert into ledger select 'written' from pg_sleep(0.7)";
  await session.connection.send(query(statement));
  await scene.isRunning(session.backendPid, "insert into ledger");
  await session.connection.send(typed("X"));
  session.reset();
  await scene.isGone(session.backendPid);
  assert.deepEqual(await scene.cluster.sql("delete from ledger returning line"), [{ line: "written" }]);
});

Deno.test("Terminate while idle ends both connections without a word", async () => {
  await using session = await scene.rawSession();
  await session.connection.send(typed("X"));
  assert.equal((await session.connection.receiveToEnd()).length, 0);
  assertSoon(await scene.isGone(session.backendPid));
  assert.equal((await scene.proxy.observed("session_ended")).how, "client_left");
});

Deno.test("A12 a session that an administrator ends while idle hears of it once", async () => {
  await using session = await scene.rawSession();
  await terminateBackend(session);
  await assertToldOnce(session, { sqlstate: "57P01" });
});

Deno.test("A12 a session that an administrator ends in a query hears of it once", async () => {
  await using session = await scene.rawSession();
  await session.connection.send(query("select pg_sleep(60)"));
  await scene.isRunning(session.backendPid, "pg_sleep(60)");
  await terminateBackend(session);
  await assertToldOnce(session, { sqlstate: "57P01" });
});

Deno.test("A12 a session that an administrator ends in a COPY out hears of it once", async () => {
  await using session = await scene.rawSession();
  await session.connection.send(
    query("copy (select n, pg_sleep(0.001) from generate_series(1, 1e6) n) to stdout"),
  );
  await session.connection.receiveMessagesUntil("d");
  await terminateBackend(session);
  await assertToldOnce(session, { sqlstate: "57P01" });
});

Deno.test("A12 a session that an administrator ends in a COPY in hears of it once", async () => {
  await using session = await scene.rawSession();
  await session.connection.send(query("copy ledger from stdin"));
  await session.connection.receiveMessagesUntil("G");
  await terminateBackend(session);
  await assertToldOnce(session, { sqlstate: "57P01" });
});

Deno.test("S4 a message of an unknown type is PostgreSQL's to refuse", async () => {
  await using session = await scene.rawSession();
  await session.connection.send(typed("?", text("what is this")));
  const { message } = await assertToldOnce(session, { sqlstate: "08P01" });
  assert.equal(message, "invalid frontend message type 63");
});

Deno.test.each([
  ["3", 3],
  ["0", 0],
])("S4 a message of length %s ends its session and no other", async (_name, length) => {
  await using other = await scene.rawSession();
  await using session = await scene.rawSession();
  await session.connection.send(typed("Q", text("select 1\0"), length));
  const { message } = await assertToldOnce(session, { sqlstate: "08P01" });
  assert.equal(message, "invalid message length");
  assertSoon(await scene.isGone(session.backendPid));
  assert.equal(await askOne(other.connection, "select 'still here'"), "still here");
});

Deno.test("S4 a message of a negative length ends its session and no other", async () => {
  await using other = await scene.rawSession();
  await using session = await scene.rawSession();
  await session.connection.send(typed("Q", text("select 1\0"), -1));
  await assertToldOnce(session, { sqlstate: "08006" }); // PostgreSQL logs why, and closes without a word
  assert.equal(await askOne(other.connection, "select 'still here'"), "still here");
});

Deno.test.each([
  ["another key", ({ processId }: RawSession) => cancelRequest(processId, int32(0x5eaf00d))],
  ["another process id", ({ processId, secretKey }: RawSession) => cancelRequest(processId ^ 1, secretKey)],
  [
    "a longer key",
    ({ processId, secretKey }: RawSession) => cancelRequest(processId, new Uint8Array([...secretKey, 0])),
  ],
  [
    "the backend's process id",
    ({ backendPid, secretKey }: RawSession) => cancelRequest(backendPid, secretKey),
  ],
])("S1 a cancel with %s does nothing", async (_name, request) => {
  await using session = await sleepingSession(0.4);
  await cancelOver(await scene.rawTls(), request(session));
  await assertAnswered(session);
});

Deno.test("S1 a cancel with the right key from another address does nothing", async () => {
  await using session = await sleepingSession(0.4);
  const { processId, secretKey } = session;
  await cancelOver(await scene.rawTls({ localAddress: "127.0.0.2" }), cancelRequest(processId, secretKey));
  await assertAnswered(session);
});

Deno.test.each([
  ["in plain text", () => scene.rawPlain()],
  ["inside TLS", () => scene.rawTls()],
])("S1 a cancel with the right key %s cancels the query", async (_name, open) => {
  await using session = await sleepingSession(60);
  await cancelOver(await open(), cancelRequest(session.processId, session.secretKey));
  await assertCancelled(session);
});

Deno.test("S1 a cancel glued behind an SSLRequest is refused and does nothing", async () => {
  await using session = await sleepingSession(0.4);
  await using canceller = await scene.rawPlain();
  await canceller.send(SSL_REQUEST, cancelRequest(session.processId, session.secretKey));
  const [refusal] = messagesIn(await canceller.receiveToEnd());
  assert.equal(readFields(refusal).C, "08P01");
  await assertAnswered(session);
});

Deno.test("S1 a flood of wrong cancels reaches no backend", async () => {
  await using session = await scene.rawSession();
  await session.connection.send(query("select 'slept' from pg_sleep(60)"));
  await scene.isRunning(session.backendPid, "pg_sleep(60)");
  const before = await connectionsOfBackend();
  const known = scene.proxy.events.filter((event) => event.kind === "cancel_requested").length;
  for (let round = 0; round < 10; round++) {
    await Promise.all(Array.from({ length: 20 }, async (_, n) => {
      const wrongKey = crypto.getRandomValues(new Uint8Array(4));
      await cancelOver(await scene.rawPlain(), cancelRequest(session.processId + (n % 2), wrongKey));
    }));
  }
  const seen = scene.proxy.events.filter((event) => event.kind === "cancel_requested").slice(known);
  assert.deepEqual(new Set(seen.map(({ isKnown }) => isKnown)), new Set([false]));
  assert.equal(seen.length, 200);
  assert.equal(await connectionsOfBackend(), before);

  await cancelOver(await scene.rawPlain(), cancelRequest(session.processId, session.secretKey));
  await assertCancelled(session);
  assert.equal(await connectionsOfBackend(), before + 1);
});

Deno.test("S1 a cancel after its session has ended reaches no backend", async () => {
  const { processId, secretKey } = await endedSession();
  await scene.isQuiet();
  const before = await connectionsOfBackend();
  await cancelOver(await scene.rawTls(), cancelRequest(processId, secretKey));
  assert.equal(await connectionsOfBackend(), before);
});

Deno.test("S1 a cancel while idle reaches no backend and leaves the next query alone", async () => {
  await using session = await scene.rawSession();
  const before = await connectionsOfBackend();
  await cancelOver(await scene.rawTls(), cancelRequest(session.processId, session.secretKey));
  assert.equal(await askOne(session.connection, "select 'slept' from pg_sleep(0.05)"), "slept");
  assert.equal(await connectionsOfBackend(), before);
});

Deno.test("S1 a cancel that races with the end of its query never hits the next one", async () => {
  await using session = await scene.rawSession();
  const { connection, processId, secretKey } = session;
  const outcomes = new Set<string>();
  for (let round = 0; round < 60; round++) {
    const canceller = await scene.rawPlain();
    // The first ends at about the time when the cancel comes through; the next is sent as soon as it has.
    await connection.send(query(`select pg_sleep(${round % 20 / 1_000})`));
    const cancelled = cancelOver(canceller, cancelRequest(processId, secretKey));
    outcomes.add(typesOf(await connection.receiveMessagesUntil("Z")));
    assert.equal(await askOne(connection, "select 'the next' from pg_sleep(0.005)"), "the next");
    await cancelled;
  }
  assert.ok(outcomes.has("EZ") || outcomes.has("TEZ"), `no cancel ever hit: ${[...outcomes]}`);
});

// PostgreSQL disconnects everybody and recovers when one of its processes is killed: these come last.

Deno.test.each([
  ["while idle", ""],
  ["in a query", "select pg_sleep(60)"],
  ["in a COPY out", "copy (select n, pg_sleep(0.001) from generate_series(1, 1e6) n) to stdout"],
])("A9 B7 a client hears within a second that its backend was killed %s", async (_name, statement) => {
  await using session = await scene.rawSession();
  if (statement !== "") {
    await session.connection.send(query(statement));
    await scene.isRunning(session.backendPid, statement);
  }
  scene.cluster.killBackend(session.backendPid);
  await assertToldOnce(session, { sqlstate: "08006" });
  await waitUntil(async () => (await scene.cluster.sql("select 1")).length === 1, {
    what: "PostgreSQL to recover",
  });
});

Deno.test("A9 a client hears within a second that its server was shut down", async () => {
  await using ownScene = await ClientScene.start();
  await using session = await ownScene.rawSession();
  await ownScene.cluster.shutDown("fast");
  await assertToldOnce(session, { sqlstate: "57P01" });
});

function assertSoon(elapsedMs: number): void {
  assert.ok(elapsedMs < WITHIN_A_SECOND, `it took ${Math.round(elapsedMs)} ms`);
}

async function assertUnlocked(): Promise<void> {
  await scene.cluster.sql("lock table ledger nowait; select 1");
}

/** A session in a query that takes so many seconds. */
async function sleepingSession(seconds: number): Promise<RawSession> {
  const session = await scene.rawSession();
  await session.connection.send(query(`select 'slept' from pg_sleep(${seconds})`));
  await scene.isRunning(session.backendPid, "pg_sleep");
  return session;
}

async function endedSession(): Promise<RawSession> {
  await using session = await scene.rawSession();
  return session;
}

/** Sends a CancelRequest, which must not be answered, and waits until it has been dealt with. */
async function cancelOver(canceller: RawSession["connection"], request: Uint8Array): Promise<void> {
  await using _ = canceller;
  await canceller.send(request);
  assert.equal((await canceller.receiveToEnd()).length, 0);
}

async function assertAnswered({ connection }: RawSession): Promise<void> {
  assert.equal(typesOf(await connection.receiveMessagesUntil("Z")), "TDCZ");
}

async function assertCancelled({ connection }: RawSession): Promise<void> {
  const error = (await connection.receiveMessagesUntil("Z")).find(({ type }) => type === "E");
  assert.equal(error && readFields(error).C, "57014");
  assert.equal(await askOne(connection, "select 'goes on'"), "goes on");
}

async function terminateBackend({ backendPid }: RawSession): Promise<void> {
  await scene.cluster.sql("select pg_terminate_backend($1)", [backendPid]);
}

/** The session must end by one FATAL ErrorResponse, soon, and nothing behind it. */
async function assertToldOnce(
  { connection }: RawSession,
  { sqlstate }: { sqlstate: string },
): Promise<{ message: string }> {
  const begun = performance.now();
  const messages = messagesIn(await connection.receiveToEnd());
  assertSoon(performance.now() - begun);
  assert.equal(connection.ending, "end");
  const errors = messages.filter(({ type }) => type === "E").map(readFields);
  assert.deepEqual(errors.map(({ S, C }) => `${S} ${C}`), [`FATAL ${sqlstate}`]);
  assert.equal(messages.at(-1)!.type, "E");
  return { message: errors[0].M };
}

/** How many connections the backend has logged, whatever they were for, besides the superuser's by the socket. */
async function connectionsOfBackend(): Promise<number> {
  return (await scene.cluster.log()).match(/connection received: host=(127|::1)/g)?.length ?? 0;
}
