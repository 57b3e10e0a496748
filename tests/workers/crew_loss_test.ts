import assert from "node:assert/strict";
import { connect } from "node:net";
import { waitUntil } from "../support/wait_until.ts";
import { CrewScene } from "./crew_scene.ts";

/** Lets the time pass after which a lost worker is started anew, and waits until it serves. */
async function restart(scene: CrewScene, ms = 100): Promise<void> {
  const count = scene.told("worker_restarted").length + 1;
  scene.clock.advance(ms);
  await scene.until("worker_restarted", count);
}

Deno.test("a worker that is lost takes its connections with it, and no others", async () => {
  await using scene = await CrewScene.open();
  await scene.silent(30);
  const [one, two] = scene.threads.all;
  one.fail("Uncaught TypeError: a bug");
  const [{ connections, ...told }] = scene.told("worker_lost");
  const reason = "Uncaught TypeError: a bug";
  assert.deepEqual(told, { kind: "worker_lost", worker: 1, reason, delayMs: 100 });
  assert(connections > 0 && connections < 30, `${connections} of 30`);
  assert.equal(scene.crew.counted.unauthenticated, 30 - connections);
  assert.equal(scene.crew.connectionCount, 30 - connections);
  assert.equal(two.isOver, false);
  assert.equal((await scene.crew.census()).logins, 30 - connections);
});

Deno.test("a worker that is lost is started anew on the same port, and is given clients again", async () => {
  await using scene = await CrewScene.open();
  const port = scene.port();
  scene.threads.all[0].fail("lost");
  await scene.threads.all[0].closed;
  scene.clock.advance(99);
  assert.equal(scene.threads.all.length, 2);
  await restart(scene, 1);
  assert.equal(scene.threads.all[2].name, "worker 1");
  assert.deepEqual(scene.told("worker_restarted"), [{ kind: "worker_restarted", worker: 1 }]);
  assert.deepEqual(scene.told("listening").length, 1);
  assert.equal(scene.port(), port);

  await scene.silent(30);
  scene.threads.all[2].fail("lost again");
  const { connections } = scene.told("worker_lost")[1];
  assert(connections > 0 && connections < 30, `${connections} of 30`);
});

Deno.test("a worker that is lost again and again is started anew later and later, up to 30 s", async () => {
  await using scene = await CrewScene.open();
  const delays: number[] = [];
  for (let count = 0; count < 11; count++) {
    scene.threads.running.find(({ name }) => name === "worker 2")!.fail("lost");
    const { delayMs, worker } = scene.told("worker_lost").at(-1)!;
    assert.equal(worker, 2);
    delays.push(delayMs!);
    await restart(scene, delayMs);
  }
  assert.deepEqual(delays, [100, 200, 400, 800, 1600, 3200, 6400, 12_800, 25_600, 30_000, 30_000]);
});

Deno.test("a worker that has lasted a minute is started anew as soon as one that was never lost", async () => {
  await using scene = await CrewScene.open();
  const lose = () => scene.threads.running.find(({ name }) => name === "worker 1")!.fail("lost");
  lose();
  await restart(scene);
  await scene.pass(59_999);
  lose();
  assert.equal(scene.told("worker_lost")[1].delayMs, 200);
  await restart(scene, 200);
  await scene.pass(60_000);
  lose();
  assert.equal(scene.told("worker_lost")[2].delayMs, 100);
});

Deno.test("each worker has a delay of its own", async () => {
  await using scene = await CrewScene.open();
  const [one, two] = scene.threads.all;
  one.fail("lost");
  await restart(scene);
  two.fail("lost");
  assert.equal(scene.told("worker_lost")[1].delayMs, 100);
});

Deno.test("all workers may be lost at once: they are all started anew, on the same port", async () => {
  await using scene = await CrewScene.open({ workers: 3 });
  const port = scene.port();
  for (const thread of scene.threads.all) thread.fail("lost");
  await Promise.all(scene.threads.all.map(({ closed }) => closed));
  scene.clock.advance(100);
  await scene.until("worker_restarted", 3);
  assert.equal(scene.port(), port);
  await scene.silent(3);
});

Deno.test("a worker that is lost while it is started anew is started once more, later", async () => {
  await using scene = await CrewScene.open();
  scene.threads.onStart = (thread) => queueMicrotask(() => thread.fail("cannot begin"));
  scene.threads.all[0].fail("lost");
  scene.clock.advance(100);
  await scene.until("worker_lost", 2);
  assert.deepEqual(scene.told("worker_lost").map(({ delayMs }) => delayMs), [100, 200]);
  scene.threads.onStart = () => {};
  await restart(scene, 200);
});

Deno.test("a worker that runs, and cannot listen any more, is tried again until it can", async () => {
  await using scene = await CrewScene.open();
  const port = scene.port();
  for (const thread of scene.threads.all) thread.fail("lost");
  await Promise.all(scene.threads.all.map(({ closed }) => closed));
  const other = Deno.listen({ hostname: "127.0.0.1", port });
  scene.clock.advance(100);
  await scene.until("worker_lost", 4);
  assert.match(scene.told("worker_lost")[2].reason, /another program listens there already/);
  assert.deepEqual(scene.threads.running, []);
  other.close();
  scene.clock.advance(200);
  await scene.until("worker_restarted", 2);
});

