import assert from "node:assert/strict";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { SessionClient } from "./bench/session_client.ts";
import { loginIsComplete } from "./support/raw_messages.ts";
import { RunningProxy } from "./support/running_proxy.ts";
import { waitUntil } from "./support/wait_until.ts";

/** As many as make what is not a session's small, in a second or two. */
const SESSIONS = 200;

/**
 * What a session may keep in the heap, in bytes, with its client and its backend, which are in this process too. The
 * runtime's own sockets are most of it.
 */
const MOST_KEPT = 15_500;

Deno.test("a session keeps nothing of its login but what it needs", async () => {
  await using scene = await startScene();
  // The compiler keeps something of the first ones.
  await scene.openSessions(SESSIONS);
  const before = scene.heapUsed();
  await scene.openSessions(SESSIONS);
  const kept = (scene.heapUsed() - before) / SESSIONS;
  assert.ok(kept < MOST_KEPT, `a session keeps ${Math.round(kept)} bytes`);
});

Deno.test("nothing is kept of a session that is over", async () => {
  await using scene = await startScene();
  await scene.openSessions(SESSIONS);
  await scene.closeSessions();
  const before = scene.heapUsed();
  await scene.openSessions(SESSIONS);
  await scene.closeSessions();
  const kept = (scene.heapUsed() - before) / SESSIONS;
  assert.ok(kept < 1_000, `a session that is over keeps ${Math.round(kept)} bytes`);
});

async function startScene() {
  await using resources = new AsyncDisposableStack();
  const backend = resources.use(smallBackend());
  const proxy = resources.use(
    await RunningProxy.start({
      toml: `
        [[backends]]
        name = "main"
        url = "postgres://app@127.0.0.1:${backend.port}/app?sslmode=disable"
        require_auth = ["none"]

        [[rules]]
        issuer = "corp"
        match = "alice"
        backend = "main"
      `,
    }),
  );
  const token = await proxy.issuer.mint({ sub: "alice" });
  const clients: SessionClient[] = [];
  const collectGarbage = garbageCollector();

  async function openSessions(count: number): Promise<void> {
    const entrance = { port: proxy.port, simpleCredentials: { user: "alice", password: token } };
    for (let opened = 0; opened < count; opened++) {
      clients.push(
        await SessionClient.open({ ...entrance, transport: "TLS" }, proxy.authority.certificatePem),
      );
    }
  }

  async function closeSessions(): Promise<void> {
    for (const client of clients.splice(0)) client.close();
    await waitUntil(() => proxy.connectionCount === 0, { what: "the end of all sessions" });
  }

  resources.defer(closeSessions);
  const rest = resources.move();
  return {
    openSessions,
    closeSessions,
    heapUsed() {
      proxy.events.length = 0;
      collectGarbage();
      return Deno.memoryUsage().heapUsed;
    },
    [Symbol.asyncDispose]: () => rest.disposeAsync(),
  };
}

/** A backend that lets everybody in, as small as it can be on our side. */
function smallBackend() {
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const buffer = new Uint8Array(1024);
  async function serve(conn: Deno.Conn): Promise<void> {
    using _conn = conn;
    await conn.read(buffer);
    await conn.write(loginIsComplete());
    while (await conn.read(buffer) !== null);
  }
  const serving = (async () => {
    const all = [];
    for await (const conn of listener) all.push(serve(conn));
    await Promise.all(all);
  })();
  return {
    port: (listener.addr as Deno.NetAddr).port,
    async [Symbol.asyncDispose]() {
      listener.close();
      await serving;
    },
  };
}

function garbageCollector(): () => void {
  setFlagsFromString("--expose-gc");
  return runInNewContext("gc");
}
