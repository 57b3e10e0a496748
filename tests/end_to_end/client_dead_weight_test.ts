import assert from "node:assert/strict";
import { typed } from "../support/raw_messages.ts";
import { ClientScene, type RawSession } from "./client_scene.ts";

const SESSIONS = 200;
const AT_ONCE = 20;

let scene: ClientScene;

Deno.test.beforeAll(async () => {
  scene = await ClientScene.start({ settings: { max_connections: SESSIONS + 20 } });
});

Deno.test.afterAll(async () => {
  await scene[Symbol.asyncDispose]();
});

Deno.test("200 idle sessions come and go, and leave nothing behind", async () => {
  await using sessions = new AsyncDisposableStack();
  const opened = await openSessions(sessions);
  assert.equal(scene.proxy.connectionCount, SESSIONS);
  assert.equal(await backendSessions(), SESSIONS);
  assert.equal(new Set(opened.map(({ processId }) => processId)).size, SESSIONS);

  for (const [index, session] of opened.entries()) await LEAVE[index % LEAVE.length](session);
  await scene.isQuiet();
  for (const { backendPid } of opened) await scene.isGone(backendPid);
  const endings = scene.proxy.events.filter((event) => event.kind === "session_ended");
  assert.equal(endings.length, SESSIONS);
});

Deno.test("1000 connections that close without a word leave nothing behind", async () => {
  for (let round = 0; round < 50; round++) {
    await Promise.all(Array.from({ length: AT_ONCE }, async () => {
      await using _ = await scene.rawPlain();
    }));
  }
  await scene.isQuiet();
});

const LEAVE: readonly ((session: RawSession) => void | Promise<void>)[] = [
  async ({ connection }) => {
    await connection.send(typed("X"));
    connection.end();
  },
  ({ connection }) => connection.end(),
  (session) => session.reset(),
];

async function openSessions(sessions: AsyncDisposableStack): Promise<RawSession[]> {
  const opened: RawSession[] = [];
  while (opened.length < SESSIONS) {
    const more = await Promise.all(Array.from({ length: AT_ONCE }, () => scene.rawSession()));
    for (const session of more) opened.push(sessions.use(session));
  }
  return opened;
}

async function backendSessions(): Promise<number> {
  const count = "select count(*)::int from pg_stat_activity where usename = 'app_scram'";
  return Number((await scene.cluster.sql(count))[0].count);
}
