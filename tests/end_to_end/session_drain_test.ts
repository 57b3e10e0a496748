import assert from "node:assert/strict";
import {
  concat,
  cString,
  int16,
  int32,
  query,
  type RawMessage,
  readFields,
  typed,
} from "../support/raw_messages.ts";
import { waitUntil } from "../support/wait_until.ts";
import { LifetimeStage } from "./lifetime_scene.ts";

// What is asked of every session here is to end when idle: its time is over while it is being sent 64 KB of queries.
const RULE = 'max_session = "1h"';
const HOUR_MS = 3_600_000;
const PIPELINE_BYTES = 64 * 1024;

/** One way to pipeline, and how many ReadyForQuery each of its units is answered by. */
interface Kind {
  readonly name: string;
  /** Bytes that write the line `what`. */
  readonly unit: (what: string) => Uint8Array;
  readonly readyForQueries: number;
}

const KINDS: readonly Kind[] = [
  { name: "simple queries", unit: (what) => query(insert(what)), readyForQueries: 1 },
  {
    name: "extended queries, each with its Sync",
    unit: (what) => extended(insert(what)),
    readyForQueries: 1,
  },
  {
    name: "transactions",
    unit: (what) => concat(query("begin"), query(insert(what)), query("commit")),
    readyForQueries: 3,
  },
];

Deno.test("S5 64 KB of pipelined queries, told to end at many points of them", async (t) => {
  await using stage = await LifetimeStage.open();
  await using scene = await stage.proxy(RULE);
  const { clock } = scene;
  const token = await scene.proxy.issuer.mint({ sub: "alice@example.com", expiresInSeconds: 1e8 });
  let sessions = 0;

  /** Sends the units one behind the other, and lets the session's time be over when so many bytes have been sent. */
  async function endAt(kind: Kind, share: number, isInOneBreath: boolean) {
    await using connection = await scene.rawClient(token);
    const prefix = `${String(++sessions).padStart(3, "0")}-`;
    const unitLength = kind.unit(`${prefix}00000`).length;
    const units = Array.from(
      { length: Math.floor(PIPELINE_BYTES / unitLength) },
      (_, index) => kind.unit(prefix + String(index).padStart(5, "0")),
    );
    const pipeline = concat(...units);
    const at = Math.floor(pipeline.length * share);
    const sending = (async () => {
      if (isInOneBreath) {
        // Deno 2.9 fails with EPERM when nothing is written inside TLS.
        if (at > 0) await connection.send(pipeline.subarray(0, at));
        clock.advance(HOUR_MS);
        if (at < pipeline.length) await connection.send(pipeline.subarray(at));
        return;
      }
      for (let from = 0; from < pipeline.length; from += 1500) {
        if (from <= at && at < from + 1500) clock.advance(HOUR_MS);
        await connection.send(pipeline.subarray(from, from + 1500));
        await new Promise((resolve) => setTimeout(resolve));
      }
    })().catch(() => {}); // A session that is over takes no more.
    const bytes = await connection.receiveToEnd();
    await sending;
    connection.end();
    const done = (await stage.cluster.sql("select what from done where what like $1", [`${prefix}%`])).length;
    return { messages: messagesIn(bytes), done, units: units.length };
  }

  for (const kind of KINDS) {
    await t.step(`${kind.name}: sent in one breath, each is answered`, async () => {
      for (const share of [0, 0.01, 0.2501, 0.5003, 0.7777, 0.99, 1]) {
        const { messages, done, units } = await endAt(kind, share, true);
        checkEnd(messages);
        assert.equal(readyForQueries(messages), units * kind.readyForQueries, `at ${share}`);
        assert.equal(done, units, `at ${share}`);
      }
    });

    await t.step(
      `${kind.name}: sent bit by bit, what was done and what was answered are the same`,
      async () => {
        for (const share of [0.1, 0.4, 0.9]) {
          const { messages, done } = await endAt(kind, share, false);
          checkEnd(messages);
          assert.equal(inserts(messages), done, `at ${share}`);
          assert.equal(readyForQueries(messages), done * kind.readyForQueries, `at ${share}`);
        }
      },
    );
  }

  await t.step("COPY in and COPY out that have begun are finished", async () => {
    await using copyIn = await scene.rawClient(token);
    await using copyOut = await scene.rawClient(token);
    await copyIn.send(query("copy done from stdin"));
    await copyIn.receiveMessagesUntil("G");
    await copyOut.send(query("copy (select repeat('x', 1000) from generate_series(1, 20000)) to stdout"));
    clock.advance(HOUR_MS);
    for (let line = 0; line < 1000; line++) {
      await copyIn.send(typed("d", new TextEncoder().encode(`copied ${line}\n`)));
    }
    await copyIn.send(typed("c"));
    const received = messagesIn(await copyIn.receiveToEnd());
    checkEnd(received);
    assert.equal(readyForQueries(received), 1);
    const [{ count }] = await stage.cluster.sql("select count(*)::int from done where what like 'copied %'");
    assert.equal(count, 1000);
    const rows = messagesIn(await copyOut.receiveToEnd());
    checkEnd(rows);
    assert.equal(rows.filter(({ type }) => type === "d").length, 20_000);
    copyIn.end();
    copyOut.end();
  });

  await t.step("Parse and Bind are waited for until their Sync", async () => {
    await using connection = await scene.rawClient(token);
    await connection.send(parse(insert("parsed")), bind(), typed("H"));
    assert.deepEqual((await connection.receiveMessagesUntil("2")).map(({ type }) => type), ["1", "2"]);
    clock.advance(HOUR_MS);
    await connection.send(typed("E", concat(cString(""), int32(0))), typed("S"));
    const messages = messagesIn(await connection.receiveToEnd());
    assert.deepEqual(messages.map(({ type }) => type), ["N", "C", "Z", "E"]);
    checkEnd(messages);
    connection.end();
  });

  await waitUntil(() => scene.proxy.connectionCount === 0, { what: "every session to be over" });
  for (const event of scene.proxy.events) {
    if (event.kind === "session_ended") assert.equal(event.how, "ended_by_policy");
  }
});

