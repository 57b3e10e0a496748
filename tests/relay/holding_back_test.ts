import assert from "node:assert/strict";
import { setImmediate } from "node:timers";
import fc from "fast-check";
import { PgError } from "../../lib/errors.ts";
import { CAPACITY } from "../../lib/stream/memory_stream.ts";
import { waitUntil } from "../support/wait_until.ts";
import { answersTo, concat, messagesOf, serve } from "./model_backend.ts";
import { allOf, bytesOf, message, QUERY, READY, READY_IN_TRANSACTION, Scene, TERMINATE } from "./scene.ts";

// What a session does that is to end when idle and has not become idle in its time.

const ENDED = new PgError("57P01", "ended when idle");
const FAILED = message("E", "SERROR\0C22P04\0\0");
const READY_FAILED = message("Z", "E");

/** A session whose patience is over. */
async function impatient(steps: readonly Step[] = []): Promise<Scene> {
  const scene = new Scene({ patienceMs: 0 });
  for (const step of steps) await take(scene, step);
  scene.relay.endWhenIdle(ENDED);
  await passed();
  return scene;
}

Deno.test("endWhenIdle() ends a client that leaves any number of bytes of its message unsent, and nothing completes that", async () => {
  // A Terminate behind it would: its last byte is missing, or its last five.
  const query = message("Q", "insert\0");
  for (let at = 0; at < query.length; at++) {
    const scene = await impatient(at === 0 ? [] : [{ F: query.subarray(0, at) }]);
    assert.deepEqual((await allOf(scene.client)).map(({ sqlstate }) => sqlstate), ["57P01"], `at ${at}`);
    assert.deepEqual(await bytesOf(scene.backend), at === 0 ? [...TERMINATE] : [], `at ${at}`);
    await scene.client.end();
    await scene.backend.end();
    assert.equal((await scene.result).how, "ended_by_policy");
  }
});

Deno.test("endWhenIdle() waits for the answer in front of half a message, and lets no more of it pass", async () => {
  for (let at = 1; at < QUERY.length; at++) {
    const scene = await impatient([{ F: concat(QUERY, QUERY.subarray(0, at)) }]);
    await scene.client.write(QUERY.subarray(at));
    await passed();
    await scene.backend.write(READY);
    assert.deepEqual((await messagesOf(scene.client)).map(({ name }) => name), ["ZI", "E57P01"], `at ${at}`);
    assert.deepEqual(await bytesOf(scene.backend), [], `at ${at}`);
    await scene.client.end();
    await scene.backend.end();
    await scene.result;
  }
});

Deno.test("endWhenIdle() ends a client that always has two queries outstanding", async () => {
  const scene = await impatient([{ F: QUERY }]);
  const received = messagesOf(scene.client);
  let isOver = false;
  received.then(() => isOver = true);
  let asked = 1;
  for (; !isOver && asked < 100; asked++) {
    await scene.client.write(QUERY).catch(() => {});
    await passed();
    await scene.backend.write(READY).catch(() => {});
    await passed();
  }
  assert.deepEqual((await received).map(({ name }) => name), ["ZI", "E57P01"]);
  assert.deepEqual(await bytesOf(scene.backend), [...TERMINATE]);
  await scene.client.end();
  await scene.backend.end();
  await scene.result;
});

Deno.test("endWhenIdle() never passes on what was asked behind the last answer", async () => {
  const scene = await impatient([{ F: QUERY }]);
  await scene.client.write(concat(QUERY, QUERY));
  await passed();
  await scene.backend.write(READY);
  assert.deepEqual((await messagesOf(scene.client)).map(({ name }) => name), ["ZI", "E57P01"]);
  assert.deepEqual(await bytesOf(scene.backend), [...TERMINATE]);
  await scene.client.end();
  await scene.backend.end();
  assert.equal((await scene.result).bytesIn, QUERY.length);
});

