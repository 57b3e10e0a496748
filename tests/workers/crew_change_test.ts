import assert from "node:assert/strict";
import { CannotServe } from "../../lib/listening.ts";
import type { SessionEvent } from "../../lib/observe/events.ts";
import { Alone } from "../../lib/workers/alone.ts";
import type { Served } from "../../lib/workers/serving.ts";
import { freePort } from "../support/free_port.ts";
import { waitUntil } from "../support/wait_until.ts";
import { CrewScene, served } from "./crew_scene.ts";

/** A session that has begun. */
function authenticated(id: number): SessionEvent {
  return {
    connection: { id, clientAddress: "127.0.0.1:50000" },
    kind: "authenticated",
    asked: {},
    issuer: "corp",
    rule: "all",
    role: "app",
    backend: "orders",
    database: "d",
    method: "password",
    durationMs: 30,
    stages: [],
  };
}

/** Whether somebody listens there. */
async function isListening(port: number, hostname = "127.0.0.1"): Promise<boolean> {
  const conn = await Deno.connect({ hostname, port }).catch(() => null);
  conn?.close();
  return conn !== null;
}

Deno.test("a reload opens addresses that are new in every worker, and closes those that are gone", async () => {
  await using scene = await CrewScene.open();
  const [old, port] = [scene.port(), freePort()];
  await scene.reload(`["127.0.0.1:0", "127.0.0.1:${port}"]`);
  assert.deepEqual(scene.crew.addresses.map((address) => address.port), [old, port]);
  assert.deepEqual(scene.told("listening").map(({ address }) => address), [
    `127.0.0.1:${old}`,
    `127.0.0.1:${port}`,
  ]);
  for (const thread of scene.threads.all) {
    assert.deepEqual(thread.heard.slice(-3), ["prepare", "adopt", "loginsOver"]);
  }

  await scene.reload(`"127.0.0.1:${port}"`);
  assert.deepEqual(scene.crew.addresses.map((address) => address.port), [port]);
  assert.deepEqual([await isListening(old), await isListening(port)], [false, true]);
  assert.equal(scene.told("listening").length, 2);
  // Each of the workers listens on the new one.
  await waitUntil(() => scene.crew.connectionCount === 0, { what: "those who have looked to be gone" });
  await scene.silent(40);
  scene.threads.all[0].fail("lost");
  const { connections } = scene.told("worker_lost")[0];
  assert(connections > 0 && connections < 40, `${connections} of 40`);
});

Deno.test("a new address whose port the system chooses has one port in all workers", async () => {
  await using scene = await CrewScene.open();
  await scene.reload('["127.0.0.1:0", "127.0.0.2:0"]');
  const [, { port }] = scene.crew.addresses;
  assert(port > 0 && await isListening(port, "127.0.0.2"));
  scene.threads.all[0].fail("lost");
  await scene.threads.all[0].closed;
  assert(await isListening(port, "127.0.0.2"));
});

Deno.test("a configuration that the first worker cannot serve changes nothing", async () => {
  await using scene = await CrewScene.open();
  const other = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const address = `["127.0.0.1:0", "127.0.0.1:${other.addr.port}"]`;
  await assert.rejects(scene.reload(address), /another program listens there already/);
  other.close();
  assert.equal(scene.threads.all[1].heard.includes("prepare"), false);
  assert.equal(scene.crew.addresses.length, 1);
  assert(await isListening(scene.port()));
  // Whoever changes it next need not wait.
  await scene.reload(address);
  assert.equal(scene.crew.addresses.length, 2);
});

Deno.test("a new address is not shared with another program of this user", async () => {
  await using scene = await CrewScene.open();
  const other = Deno.listen({ hostname: "127.0.0.1", port: 0, reusePort: true });
  const address = `["127.0.0.1:0", "127.0.0.1:${other.addr.port}"]`;
  await assert.rejects(scene.reload(address), /another program listens there already/);
  other.close();
});