/** The last message is the reason, and stands where it may. */
function checkEnd(messages: readonly RawMessage[]): void {
  const last = messages.at(-1)!;
  assert.equal(last.type, "E");
  assert.equal(readFields(last).C, "57P01");
  assert.equal(messages.filter(({ type }) => type === "E").length, 1);
  const before = messages.findLast(({ type }) => type !== "E" && type !== "N");
  assert(before === undefined || before.type === "Z");
}

function readyForQueries(messages: readonly RawMessage[]): number {
  return messages.filter(({ type }) => type === "Z").length;
}

function inserts(messages: readonly RawMessage[]): number {
  return messages.filter(({ type, body }) =>
    type === "C" && new TextDecoder().decode(body).startsWith("INSERT")
  )
    .length;
}

function insert(what: string): string {
  return `insert into done values ('${what}')`;
}

function extended(statement: string): Uint8Array {
  return concat(parse(statement), bind(), typed("E", concat(cString(""), int32(0))), typed("S"));
}

function parse(statement: string): Uint8Array {
  return typed("P", concat(cString(""), cString(statement), int16(0)));
}

function bind(): Uint8Array {
  return typed("B", concat(cString(""), cString(""), int16(0), int16(0), int16(0)));
}

/** Splits bytes into whole messages; one that is cut fails the test. */
function messagesIn(bytes: Uint8Array): RawMessage[] {
  const messages: RawMessage[] = [];
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  for (let at = 0; at < bytes.length;) {
    const end = at + 1 + view.getInt32(at + 1);
    assert(end <= bytes.length, "the last message is cut");
    messages.push({ type: String.fromCharCode(bytes[at]), body: bytes.slice(at + 5, end) });
    at = end;
  }
  return messages;
}