Deno.test("endWhenIdle() does not read what it will not pass on", async () => {
  const scene = await impatient([{ F: QUERY }]);
  let written = 0;
  const writing = (async () => {
    for (let i = 0; i < 100; i++) {
      await scene.client.write(message("Q", "x".repeat(1_000)));
      written += 1_000;
    }
  })().catch(() => {});
  await passed();
  assert(written <= 2 * CAPACITY, `${written} bytes were taken`);
  await scene.backend.write(READY);
  assert.deepEqual((await messagesOf(scene.client)).map(({ name }) => name), ["ZI", "E57P01"]);
  await writing;
  await scene.client.end();
  await scene.backend.end();
  await scene.result;
});

// Steps of what must not be cut, and of what may come before it is over; what the client sends last is held back.
Deno.test.each<[string, readonly Step[], readonly Step[]]>([
  ["a transaction", [{ F: QUERY }, { B: READY_IN_TRANSACTION }], [
    { F: QUERY },
    { B: READY_IN_TRANSACTION },
    { F: message("H", "") },
    { F: QUERY },
    { B: READY },
  ]],
  ["a transaction that fails", [{ F: QUERY }, { B: READY_IN_TRANSACTION }], [
    { F: QUERY },
    { B: FAILED },
    { B: READY_FAILED },
    { F: QUERY },
    { B: READY },
  ]],
  ["a transaction begun at the last moment", [{ F: QUERY }], [
    { B: READY_IN_TRANSACTION },
    { F: QUERY },
    { B: READY },
  ]],
  ["Parse, Bind and Execute before their Sync", [{ F: message("P", "\0\0\0\0") }], [
    { F: message("B", "\0\0\0\0") },
    { F: message("E", "\0\0\0\0\0") },
    { F: message("H", "") },
    { B: message("1", "") },
    { F: message("E", "\0\0\0\0\0") },
    { F: message("S", "") },
    { B: READY },
  ]],
  ["half a Parse behind another", [{ F: message("P", "\0\0\0\0") }, {
    F: message("P", "\0\0\0\0").subarray(0, 7),
  }], [
    { F: message("P", "\0\0\0\0").subarray(7) },
    { F: message("S", "") },
    { B: READY },
  ]],
  [
    "half a query in a transaction",
    [{ F: QUERY }, { B: READY_IN_TRANSACTION }, { F: QUERY.subarray(0, 9) }],
    [
      { F: QUERY.subarray(9) },
      { B: READY },
    ],
  ],
  ["COPY in", [{ F: QUERY }, { B: message("G", "\0\0\0") }], [
    { F: concat(message("d", "1\n"), message("d", "2\n").subarray(0, 3)) },
    { F: message("d", "2\n").subarray(3) },
    { F: message("c", "") },
    { B: READY },
  ]],
  ["COPY in that begins at the last moment", [{ F: QUERY }], [
    { B: message("G", "\0\0\0") },
    { F: message("d", "1\n") },
    { F: message("f", "no\0") },
    { B: FAILED },
    { B: READY },
  ]],
  ["two COPYs in of one query", [{ F: QUERY }, { B: message("G", "\0\0\0") }], [
    { F: message("c", "") },
    { B: message("G", "\0\0\0") },
    { F: message("d", "1\n") },
    { F: message("c", "") },
    { B: READY },
  ]],
  ["COPY in by extended query", [{ F: message("E", "\0\0\0\0\0") }, { F: message("S", "") }], [
    { B: message("G", "\0\0\0") },
    { F: message("d", "1\n") },
    { F: message("c", "") },
    { F: message("S", "") },
    { B: READY },
  ]],
  ["a stream of replication", [{ F: QUERY }, { B: message("W", "\0\0\0") }], [
    { B: message("d", "w") },
    { F: message("d", "r") },
    { F: message("c", "") },
    { B: message("c", "") },
    { B: READY },
  ]],
])("endWhenIdle() does not cut %s, and ends the session behind it", async (_name, before, after) => {
  for (const isAhead of [false, true]) {
    const scene = await impatient(before);
    for (const [index, step] of after.entries()) {
      const isLast = after.slice(index + 1).every((later) => "B" in later);
      // What a client sends behind its last word, in one piece with it, is another matter.
      if (isAhead && isLast && "F" in step) {
        await scene.client.write(concat(step.F, QUERY));
        assert.deepEqual(await scene.backend.read(), step.F);
      } else await take(scene, step);
      await passed();
    }
    assert.deepEqual((await allOf(scene.client)).map(({ sqlstate }) => sqlstate), ["57P01"]);
    assert.deepEqual(await bytesOf(scene.backend), [...TERMINATE]);
    await scene.client.end();
    await scene.backend.end();
    assert.equal((await scene.result).how, "ended_by_policy");
  }
});

