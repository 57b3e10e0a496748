import assert from "node:assert/strict";
import { setImmediate } from "node:timers";
import fc from "fast-check";
import { PgError } from "../../lib/errors.ts";
import { answersTo, concat, messagesOf, serve } from "./model_backend.ts";
import { allOf, bytesOf, message, QUERY, READY, READY_IN_TRANSACTION, Scene } from "./scene.ts";

const ENDED = new PgError("57P01", "ended when idle");
const TERMINATE = [0x58, 0, 0, 0, 4];

Deno.test("endWhenIdle() ends an idle session at once, with a word to the client and Terminate to the backend", async () => {
  const scene = new Scene();
  scene.relay.endWhenIdle(ENDED);
  assert.deepEqual((await allOf(scene.client)).map(({ message }) => message), ["ended when idle"]);
  assert.deepEqual(await bytesOf(scene.backend), TERMINATE);
  await scene.client.end();
  await scene.backend.end();
  const { how, cause } = await scene.result;
  assert.deepEqual({ how, cause }, { how: "ended_by_policy", cause: ENDED });
});

Deno.test.each<[string, Step[]]>([
  ["a query that runs", [{ F: QUERY }, { B: READY }]],
  ["a transaction", [{ F: QUERY }, { B: READY_IN_TRANSACTION }, { F: QUERY }, { B: READY }]],
  ["a failed transaction", [{ F: QUERY }, { B: message("Z", "E") }, { F: QUERY }, { B: READY }]],
  ["Parse without Sync", [{ F: message("P", "\0\0\0\0") }, { F: message("S", "") }, { B: READY }]],
  ["Parse answered by Flush, without Sync", [
    { F: message("P", "\0\0\0\0") },
    { F: message("H", "") },
    { B: message("1", "") },
    { F: message("S", "") },
    { B: READY },
  ]],
  ["COPY in", [
    { F: QUERY },
    { B: message("G", "\0\0\0") },
    { F: message("d", "1\n") },
    { F: message("c", "") },
    { B: READY },
  ]],
  ["COPY in by extended query, failed at the backend", [
    { F: message("E", "\0\0\0\0\0") },
    { F: message("S", "") },
    { B: message("G", "\0\0\0") },
    { F: message("d", "1\n") },
    { B: message("E", "C22P04\0\0") },
    { F: message("S", "") },
    { B: READY },
  ]],
  ["a stream of replication", [
    { F: QUERY },
    { B: message("W", "\0\0\0") },
    { B: message("d", "w") },
    { F: message("d", "r") },
    { F: message("c", "") },
    { B: message("c", "") },
    { B: READY },
  ]],
  ["COPY out", [{ F: QUERY }, { B: message("H", "\0\0\0") }, { B: message("d", "1\n") }, { B: READY }]],
  ["the first half of a query", [{ F: QUERY.subarray(0, 3) }, { F: QUERY.subarray(3) }, { B: READY }]],
  ["the first half of a Flush", [{ F: message("H", "").subarray(0, 2) }, {
    F: message("H", "").subarray(2),
  }]],
  ["the first half of a notification", [
    { B: message("A", "\0\0\0\x07channel\0payload\0").subarray(0, 9) },
    { B: message("A", "\0\0\0\x07channel\0payload\0").subarray(9) },
  ]],
])("endWhenIdle() waits for the end of %s", async (_name, steps) => {
  const scene = new Scene();
  await take(scene, steps[0]);
  scene.relay.endWhenIdle(ENDED);
  let isOver = false;
  scene.result.then(() => isOver = true);
  for (const step of steps.slice(1)) {
    // Longer than an idle session is given to show that it is not.
    await new Promise((resolve) => setTimeout(resolve, 50));
    assert.equal(isOver, false);
    await take(scene, step);
  }
  assert.deepEqual((await allOf(scene.client)).map(({ sqlstate }) => sqlstate), ["57P01"]);
  await scene.client.end();
  await scene.backend.end();
  assert.equal((await scene.result).how, "ended_by_policy");
});

const LONG_ANSWER = message("D", "x".repeat(100_000));

Deno.test.each<[string, Uint8Array[]]>([
  ["one chunk", [concat(LONG_ANSWER, READY)]],
  ["two", [LONG_ANSWER, READY]],
])("endWhenIdle() waits for a client that has not taken its answer, which came in %s", async (_, answer) => {
  const scene = new Scene();
  await scene.askQuery();
  const answering = (async () => {
    for (const chunk of answer) await scene.backend.write(chunk);
  })();
  scene.relay.endWhenIdle(ENDED);
  let isTerminated = false;
  const termination = scene.backend.read().then(() => isTerminated = true);
  await new Promise((resolve) => setTimeout(resolve, 100));
  assert.equal(isTerminated, false);
  const received = await messagesOf(scene.client);
  await answering;
  await termination;
  assert.deepEqual(received.map(({ type }) => type), ["D", "Z", "E"]);
  assert.equal(received[0].length, LONG_ANSWER.length);
  await scene.client.end();
  await scene.backend.end();
  await scene.result;
});

