import assert from "node:assert/strict";
import { fakeBackend } from "../support/hostile_peer.ts";
import { type Fault, FaultyThreads } from "../support/faulty_worker.ts";
import { RawConnection } from "../support/raw_connection.ts";
import { cancelRequest, passwordMessage, query, startupMessage } from "../support/raw_messages.ts";
import { waitUntil } from "../support/wait_until.ts";
import { askOne, type ClientScene, type RawSession } from "./client_scene.ts";
import { openWorkers, sessionWithEach, workerOf } from "./workers_scene.ts";

/** Waits until worker `index` has been lost and serves again, so many times in all. */
async function servesAgain({ proxy }: ClientScene, index: number, times: number): Promise<void> {
  const told = (kind: string) =>
    proxy.events.filter((event) => event.kind === kind && "worker" in event && event.worker === index + 1);
  await waitUntil(() => told("worker_restarted").length === times, {
    what: `worker ${index} to serve again`,
    timeoutMs: 15_000,
  });
  assert.equal(told("worker_lost").length, times);
}

/** Waits until a client sees that its connection is closed. */
async function isClosed(connection: RawConnection): Promise<void> {
  await waitUntil(() => connection.ending !== undefined, { what: "the connection to be closed" });
}

/** How many descriptors this process has. */
function descriptors(): number {
  return [...Deno.readDirSync("/proc/self/fd")].length;
}

Deno.test("a worker that is lost costs its own sessions alone", async (t) => {
  const threads = new FaultyThreads();
  const silent = await fakeBackend(async (connection) => void await connection.receiveToEnd(), {
    timeoutMs: 60_000,
  });
  await using _silent = silent;
  await using scene = await openWorkers({
    proxy: { startThread: threads.start, limits: "failed_logins = 0\nunauthenticated = 4" },
    toml: `
[[backends]]
name = "silent"
url = "postgres://app@localhost:${silent.port}/?sslmode=disable"
require_auth = ["none"]

[[rules]]
issuer = "corp"
match = "bob@example.com"
backend = "silent"
max_connections = 1
`,
  });
  const { proxy } = scene;
  /** The thread that is worker 0 now. */
  let current = 0;
  let losses = 0;

  /** Sessions with both, the second in the middle of a transaction; then the first is lost. */
  async function lose(fault: Fault): Promise<readonly RawSession[]> {
    const sessions = await sessionWithEach(scene);
    const [, other] = sessions;
    await askOne(other.connection, "select 1");
    for (
      const statement of ["begin", "create temp table kept (what text)", "insert into kept values ('x')"]
    ) {
      await other.connection.send(query(statement));
      await other.connection.receiveMessagesUntil("Z");
    }
    await waitUntil(() => proxy.counted.connections === 2, { what: "both to be counted" });
    threads.harm(current, fault);
    current = threads.all.length;
    losses++;
    return sessions;
  }

  for (const fault of ["throws", "rejects", "rejects later"] as const) {
    await t.step(
      `one that ${fault}: clients see the end, the others' transactions go on, and it is back`,
      async () => {
        const [one, other] = await lose(fault);
        await isClosed(one.connection);
        await waitUntil(() => proxy.counted.connections === 1, { what: "one to be left" });
        await servesAgain(scene, 0, losses);
        assert.equal(await askOne(other.connection, "select what from kept"), "x");

        const lost = proxy.events.findLast((event) => event.kind === "worker_lost")!;
        assert.match(lost.reason, /^Uncaught .*TypeError: a bug of ours$/);
        assert.deepEqual([lost.worker, lost.connections], [1, 1]);
        const { connection, cause, ...ended } = proxy.events.findLast((event) =>
          event.kind === "session_ended"
        )!;
        assert.deepEqual([ended.how, ended.backend], ["failed", "main"]);
        assert.match((cause as Error).message, /a bug of ours/);
        assert(
          proxy.events.some((event) =>
            event.kind === "authenticated" && event.connection.id === connection.id
          ),
        );

        // PostgreSQL hears of it by the end of the connection.
        await scene.isGone(one.backendPid);
        for (const session of [...await sessionWithEach(scene), one, other]) {
          await session[Symbol.asyncDispose]();
        }
        await scene.isQuiet();
        assert.deepEqual(proxy.counted, { connections: 0, unauthenticated: 0 });
      },
    );
  }

  await t.step(
    "a statement of a session that is lost is ended by PostgreSQL when it looks for its client",
    async () => {
      await scene.cluster.reload({ settings: { client_connection_check_interval: "100ms" } });
      const [one, other] = await sessionWithEach(scene);
      await one.connection.send(query("select pg_sleep(60)"));
      await scene.isRunning(one.backendPid, "pg_sleep");
      threads.harm(current, "throws");
      current = threads.all.length;
      losses++;
      await isClosed(one.connection);
      await scene.isGone(one.backendPid);
      await servesAgain(scene, 0, losses);
      for (const each of [one, other]) await each[Symbol.asyncDispose]();
      await scene.isQuiet();
    },
  );

  await t.step(
    "a login that is lost gives back its places, among strangers and among connections",
    async () => {
      const bob = await proxy.issuer.mint({ sub: "bob@example.com" });
      await using held = new AsyncDisposableStack();
      // As many as may be under way are with both workers; one of each kind is with the first, sooner or later.
      const logins: RawConnection[] = [];
      for (let count = 0; count < 4; count++) {
        const connection = held.use(await scene.rawTls());
        await connection.send(startupMessage({ user: "bob", database: "silent" }));
        await connection.receiveMessagesUntil("R");
        logins.push(connection);
      }
      await waitUntil(() => proxy.counted.unauthenticated === 4, { what: "4 strangers" });
      await logins[0].send(passwordMessage(bob));
      await waitUntil(() => proxy.counted.connections === 1, { what: "bob to wait for his backend" });
      for (const worker of [current, current === 1 ? 0 : 1]) threads.harm(worker, "throws");
      for (const connection of logins) await isClosed(connection);
      await waitUntil(() => proxy.connectionCount === 0, { what: "every place to be given back" });
      await servesAgain(scene, 0, losses + 1);
      await servesAgain(scene, 1, 1);
      const again = held.use(await scene.rawTls());
      await again.send(startupMessage({ user: "bob", database: "silent" }));
      await again.receiveMessagesUntil("R");
      await again.send(passwordMessage(bob));
      await waitUntil(() => proxy.counted.connections === 1, { what: "bob to have his place" });
      // Nothing else ends a login that its backend does not answer.
      await silent[Symbol.asyncDispose]();
      await isClosed(again);
    },
  );
  await scene.isQuiet();
});