Deno.test("endWhenIdle() lets a transaction go on query by query, so that none can begin behind its end", async () => {
  const scene = await impatient([{ F: QUERY }, { B: READY_IN_TRANSACTION }]);
  const commitAndBegin = concat(message("Q", "commit\0"), message("Q", "begin\0"));
  await scene.client.write(commitAndBegin);
  assert.deepEqual(await scene.backend.read(), message("Q", "commit\0"));
  await scene.backend.write(READY);
  assert.deepEqual((await messagesOf(scene.client)).map(({ name }) => name), ["ZI", "E57P01"]);
  await scene.client.end();
  await scene.backend.end();
  await scene.result;
});

Deno.test("endWhenIdle() does not wait for a client to read before it takes the rest of its transaction", async () => {
  const scene = await impatient([{ F: QUERY }, { B: READY_IN_TRANSACTION }]);
  await scene.client.write(concat(QUERY, QUERY));
  assert.deepEqual(await scene.backend.read(), QUERY);
  const answering = scene.backend.write(concat(message("D", "x".repeat(100_000)), READY_IN_TRANSACTION));
  assert.deepEqual(await scene.backend.read(), QUERY);
  scene.client.destroy();
  scene.dialled.resolve();
  scene.delivered.resolve();
  await answering.catch(() => {});
  await scene.result;
});

Deno.test("a client that is held back has its cancel delivered, and is held back no less", async () => {
  const scene = await impatient([{ F: QUERY }]);
  await scene.client.write(QUERY);
  scene.dialled.resolve();
  const cancelling = scene.relay.cancelQuery();
  await waitUntil(() => scene.cancelled === 1, { what: "the cancel being sent" });
  scene.delivered.resolve();
  await cancelling;
  await scene.backend.write(concat(FAILED, READY));
  assert.deepEqual((await messagesOf(scene.client)).map(({ name }) => name), ["E22P04", "ZI", "E57P01"]);
  assert.deepEqual(await bytesOf(scene.backend), [...TERMINATE]);
  await scene.client.end();
  await scene.backend.end();
  await scene.result;
});

Deno.test("a client that is held back is let go when its session is cut, or its backend dies", async () => {
  for (const isCut of [true, false]) {
    const scene = await impatient([{ F: QUERY }]);
    scene.dialled.resolve();
    scene.delivered.resolve();
    await scene.client.write(QUERY);
    await passed();
    if (isCut) scene.relay.end(new PgError("57P01", "now"));
    else scene.backend.destroy();
    assert.deepEqual((await allOf(scene.client)).map(({ sqlstate }) => sqlstate), [
      isCut ? "57P01" : "08006",
    ]);
    await scene.client.end();
    assert.equal((await scene.result).how, isCut ? "ended_by_policy" : "backend_left");
  }
});

Deno.test("S4 a header that makes no sense ends a session that holds back", async () => {
  const scene = await impatient([{ F: QUERY }, { B: READY_IN_TRANSACTION }]);
  await scene.client.write(concat(message("H", ""), Uint8Array.of(0x51, 0, 0, 0, 3)));
  assert.deepEqual((await allOf(scene.client)).map(({ sqlstate }) => sqlstate), ["08P01"]);
  await scene.client.end();
  assert.equal((await scene.result).how, "failed");
});