Deno.test("a configuration that the second worker cannot serve leaves no listener in the first", async () => {
  await using scene = await CrewScene.open();
  const [port, taken] = [freePort(), freePort()];
  const [one, two] = scene.threads.all;
  two.onMessage = ({ call }) => {
    if (call === "prepare") throw new CannotServe("the second cannot serve it");
  };
  const change = scene.reload(`["127.0.0.1:0", "127.0.0.1:${port}", "127.0.0.1:${taken}"]`);
  await assert.rejects(change, { message: "the second cannot serve it" });
  two.onMessage = () => {};
  assert.equal(one.heard.at(-1), "discard");
  await waitUntil(async () => !await isListening(port), { what: "the listener to be closed" });
  assert.equal(await isListening(taken), false);
  await scene.reload(`["127.0.0.1:0", "127.0.0.1:${port}"]`);
  assert(await isListening(port));
});

Deno.test("a configuration that is discarded changes nothing, and keeps nobody waiting", async () => {
  await using scene = await CrewScene.open();
  const port = freePort();
  const { discard } = await scene.crew.prepare(await served({ address: `"127.0.0.1:${port}"` }));
  discard();
  await waitUntil(async () => !await isListening(port), { what: "the listener to be closed" });
  await scene.reload(`["127.0.0.1:0", "127.0.0.1:${port}"]`);
  assert(await isListening(port));
});

Deno.test("another number of workers is refused, with what to do", async () => {
  await using scene = await CrewScene.open();
  const said = "service.workers has changed, which takes a restart: end the program and start it again";
  await assert.rejects(scene.crew.prepare(await served({ workers: 3 })), (error) => {
    assert(error instanceof CannotServe);
    assert.equal(error.message, said);
    return true;
  });
  assert.deepEqual(scene.threads.all.flatMap(({ heard }) => heard), ["open", "open"]);
  await scene.reload('"127.0.0.1:0"');

  await using alone = await Alone.open(await served({ workers: 1 }), { observe: () => {} });
  await assert.rejects(alone.prepare(await served({ workers: 2 })), { message: said });
});

Deno.test("a worker that is lost while a change is prepared does not hold it up, and begins with it", async () => {
  await using scene = await CrewScene.open();
  const port = freePort();
  const [one] = scene.threads.all;
  one.onMessage = ({ call }) => {
    if (call === "prepare") one.fail("lost");
  };
  await scene.reload(`["127.0.0.1:0", "127.0.0.1:${port}"]`);
  scene.clock.advance(100);
  await scene.until("worker_restarted");
  // It is the only one that listens.
  scene.threads.all[1].fail("lost");
  await scene.threads.all[1].closed;
  assert(await isListening(port));
});

Deno.test("a worker that is lost when it is to adopt a change does not hold up those who wait for it", async () => {
  await using scene = await CrewScene.open();
  const [one] = scene.threads.all;
  one.onMessage = ({ call }) => {
    if (call === "adopt") one.fail("lost");
  };
  await scene.reload('"127.0.0.1:0"');
  assert.equal(scene.told("worker_lost").length, 1);
});

Deno.test("a change is adopted when the last worker has, and each of its new clients goes by it", async () => {
  await using scene = await CrewScene.open();
  const [, two] = scene.threads.all;
  const change = await scene.crew.prepare(await served());
  two.isSilent = true;
  let isAdopted = false;
  const { adopted, loginsOver } = change.adopt();
  const waiting = adopted.then(() => isAdopted = true);
  await new Promise((resolve) => setTimeout(resolve));
  assert.equal(isAdopted, false);
  two.fail("lost");
  await Promise.all([waiting, loginsOver]);
});

Deno.test("a worker that cannot adopt a change goes by the old one no longer: it is lost", async () => {
  await using scene = await CrewScene.open();
  const [one] = scene.threads.all;
  // It has forgotten what it has prepared.
  one.onMessage = ({ call }) => {
    if (call === "adopt") one.hear({ kind: "tell", call: "discard", about: null });
  };
  await scene.reload('"127.0.0.1:0"');
  assert.equal(scene.told("worker_lost").length, 1);
});

Deno.test("a worker that was lost before is started anew only when a change is over, and by that", async () => {
  await using scene = await CrewScene.open();
  const port = freePort();
  scene.threads.all[0].fail("lost");
  const change = await scene.crew.prepare(await served({ address: `"127.0.0.1:${port}"` }));
  scene.clock.advance(100);
  await new Promise((resolve) => setTimeout(resolve));
  assert.equal(scene.threads.all.length, 2);
  await change.adopt().loginsOver;
  await scene.until("worker_restarted");
  scene.threads.all[1].fail("lost");
  await scene.threads.all[1].closed;
  assert(await isListening(port));
});

