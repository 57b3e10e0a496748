// In: clients that were let in, and mean harm or only hurry. Out: everybody else is served, and no query is hit that was
// not meant.
// Chapter: what attacks on the running relay have shown.
import assert from "node:assert/strict";
import { fakeBackend, RawClient } from "../support/hostile_peer.ts";
import {
  cancelRequest,
  concat,
  cString,
  int16,
  int32,
  loginIsComplete,
  query,
  readyForQuery,
  typed,
} from "../support/raw_messages.ts";
import { RunningProxy } from "../support/running_proxy.ts";
import { waitUntil } from "../support/wait_until.ts";
import { backendsToml, letIn } from "./backend_access.ts";
import { askOne, ClientScene } from "./client_scene.ts";

const SYNC = typed("S");
const FLUSH = typed("H");

Deno.test("S5 a million requests of many runs in one pipeline do not hold other sessions up", async () => {
  await using scene = await ClientScene.start();
  await using hostile = await scene.rawSession();
  await using bystander = await scene.rawSession();
  await hostile.connection.send(query("select pg_sleep(1.5)"));
  const runs = concat(...Array.from({ length: 10_000 }, () => [query(""), SYNC]).flat());
  // More than the system's buffers take in until the backend has slept: the rest follows while answers come.
  const flood = (async () => {
    for (let sent = 0; sent < 100; sent++) await hostile.connection.send(runs);
  })();
  flood.catch(() => {}); // it is cut short below
  const deadline = performance.now() + 6_000;
  let slowestMs = 0;
  while (performance.now() < deadline) {
    const begun = performance.now();
    assert.equal(await askOne(bystander.connection, "select 1"), "1");
    slowestMs = Math.max(slowestMs, performance.now() - begun);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  assert.ok(slowestMs < 3_000, `somebody else's query took ${Math.round(slowestMs)} ms`);
  hostile.reset();
});

Deno.test("S1 of two cancels under way neither hits a query that was asked after them", async () => {
  const cancels: PromiseWithResolvers<void>[] = [];
  const heard: string[] = [];
  const answers = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
  await using backend = await fakeBackend(async (connection, index) => {
    await connection.receiveUntyped();
    if (index > 0) return await (cancels[cancels.push(Promise.withResolvers()) - 1].promise);
    await connection.send(loginIsComplete());
    for (const answer of answers) {
      heard.push(new TextDecoder().decode((await connection.receiveMessage()).body));
      await answer.promise;
      await connection.send(readyForQuery());
    }
    await connection.receiveToEnd();
  });
  const url = `postgres://app:pencil@localhost:${backend.port}/postgres?sslmode=disable`;
  await using proxy = await RunningProxy.start({ toml: backendsToml({ plain: url }) });
  await using client = await letIn(proxy, "plain");
  const { body } = client.told.find(({ type }) => type === "K")!;
  const cancel = async () => {
    const connection = await RawClient.connect(proxy.port);
    await connection.send(cancelRequest(new DataView(body.buffer).getInt32(0), body.slice(4)));
    return connection;
  };
  await client.send(query("first"));
  await waitUntil(() => heard.length === 1, { what: "the first query" });
  await using _one = await cancel();
  await waitUntil(() => cancels.length === 1, { what: "the first cancel" });
  await using _two = await cancel();
  await someTime();
  // Whichever of them is delivered: the other could hit what comes next.
  for (const { resolve } of cancels.slice(1)) resolve();
  answers[0].resolve();
  await client.receiveMessage();
  await client.send(query("second"));
  await someTime();
  assert.deepEqual(heard, ["first\0"]);
  cancels[0].resolve();
  await waitUntil(() => heard.length === 2, { what: "the second query" });
  answers[1].resolve();
  await client.receiveMessage();
});

Deno.test("S4 a client that reads nothing and breaks the protocol leaves no session behind", async () => {
  await using scene = await ClientScene.start();
  await using session = await scene.rawSession();
  // PostgreSQL sends 8 KiB at a time: with rows of that size, what the proxy holds back ends between two messages.
  const rows = "select repeat('x', 8192 - 11) from generate_series(1, 100000)";
  const { connection } = session;
  await connection.send(typed("P", concat(cString(""), cString(rows), int16(0))));
  await connection.send(typed("B", concat(cString(""), cString(""), int16(0), int16(0), int16(0))), FLUSH);
  await connection.receiveMessagesUntil("2");
  session.stopReading();
  await connection.send(typed("E", concat(cString(""), int32(0))), SYNC);
  await waitUntil(async () => {
    const activity = await scene.backendActivity(session.backendPid);
    return activity?.wait_event === "ClientWrite";
  }, { what: "the backend to be held up" });
  await someTime();
  await connection.send(typed("Q", new Uint8Array(0), 2));
  await someTime();
  session.reset();
  await scene.isQuiet();
});

Deno.test("S3 a client that vanishes while both ways are held up leaves no query behind", async () => {
  await using scene = await ClientScene.start();
  await using session = await scene.rawSession();
  session.stopReading();
  const asked = concat(...Array.from({ length: 1_000 }, () => query("select repeat('x', 100000)")));
  let written = 0;
  const flood = (async () => {
    for (; written < 1_000; written++) await session.connection.send(asked);
  })();
  flood.catch(() => {}); // it is cut short below
  let before = -1;
  await waitUntil(() => before === (before = written), { what: "both ways to be held up", intervalMs: 500 });
  session.reset();
  const ms = await scene.isGone(session.backendPid);
  assert.ok(ms < 2_000, `it took ${Math.round(ms)} ms`);
});

/** What is on its way arrives. */
function someTime(): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, 200));
}
