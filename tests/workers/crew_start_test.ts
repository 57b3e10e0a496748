import assert from "node:assert/strict";
import { CannotServe } from "../../lib/listening.ts";
import { Alone } from "../../lib/workers/alone.ts";
import { openServing } from "../../lib/workers/open_serving.ts";
import { freePort } from "../support/free_port.ts";
import { ThreadsInProcess } from "../support/threads_in_process.ts";
import { waitUntil } from "../support/wait_until.ts";
import { CrewScene, served } from "./crew_scene.ts";

/** What a crew says that cannot be opened. */
async function reasonOf(opening: Promise<unknown>): Promise<string> {
  const error = await opening.then(() => assert.fail("it was opened"), (error) => error);
  assert(error instanceof CannotServe, String(error));
  return error.message;
}

Deno.test("one worker is this thread: no other is started", async () => {
  const serving = await openServing(await served({ workers: 1 }), {
    observe: () => {},
    startThread: () => assert.fail("a thread was started"),
  });
  await using _serving = serving;
  assert(serving instanceof Alone);
  const { workers, ...census } = await serving.census();
  assert.deepEqual([workers, census], [undefined, { logins: 0, sessions: [], carried: [] }]);
});

Deno.test("several workers are as many threads, on one port that the system has chosen for the first", async () => {
  await using scene = await CrewScene.open({ workers: 3 });
  assert.deepEqual(scene.threads.all.map(({ name }) => name), ["worker 1", "worker 2", "worker 3"]);
  const { port } = scene.crew.addresses[0];
  assert(port > 0);
  const told = scene.told("listening").map(({ address, isTlsOffered }) => [address, isTlsOffered]);
  assert.deepEqual(told, [[`127.0.0.1:${port}`, true]]);
});

Deno.test('workers = "auto" is a worker for each core, and this thread alone where there is one', async () => {
  await using threads = new ThreadsInProcess();
  await using _serving = await openServing(await served({ workers: '"auto"' }), {
    observe: () => {},
    startThread: threads.start,
  });
  const cores = navigator.hardwareConcurrency;
  assert.equal(threads.all.length, cores === 1 ? 0 : cores);
});

Deno.test("each of several addresses has its port, also where the system chooses it", async () => {
  const port = freePort();
  await using scene = await CrewScene.open({ address: `["127.0.0.1:${port}", "127.0.0.2:0"]` });
  const [first, second] = scene.crew.addresses;
  assert.deepEqual([first, second.host], [{ ...first, host: "127.0.0.1", port }, "127.0.0.2"]);
  assert(second.port > 0);
  assert.deepEqual(
    scene.told("listening").map(({ address }) => address),
    [`127.0.0.1:${port}`, `127.0.0.2:${second.port}`],
  );
});

Deno.test("clients are spread over the workers", async () => {
  await using scene = await CrewScene.open();
  await scene.silent(40);
  const { logins } = await scene.crew.census();
  assert.equal(logins, 40);
  const [one, other] = scene.threads.all;
  one.fail("gone");
  assert.equal(other.isOver, false);
  const left = scene.crew.counted.unauthenticated;
  assert(left > 0 && left < 40, `${left} of 40 are with the second worker`);
});

Deno.test("an address that another program listens on is one sentence, and leaves no thread", async () => {
  const other = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  let threads: CrewScene["threads"];
  const address = `"127.0.0.1:${other.addr.port}"`;
  const opening = CrewScene.open({ address, before: (scene) => threads = scene.threads });
  const reason = await reasonOf(opening);
  other.close();
  assert.equal(
    reason,
    "cannot listen on listen.address: another program listens there already; stop it or choose another port",
  );
  assert.deepEqual(threads!.running, []);
});

Deno.test("an address that this program listens on already, with workers, is not shared with it", async () => {
  await using scene = await CrewScene.open();
  const address = `"127.0.0.1:${scene.port()}"`;
  assert.match(await reasonOf(CrewScene.open({ address })), /another program listens there already/);
});

Deno.test("an address that is not this machine's is one sentence", async () => {
  const reason = await reasonOf(CrewScene.open({ address: '["127.0.0.1:0", "192.0.2.1:0"]' }));
  assert.match(reason, /this machine has no such address/);
});

Deno.test.each([0, 1])(
  "worker %s that fails while it starts is one sentence, and leaves nobody",
  async (at) => {
    const scenes: CrewScene[] = [];
    const reason = await reasonOf(CrewScene.open({
      before: (scene) => {
        scenes.push(scene);
        scene.threads.onStart = (thread, index) => {
          if (index === at) queueMicrotask(() => thread.fail("Uncaught SyntaxError: a bug"));
        };
      },
    }));
    assert.match(reason, /^a worker has failed while it started.*Uncaught SyntaxError: a bug$/);
    const [{ threads, clock }] = scenes;
    assert.deepEqual(threads.running, []);
    assert.equal(clock.timerCount, 0);
  },
);

Deno.test("a worker that fails while it opens its listeners is one sentence, and leaves nobody", async () => {
  const scenes: CrewScene[] = [];
  const reason = await reasonOf(CrewScene.open({
    before: (scene) => {
      scenes.push(scene);
      scene.threads.onStart = (thread, index) => {
        thread.onMessage = ({ call }) => {
          if (index === 1 && call === "open") thread.fail("out of luck");
        };
      };
    },
  }));
  assert.match(reason, /out of luck$/);
  assert.deepEqual(scenes[0].threads.running, []);
  assert.equal(scenes[0].clock.timerCount, 0);
});

Deno.test("a worker that is silent from the beginning is given up after 40 s", async () => {
  const scenes: CrewScene[] = [];
  const opening = reasonOf(CrewScene.open({
    before: (scene) => {
      scenes.push(scene);
      scene.threads.onStart = (thread) => thread.isSilent = true;
    },
  }));
  await waitUntil(() => scenes[0]?.threads.all.length === 1, { what: "the first worker" });
  scenes[0].clock.advance(40_000);
  assert.match(await opening, /it has not answered for 30 s$/);
});

Deno.test("close() ends all threads, and leaves no timer and no listener", async () => {
  const scene = await CrewScene.open();
  const port = scene.port();
  await scene.crew.close();
  assert.deepEqual(scene.threads.running, []);
  assert.equal(scene.clock.timerCount, 0);
  await scene.threads[Symbol.asyncDispose]();
  Deno.listen({ hostname: "127.0.0.1", port }).close();
});