Deno.test("a cancel whose session is lost meanwhile has no answer, and harms nobody", async () => {
  const threads = new FaultyThreads();
  await using scene = await openWorkers({ proxy: { startThread: threads.start } });
  const [one, other] = await sessionWithEach(scene);
  await one.connection.send(query("select pg_sleep(60)"));
  await scene.isRunning(one.backendPid, "pg_sleep");
  const cancels: Promise<string>[] = [];
  const cancel = async () => {
    await using connection = await RawConnection.connect(scene.proxy.port);
    await connection.send(cancelRequest(one.processId, one.secretKey));
    return new TextDecoder().decode(await connection.receiveToEnd());
  };
  // Who was in the queue of the lost one is reset.
  const cutOff = () => "";
  for (let count = 0; count < 10; count++) cancels.push(cancel().catch(cutOff));
  threads.harm(0, "throws");
  for (let count = 0; count < 10; count++) cancels.push(cancel().catch(cutOff));
  assert.deepEqual(new Set(await Promise.all(cancels)), new Set([""]));
  await isClosed(one.connection);
  assert.equal(workerOf(other), 1);
  assert.equal(await askOne(other.connection, "select 1"), "1");
  for (const each of [one, other]) await each[Symbol.asyncDispose]();
  await servesAgain(scene, 0, 1);
  await scene.isQuiet();
});

Deno.test("figures only grow when a worker is lost, and no descriptor stays behind", async () => {
  const threads = new FaultyThreads();
  await using scene = await openWorkers({ proxy: { startThread: threads.start } });
  const transactions = async () => [...(await scene.proxy.census()).carried][0]?.transactions ?? 0;
  let before = await transactions();
  const held: number[] = [];
  for (let round = 1; round <= 4; round++) {
    const sessions = await sessionWithEach(scene);
    for (const { connection } of sessions) await askOne(connection, "select 1");
    const during = await transactions();
    assert(during >= before + 4, `${before}, then ${during}`);
    threads.harm(round === 1 ? 0 : threads.all.length - 1, "throws");
    await isClosed(sessions[0].connection);
    before = await transactions();
    assert.equal(before, during);
    await servesAgain(scene, 0, round);
    for (const session of sessions) await session[Symbol.asyncDispose]();
    await scene.isQuiet();
    assert((await transactions()) >= before);
    held.push(descriptors());
  }
  assert(held[3] <= held[1] + 4, `descriptors after each loss: ${held}`);
});