Deno.test("logins are asked about by the configuration they began with, until they are over", async () => {
  await using scene = await CrewScene.open();
  const asked: number[] = [];
  const verifierOf = (number: number): Served["verifier"] => ({
    verify: () => Promise.reject(new Error("no token comes")),
    isDenied: () => false,
    knowsIssuerOf: () => {
      asked.push(number);
      return true;
    },
    introspectAgain: () => Promise.resolve("unknown"),
  });
  const ask = async (generation: number) => {
    const about = { generation, token: {} };
    scene.threads.all[0].say({ kind: "ask", id: 77, call: "standingOf", about });
    await new Promise((resolve) => setTimeout(resolve));
    return asked.at(-1);
  };
  const first = await scene.crew.prepare({ ...await served(), verifier: verifierOf(2) });
  await first.adopt().loginsOver;
  const held = Promise.withResolvers<void>();
  const second = await scene.crew.prepare({ ...await served(), verifier: verifierOf(3) });
  const [silent] = await scene.silent(1);
  const { loginsOver } = second.adopt();
  void loginsOver.then(() => held.resolve());
  await new Promise((resolve) => setTimeout(resolve));
  assert.deepEqual([await ask(2), await ask(3)], [2, 3]);
  silent.destroy();
  await held.promise;
  // The verifier of before is closed now: whoever asks for it all the same is answered by the one there is.
  assert.deepEqual([await ask(2), await ask(3)], [3, 3]);
});

Deno.test("two changes at once go one behind the other", async () => {
  await using scene = await CrewScene.open();
  const [port, other] = [freePort(), freePort()];
  await Promise.all([scene.reload(`"127.0.0.1:${port}"`), scene.reload(`"127.0.0.1:${other}"`)]);
  assert.deepEqual(scene.crew.addresses.map((address) => address.port), [other]);
  assert.deepEqual([await isListening(port), await isListening(other)], [false, true]);
});

Deno.test("all workers lost, and then another configuration with a port of the system's choice: they share it", async () => {
  await using scene = await CrewScene.open();
  for (const thread of scene.threads.all) thread.fail("lost");
  await scene.reload('"127.0.0.2:0"');
  scene.clock.advance(100);
  await scene.until("worker_restarted", 2);
  const { port } = scene.crew.addresses[0];
  assert(port > 0);
  scene.threads.all[2].fail("lost");
  await scene.threads.all[2].closed;
  assert(await isListening(port, "127.0.0.2"));
});

Deno.test("drain() tells of itself once, and ends when every worker has", async () => {
  await using scene = await CrewScene.open();
  await scene.silent(4);
  assert.deepEqual(await scene.crew.drain({ graceMs: 1000, delayMs: 0 }), { cut: 0 });
  assert.deepEqual(scene.told("draining"), [
    { kind: "draining", sessions: 4, graceMs: 1000, delayMs: 0 },
  ]);
  assert.deepEqual(scene.told("drained"), [{ kind: "drained", sessionsCut: 0 }]);
  assert.equal(await isListening(scene.port()), false);
});

Deno.test("drain() is over now when it is to be: who waits for its delay waits no longer", async () => {
  await using scene = await CrewScene.open();
  const now = new AbortController();
  const drained = scene.crew.drain({ graceMs: 60_000, delayMs: 60_000, signal: now.signal });
  await new Promise((resolve) => setTimeout(resolve));
  assert(await isListening(scene.port()));
  now.abort();
  assert.deepEqual(await drained, { cut: 0 });
});

Deno.test("drain() by a signal that has aborted before is over at once", async () => {
  await using scene = await CrewScene.open();
  const signal = AbortSignal.abort();
  assert.deepEqual(await scene.crew.drain({ graceMs: 60_000, delayMs: 60_000, signal }), { cut: 0 });
});