Deno.test("endWhenIdle() ends a client that always asks more within about a second", async () => {
  const scene = new Scene();
  const serving = serve(scene.backend);
  scene.relay.endWhenIdle(ENDED);
  // Asks again as soon as it is answered, so that the session is never idle for longer than that.
  const asking = (async () => {
    for (;;) {
      // Memory moves only in microtasks: without this no timer would ever fire.
      await new Promise<void>((resolve) => setImmediate(() => resolve()));
      await scene.client.write(QUERY);
      const chunk = await scene.client.read();
      if (chunk === null || chunk[0] === 0x45) return;
      // Answers come in pieces.
      if (chunk.at(-6) !== 0x5a) await scene.client.read();
    }
  })();
  await asking.catch(() => {});
  await scene.client.end();
  const { how } = await scene.result;
  await serving;
  assert.equal(how, "ended_by_policy");
});

Deno.test("endWhenIdle() leaves a client alone that leaves by itself", async () => {
  const scene = new Scene();
  await scene.client.write(QUERY);
  await scene.client.write(Uint8Array.from(TERMINATE));
  scene.relay.endWhenIdle(ENDED);
  await scene.client.end();
  const serving = serve(scene.backend);
  assert.equal((await messagesOf(scene.client)).at(-1)!.type, "Z");
  await serving;
  assert.equal((await scene.result).how, "client_left");
});

Deno.test("end() cuts a session that was to end when idle", async () => {
  const scene = new Scene();
  scene.dialled.resolve();
  scene.delivered.resolve();
  await scene.askQuery();
  scene.relay.endWhenIdle(ENDED);
  scene.relay.end(new PgError("57P01", "now"));
  assert.deepEqual((await allOf(scene.client)).map(({ message }) => message), ["now"]);
  await scene.client.end();
  await scene.result;
});

Deno.test("Relay sends nothing behind its last words", async () => {
  const scene = new Scene();
  const late = scene.backend.write(READY).catch(() => {});
  scene.relay.end(new PgError("57P01", "now"));
  await late;
  assert.deepEqual((await allOf(scene.client)).length, 1);
  await scene.client.end();
  await scene.result;
});

// Begin, work, commit; extended queries; an error that a Sync ends; two more queries: what a pipelining driver sends.
const PIPELINE = concat(
  ...["begin", "insert", "commit"].map((text) => message("Q", `${text}\0`)),
  ...[
    message("P", "\0x\0\0\0"),
    message("B", "\0\0\0\0\0\0\0\0"),
    message("E", "\0\0\0\0\0"),
    message("S", ""),
  ],
  ...[message("P", "fail\0\0\0\0"), message("E", "\0\0\0\0\0"), message("S", "")],
  ...["select 1", "select 2"].map((text) => message("Q", `${text}\0`)),
);

Deno.test("S5 a pipeline asked to end at any byte of it: every answer comes, whole, and then the reason", async () => {
  const { answers } = answersTo(PIPELINE);
  const cuts = Array.from({ length: PIPELINE.length + 1 }, (_, at) => at);
  await Promise.all(cuts.map(async (at) => {
    const { received, backendGot } = await endAt(at, PIPELINE);
    assert.deepEqual(received, [...answers, "E57P01"], `at ${at}`);
    assert.deepEqual(backendGot, [...PIPELINE, ...TERMINATE], `at ${at}`);
  }));
});

Deno.test("S5 64 KB of pipelined queries asked to end at any byte of them: no answer lost, none cut", async () => {
  const pipeline = concat(...Array(64 * 1024 / PIPELINE.length | 0).fill(PIPELINE));
  const { answers } = answersTo(pipeline);
  await fc.assert(
    fc.asyncProperty(
      fc.nat({ max: pipeline.length }),
      fc.integer({ min: 1, max: 9000 }),
      async (at, size) => {
        const { received, backendGot } = await endAt(at, pipeline, size);
        assert.deepEqual(received, [...answers, "E57P01"]);
        assert.equal(backendGot.length, pipeline.length + TERMINATE.length);
      },
    ),
    { numRuns: 10 },
  );
});