/** One thing that a client does from a status of `I` to the next, message by message. */
const work = fc.nat({ max: 999 }).chain((number) => {
  const query = (text: string) => message("Q", `${text}\0`);
  const parsed = (text: string) => [
    message("P", `\0${text}\0\0\0`),
    message("B", "\0\0\0\0\0\0\0\0"),
    message("E", "\0\0\0\0\0"),
  ];
  const sync = message("S", "");
  const insert = fc.constantFrom("insert", "fail").map((text) =>
    text === "fail" ? text : `${text} ${number}`
  );
  const copyData = fc.array(fc.constant(message("d", `${number}\n`)), { maxLength: 5 });
  const copyEnd = fc.constantFrom(message("c", ""), message("f", "no\0"));
  const flush = fc.constantFrom([], [message("H", "")]);
  return fc.oneof(
    insert.map((text) => [query(text)]),
    fc.array(insert, { maxLength: 3 }).map((texts) => ["begin", ...texts, "commit"].map(query)),
    fc.tuple(fc.array(insert, { maxLength: 3 }), flush).map((
      [texts, flush],
    ) => [...texts.flatMap(parsed), ...flush, sync]),
    fc.tuple(copyData, copyEnd).map(([data, end]) => [query("copy"), ...data, end]),
    fc.tuple(copyData, copyEnd).map(([data, end]) => [...parsed("copy"), ...data, end, sync]),
    fc.tuple(copyData, copyEnd).map(([data, end]) => [...parsed("copy"), sync, ...data, end, sync]),
  );
});

Deno.test("S5 any pipeline that is to end at any byte of it, and at once: what was done is what was answered", async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(work, { minLength: 1, maxLength: 12 }),
      fc.nat(),
      fc.integer({ min: 1, max: 200 }),
      async (works, number, size) => {
        const pipeline = concat(...works.flat());
        const at = number % (pipeline.length + 1);
        const { received, bytes, model } = await endAt(pipeline, { at, size });
        assert.equal(received.pop(), "E57P01");
        assert.deepEqual(received, answersTo(bytes).answers);
        assert.equal(model.isInTransaction, false);
        const isWhole = model.rest.length === 0;
        const forwarded = isWhole ? bytes.subarray(0, -TERMINATE.length) : bytes;
        assert.deepEqual(forwarded, pipeline.subarray(0, forwarded.length));
        assert.deepEqual(bytes.subarray(forwarded.length), isWhole ? TERMINATE : new Uint8Array(0));
        // What was asked before it was to end has been answered, if no more than that.
        assert(forwarded.length >= Math.floor(at / size) * size);
      },
    ),
    { numRuns: 300 },
  );
});

/** Bytes of one side, passed on by the relay to the other. */
type Step = { readonly F: Uint8Array } | { readonly B: Uint8Array };

async function take(scene: Scene, step: Step): Promise<void> {
  const [from, to, bytes] = "F" in step
    ? [scene.client, scene.backend, step.F]
    : [scene.backend, scene.client, step.B];
  await from.write(bytes);
  assert.deepEqual(await to.read(), bytes);
}

/** Memory moves only in microtasks: when a timer fires, all that can move has moved. */
function passed(): Promise<unknown> {
  return new Promise((resolve) => setTimeout(resolve, 2));
}

/** Sends a pipeline in chunks, and asks for the end at once when `at` bytes have been sent. */
async function endAt(pipeline: Uint8Array, { at, size }: { readonly at: number; readonly size: number }) {
  const scene = new Scene({ patienceMs: 0 });
  const serving = serve(scene.backend);
  const writing = (async () => {
    for (let from = 0; from < pipeline.length; from += size) {
      if (from <= at && at < from + size) scene.relay.endWhenIdle(ENDED);
      await scene.client.write(pipeline.subarray(from, from + size));
      // Now and then the end comes in between.
      if (from % 3 === 0) await new Promise<void>((resolve) => setImmediate(() => resolve()));
    }
    scene.relay.endWhenIdle(ENDED);
  })().catch(() => {});
  const received = (await messagesOf(scene.client)).map(({ name }) => name);
  await writing;
  await scene.client.end();
  const { bytes, model } = await serving;
  assert.equal((await scene.result).how, "ended_by_policy");
  return { received, bytes, model };
}