Deno.test("drain() waits for no worker that is lost, and starts none anew", async () => {
  await using scene = await CrewScene.open();
  const [one, two] = scene.threads.all;
  one.fail("lost before");
  two.onMessage = ({ call }) => {
    if (call === "drain") two.fail("lost meanwhile");
  };
  assert.deepEqual(await scene.crew.drain({ graceMs: 60_000, delayMs: 0 }), { cut: 0 });
  assert.deepEqual(scene.told("worker_lost").map(({ reason, delayMs }) => [reason, delayMs]), [
    ["lost before", 100],
    ["lost meanwhile", undefined],
  ]);
  scene.clock.advance(60_000);
  assert.equal(scene.threads.all.length, 2);
});

Deno.test("drain() ends a worker that is just being started", async () => {
  await using scene = await CrewScene.open();
  scene.threads.all[0].fail("lost");
  scene.threads.onStart = (thread) => thread.isSilent = true;
  scene.clock.advance(100);
  await waitUntil(() => scene.threads.all.length === 3, { what: "it to be started" });
  assert.deepEqual(await scene.crew.drain({ graceMs: 60_000, delayMs: 0 }), { cut: 0 });
  assert.equal(scene.threads.all[2].isOver, true);
  assert.deepEqual(scene.told("worker_restarted"), []);
});

Deno.test("drain() counts the sessions of a worker that is lost meanwhile as cut off", async () => {
  await using scene = await CrewScene.open();
  const [one] = scene.threads.all;
  for (const id of [1, 2, 3]) one.say({ kind: "tell", call: "observe", about: authenticated(id) });
  await scene.until("authenticated", 3);
  one.onMessage = ({ call }) => {
    if (call === "drain") one.fail("lost");
  };
  assert.deepEqual(await scene.crew.drain({ graceMs: 60_000, delayMs: 0 }), { cut: 3 });
  assert.equal(scene.told("session_ended").length, 3);
  assert.deepEqual(scene.told("drained"), [{ kind: "drained", sessionsCut: 3 }]);
});

Deno.test("a worker whose turn to be started anew comes when all is over is not started", async () => {
  await using scene = await CrewScene.open();
  const { discard } = await scene.crew.prepare(await served());
  scene.threads.all[0].fail("lost");
  scene.clock.advance(100);
  await scene.crew.drain({ graceMs: 0, delayMs: 0 });
  discard();
  await new Promise((resolve) => setTimeout(resolve));
  assert.equal(scene.threads.all.length, 2);
});

Deno.test("S1 a cancel for a worker that is just being started means nobody, at once", async () => {
  await using scene = await CrewScene.open();
  const [one, two] = scene.threads.all;
  const answers: unknown[] = [];
  two.onMessage = (message) => void answers.push(message);
  one.fail("lost");
  scene.threads.onStart = (thread) => thread.isSilent = true;
  scene.clock.advance(100);
  await waitUntil(() => scene.threads.all.length === 3, { what: "it to be started" });
  const about = { processId: 4, secretKey: new Uint8Array(4), clientAddress: "127.0.0.1" };
  two.say({ kind: "ask", id: 77, call: "findCancel", about });
  await new Promise((resolve) => setTimeout(resolve));
  assert.deepEqual(answers, [{ kind: "answer", id: 77, value: false }]);
});

Deno.test("close() waits for no worker that is lost meanwhile", async () => {
  const scene = await CrewScene.open();
  const [one] = scene.threads.all;
  one.onMessage = ({ call }) => {
    if (call === "close") one.fail("lost");
  };
  await scene.crew.close();
  assert.deepEqual(scene.threads.running, []);
  assert.equal(scene.clock.timerCount, 0);
  await scene.threads[Symbol.asyncDispose]();
});

Deno.test("a deny list that changes is heard of in every worker, in one that is being started too", async () => {
  await using scene = await CrewScene.open();
  scene.crew.checkSessions();
  for (const thread of scene.threads.all) assert.equal(thread.heard.at(-1), "checkSessions");
  scene.threads.all[0].fail("lost");
  scene.threads.onStart = () => queueMicrotask(() => scene.crew.checkSessions());
  scene.clock.advance(100);
  await scene.until("worker_restarted");
  assert(scene.threads.all[2].heard.includes("checkSessions"));
});