Deno.test("S5 queries that come one by one: each that the backend saw is answered, and none was seen in part", async () => {
  const queries = Array.from({ length: 40 }, (_, index) => message("Q", `select ${index}\0`));
  for (let at = 0; at < queries.length; at += 5) {
    const scene = new Scene();
    const serving = serve(scene.backend);
    const writing = (async () => {
      for (const [index, query] of queries.entries()) {
        await scene.client.write(query);
        if (index === at) scene.relay.endWhenIdle(ENDED);
        // Now and then there is nothing to do for longer than an idle session is given.
        if (index % 20 === 19) await new Promise((resolve) => setTimeout(resolve, 50));
      }
    })();
    const received = (await messagesOf(scene.client)).map(({ name }) => name);
    await writing.catch(() => {});
    await scene.client.end();
    const { bytes } = await serving;
    await scene.result;
    const { answers, rest } = answersTo(bytes.subarray(0, -TERMINATE.length));
    assert.equal(rest, 0);
    assert.deepEqual(received, [...answers, "E57P01"]);
    assert(answers.length >= 2 * (at + 1));
  }
});

Deno.test("notify() tells the client at once while the backend is silent", async () => {
  const scene = new Scene();
  scene.relay.notify(NOTICE);
  assert.deepEqual(await scene.client.read(), NOTICE);
  scene.client.destroy();
  await scene.result;
});

Deno.test("notify() puts a message between two others, wherever the chunks are cut", async () => {
  const answer = concat(message("D", "one"), message("D", ""), message("C", "two\0"), READY);
  const boundaries = [0, 8, 13, 22, 28];
  for (let at = 0; at <= answer.length; at++) {
    const scene = new Scene();
    await scene.askQuery();
    await scene.backend.write(answer.subarray(0, at));
    let received: number[] = [];
    while (received.length < at) received.push(...(await scene.client.read())!);
    scene.relay.notify(NOTICE);
    await scene.backend.write(answer.subarray(at));
    while (received.length < answer.length + NOTICE.length) received.push(...(await scene.client.read())!);
    const place = boundaries.find((boundary) => boundary >= at)!;
    const expected = concat(answer.subarray(0, place), NOTICE, answer.subarray(place));
    assert.deepEqual(received, [...expected], `at ${at}`);
    received = [];
    scene.client.destroy();
    await scene.result;
  }
});

Deno.test("notify() waits for the end of a message that comes in many chunks", async () => {
  const scene = new Scene();
  await scene.askQuery();
  const answer = concat(message("D", "x".repeat(100)), READY);
  const [head, ...rest] = Array.from(answer, (byte) => Uint8Array.of(byte));
  await scene.backend.write(head);
  await scene.client.read();
  scene.relay.notify(NOTICE);
  const writing = (async () => {
    for (const byte of rest) await scene.backend.write(byte);
  })();
  const received: number[] = [0x44];
  while (received.length < answer.length + NOTICE.length) received.push(...(await scene.client.read())!);
  await writing;
  assert.deepEqual(received, [...answer.subarray(0, 105), ...NOTICE, ...READY]);
  scene.client.destroy();
  await scene.result;
});

Deno.test("notify() says nothing to a session that is over", async () => {
  const scene = new Scene();
  scene.relay.end(ENDED);
  scene.relay.notify(NOTICE);
  assert.equal((await allOf(scene.client)).length, 1);
  await scene.client.end();
  await scene.result;
});

const NOTICE = message("N", "SWARNING\0Msoon\0\0");

/** Bytes of one side, passed on by the relay to the other. */
type Step = { readonly F: Uint8Array } | { readonly B: Uint8Array };

async function take(scene: Scene, step: Step): Promise<void> {
  const [from, to, bytes] = "F" in step
    ? [scene.client, scene.backend, step.F]
    : [scene.backend, scene.client, step.B];
  await from.write(bytes);
  assert.deepEqual(await to.read(), bytes);
}

/** Sends a pipeline in chunks, asks for the end when `at` bytes have been sent, and sends the rest in the same breath. */
async function endAt(at: number, pipeline: Uint8Array, size = pipeline.length) {
  const scene = new Scene();
  const serving = serve(scene.backend);
  const writing = (async () => {
    for (let from = 0; from < at; from += size) {
      await scene.client.write(pipeline.subarray(from, Math.min(at, from + size)));
    }
    scene.relay.endWhenIdle(ENDED);
    for (let from = at; from < pipeline.length; from += size) {
      await scene.client.write(pipeline.subarray(from, from + size));
    }
  })();
  const received = (await messagesOf(scene.client)).map(({ name }) => name);
  await writing;
  await scene.client.end();
  const { bytes } = await serving;
  assert.equal((await scene.result).how, "ended_by_policy");
  return { received, backendGot: [...bytes] };
}
