import assert from "node:assert/strict";
import { RawConnection } from "../support/raw_connection.ts";
import {
  cancelRequest,
  passwordMessage,
  query,
  readFields,
  SSL_REQUEST,
  startupMessage,
} from "../support/raw_messages.ts";
import { waitUntil } from "../support/wait_until.ts";
import { askOne, type ClientScene, type RawSession, typesOf } from "./client_scene.ts";
import { openWorkers, sessionWithEach, workerOf } from "./workers_scene.ts";

/** Sends a CancelRequest, and waits until the proxy has closed; there is never an answer. */
async function cancel(
  scene: ClientScene,
  { processId, secretKey, localAddress, isInTls = false }: Pick<RawSession, "processId" | "secretKey"> & {
    readonly localAddress?: string;
    readonly isInTls?: boolean;
  },
): Promise<void> {
  await using connection = await RawConnection.connect(scene.proxy.port, { localAddress });
  if (isInTls) {
    await connection.send(SSL_REQUEST);
    await connection.receive(1);
    await connection.startTls({ ca: scene.authority.certificatePem });
  }
  await connection.send(cancelRequest(processId, secretKey));
  assert.equal((await connection.receiveToEnd()).length, 0);
}

/** What a session is told at the end of what it runs: the SQLSTATE of the error, or what it was answered. */
async function outcomeOf({ connection }: RawSession): Promise<string> {
  const messages = await connection.receiveMessagesUntil("Z");
  const error = messages.find(({ type }) => type === "E");
  return error === undefined ? typesOf(messages) : readFields(error).C;
}

/** Counts events of a kind since it was made. */
function eventsSince(scene: ClientScene) {
  const from = scene.proxy.events.length;
  return (kind: string) => scene.proxy.events.slice(from).filter((event) => event.kind === kind);
}