Deno.test("a worker whose thread cannot be started anew is tried again until it can", async () => {
  await using scene = await CrewScene.open();
  scene.threads.onStart = () => {
    throw new Error("no more threads");
  };
  scene.threads.all[0].fail("lost");
  scene.clock.advance(100);
  await scene.until("worker_lost", 2);
  const [, told] = scene.told("worker_lost");
  assert.deepEqual(told, {
    kind: "worker_lost",
    worker: 1,
    reason: "no more threads",
    connections: 0,
    delayMs: 200,
  });
  scene.threads.onStart = () => {};
  await restart(scene, 200);
});

Deno.test("a worker that does not answer for 30 s is given up, and the program is to be started anew", async () => {
  await using scene = await CrewScene.open();
  await scene.silent(30);
  let broken: string | undefined;
  scene.crew.broken.then((reason) => broken = reason);
  scene.threads.all[0].isSilent = true;
  scene.clock.advance(39_999);
  assert.deepEqual(scene.told("worker_lost"), []);
  scene.clock.advance(1);
  const [{ worker, reason, delayMs }] = scene.told("worker_lost");
  assert.deepEqual([worker, reason, delayMs], [1, "it has not answered for 30 s", undefined]);
  await waitUntil(() => broken !== undefined, { what: "the crew to be broken" });
  assert.equal(broken, "worker 1 is stuck: it has not answered for 30 s");
  scene.clock.advance(60_000);
  assert.equal(scene.threads.all.length, 2);
});

Deno.test.each<[string, boolean, number]>([
  ["5 s after its grace is over", false, 15_000],
  ["5 s after whoever ends the program has no more patience", true, 5_000],
])(
  "drain() does not wait for a worker that says nothing: it is given up %s",
  async (_when, isHurried, ms) => {
    await using scene = await CrewScene.open();
    const [one, two] = scene.threads.all;
    one.isSilent = true;
    const impatience = new AbortController();
    let isOver = false;
    const draining = scene.crew.drain({ graceMs: 10_000, delayMs: 0, signal: impatience.signal })
      .finally(() => isOver = true);
    if (isHurried) impatience.abort();
    await scene.pass(ms - 1);
    assert.deepEqual([isOver, scene.told("worker_lost")], [false, []]);
    scene.clock.advance(1);
    await waitUntil(() => isOver, { what: "the drain to be over" });
    assert.deepEqual(await draining, { cut: 0 });
    assert.deepEqual(scene.told("worker_lost").map(({ worker, reason }) => [worker, reason]), [
      [1, "it did not end in time"],
    ]);
    assert.equal(two.isOver, false);
  },
);

Deno.test("a worker that answers now and then is not given up", async () => {
  await using scene = await CrewScene.open();
  const [one] = scene.threads.all;
  for (let count = 0; count < 3; count++) {
    one.isSilent = true;
    await scene.pass(20_000);
    one.isSilent = false;
    await scene.pass(20_000);
  }
  assert.deepEqual(scene.told("worker_lost"), []);
});

Deno.test("a machine that has slept for an hour gives up nobody", async () => {
  await using scene = await CrewScene.open();
  // All timers are late by an hour: each acts once, and workers answer before the next.
  for (let count = 0; count < 10; count++) {
    scene.clock.advance(10_000);
    scene.clock.set(scene.clock.now() + 3_600_000);
    await new Promise((resolve) => setTimeout(resolve));
  }
  assert.deepEqual(scene.told("worker_lost"), []);
});

Deno.test("a census does not wait for a worker that says nothing, whose last word it takes", async () => {
  await using scene = await CrewScene.open();
  await scene.silent(20);
  assert.equal((await scene.crew.census()).logins, 20);
  scene.threads.all[0].isSilent = true;
  let isThere = false;
  const asked = scene.crew.census().finally(() => isThere = true);
  scene.clock.advance(1_999);
  await new Promise((resolve) => setTimeout(resolve));
  assert.equal(isThere, false);
  scene.clock.advance(1);
  assert.equal((await asked).logins, 20);
});

Deno.test("a census counts nothing of a worker twice that is lost while it is asked", async () => {
  await using scene = await CrewScene.open();
  await scene.silent(20);
  assert.equal((await scene.crew.census()).logins, 20);
  scene.threads.all[0].onMessage = ({ call }) => {
    if (call === "census") scene.threads.all[0].fail("lost");
  };
  const { logins } = await scene.crew.census();
  assert.equal(logins, 20 - scene.told("worker_lost")[0].connections);
});

Deno.test("what is told by a worker and fails here ends that worker, not the program", async () => {
  await using scene = await CrewScene.open();
  const [one] = scene.threads.all;
  one.say({ kind: "tell", call: "no such thing", about: null });
  await scene.until("worker_lost");
  assert.match(scene.told("worker_lost")[0].reason, /^it was not understood: /);
  assert.equal(one.isOver, true);
});

Deno.test("a client that was accepted by a worker that is lost sees its connection closed", async () => {
  await using scene = await CrewScene.open();
  const sockets = await scene.silent(4);
  for (const thread of scene.threads.all) thread.fail("lost");
  await waitUntil(() => sockets.every(({ closed, readableEnded }) => closed || readableEnded), {
    what: "every connection to be closed",
  });
  assert.equal(scene.crew.connectionCount, 0);
  const gone = connect({ port: scene.port(), host: "127.0.0.1" });
  const [error] = await new Promise<[Error]>((resolve) => gone.once("error", (error) => resolve([error])));
  assert.match(error.message, /REFUSED/);
});