Deno.test("two workers carry what one would", async (t) => {
  await using scene = await openWorkers();
  const { proxy } = scene;

  await t.step("each is given some of 20 sessions, whose numbers are all different", async () => {
    await using sessions = new AsyncDisposableStack();
    const counts = [0, 0];
    for (let count = 0; count < 20; count++) counts[workerOf(sessions.use(await scene.rawSession()))]++;
    assert(counts.every((count) => count > 0), `${counts}`);
    const ids = proxy.events.flatMap((event) =>
      event.kind === "connection_opened" ? event.connection.id : []
    );
    assert.deepEqual(
      ids.toSorted((one, other) => one - other),
      Array.from({ length: 20 }, (_, at) => at + 1),
    );
    const { sessions: standing, logins } = await proxy.census();
    assert.deepEqual([logins, [...standing]], [0, [{ backend: "main", state: "idle", count: 20 }]]);
    assert.deepEqual(proxy.counted, { connections: 20, unauthenticated: 0 });
  });
  await scene.isQuiet();

  await t.step("S1 a cancel reaches its session, whichever worker it comes to", async () => {
    const sessions = await sessionWithEach(scene);
    for (let round = 0; round < 8; round++) {
      for (const session of sessions) {
        await session.connection.send(query("select pg_sleep(60)"));
        await scene.isRunning(session.backendPid, "pg_sleep");
        await cancel(scene, { ...session, isInTls: round % 2 === 1 });
        assert.equal(await outcomeOf(session), "57014");
      }
    }
    for (const session of sessions) {
      assert.equal(await askOne(session.connection, "select 1"), "1");
      await session[Symbol.asyncDispose]();
    }
  });

  await t.step(
    "S1 a cancel with a wrong key, or from elsewhere, or for nobody, cancels nothing",
    async () => {
      const sessions = await sessionWithEach(scene);
      const told = eventsSince(scene);
      for (const session of sessions) {
        await session.connection.send(query("select pg_sleep(1)"));
        await scene.isRunning(session.backendPid, "pg_sleep");
      }
      const { processId, secretKey } = sessions[0];
      const wrong: Parameters<typeof cancel>[1][] = [
        ...sessions.map((session) => ({ ...session, secretKey: session.secretKey.map((byte) => byte ^ 1) })),
        ...sessions.map((session) => ({ ...session, localAddress: "127.0.0.2" })),
        { processId: sessions[1].processId, secretKey },
        { processId: processId + 2, secretKey },
        ...[0, 1, -1, -2, -(2 ** 31), 2 ** 31 - 1].map((processId) => ({ processId, secretKey })),
        { processId, secretKey: new Uint8Array(256) },
      ];
      for (const each of wrong) await cancel(scene, each);
      const requests = told("cancel_requested") as { readonly isKnown?: boolean }[];
      assert.deepEqual(requests.map(({ isKnown }) => isKnown), wrong.map(() => false));
      for (const session of sessions) {
        assert.equal(await outcomeOf(session), "TDCZ");
        await session[Symbol.asyncDispose]();
      }
    },
  );

  await t.step("S1 a cancel while its session is idle is never the next query's", async () => {
    const sessions = await sessionWithEach(scene);
    for (const session of sessions) {
      for (let count = 0; count < 5; count++) {
        await cancel(scene, session);
        assert.equal(await askOne(session.connection, "select 1"), "1");
      }
      await session[Symbol.asyncDispose]();
    }
  });

  await t.step("S1 a flood of cancels for the other worker's sessions disturbs nobody", async () => {
    const sessions = await sessionWithEach(scene);
    await Promise.all(
      Array.from(
        { length: 200 },
        (_, count) => cancel(scene, { processId: 2 * count + 1, secretKey: sessions[0].secretKey }),
      ),
    );
    for (const session of sessions) {
      assert.equal(await askOne(session.connection, "select 1"), "1");
      await session[Symbol.asyncDispose]();
    }
  });
  await scene.isQuiet();

  await t.step("bytes and transactions of both are summed, of sessions that are over too", async () => {
    const before = carriedBy(await proxy.census());
    const sessions = await sessionWithEach(scene);
    await scene.proxy.census();
    const statement = query("select repeat('x', 1000)");
    for (const { connection } of sessions) {
      for (let count = 0; count < 10; count++) {
        await connection.send(statement);
        await connection.receiveMessagesUntil("Z");
      }
    }
    const during = carriedBy(await proxy.census());
    for (const session of sessions) await session[Symbol.asyncDispose]();
    await scene.isQuiet();
    const after = carriedBy(await proxy.census());
    // Sessions that were opened on the way have asked for their backend's process id, as each of the two has.
    const asked = after.transactions - before.transactions - 20;
    assert(asked >= 2, `${asked}`);
    assert.equal(during.transactions, after.transactions);
    const ofSelect = 20 * statement.length;
    const ofOthers = asked * query("select pg_backend_pid()").length;
    assert.equal(after.bytesIn - before.bytesIn, ofSelect + ofOthers);
    assert(after.bytesOut - before.bytesOut > 20_000);
  });

  await t.step("names of any characters arrive in the log as they were sent", async () => {
    const user = "al\u202eice\n\u0001\"'\\ \u{1f418}";
    const connection = await scene.rawTls();
    await connection.send(startupMessage({ user, database: "d'\r\n", application_name: "\ufeffx" }));
    await connection.receiveMessagesUntil("R");
    await connection.send(passwordMessage("a.b.c"));
    const refused = readFields(await connection.receiveMessage());
    assert.equal(refused.C, "28P01");
    const { asked } = await proxy.observed("login_refused");
    assert.deepEqual(asked, { user, database: "d'\r\n", applicationName: asked.applicationName });
    await connection[Symbol.asyncDispose]();
  });

  await t.step("T19 a token of nearly 16 KiB is taken, and a longer one is refused", async () => {
    const mint = (length: number) =>
      proxy.issuer.mint({ sub: "alice@example.com", claims: { padding: "x".repeat(length) } });
    const [long, tooLong] = [await mint(11_500), await mint(13_000)];
    assert(long.length > 15_000 && long.length < 16_384, `${long.length}`);
    for (let count = 0; count < 4; count++) {
      await using client = await scene.pgClient({ password: long });
      assert.equal((await client.query("select 1 as one")).rows[0].one, 1);
      await assert.rejects(scene.pgClient({ password: tooLong }), { code: "28P01" });
    }
  });

  await t.step("real drivers are served by both at once", async () => {
    await using sql = scene.postgresJs({ max: 8 });
    await using client = await scene.pgClient();
    const numbers = Array.from({ length: 200 }, (_, number) => number);
    const echo = async (number: number) => (await sql`select ${number}::int as echo`)[0].echo;
    const [echoes] = await Promise.all([
      Promise.all(numbers.map(echo)),
      client.query("select generate_series(1, 10000)"),
    ]);
    assert.deepEqual(echoes, numbers);
  });

  await t.step("the lateness of their event loops is told, and the memory of both", async () => {
    await proxy.census();
    const begunMs = performance.now();
    const seen: number[] = [];
    await waitUntil(async () => {
      const { workers } = await proxy.census();
      assert(workers!.heapBytes > 5_000_000);
      seen.push(...workers!.lagsSeconds);
      return seen.length >= 4;
    }, { what: "four looks at event loops" });
    assert(seen.every((lag) => lag >= 0));
    // Each look, every half a second, is told once.
    const looks = Math.ceil((performance.now() - begunMs) / 500);
    assert(seen.length <= 2 * (looks + 1), `${seen.length} of ${looks} looks at both`);
  });
});

function carriedBy({ carried }: Awaited<ReturnType<ClientScene["proxy"]["census"]>>) {
  const [sum = { bytesIn: 0, bytesOut: 0, transactions: 0 }] = carried;
  return sum;
}
