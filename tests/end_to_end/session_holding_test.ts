import assert from "node:assert/strict";
import type { RawConnection } from "../support/raw_connection.ts";
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
import { LifetimeStage, type Visitor } from "./lifetime_scene.ts";

// Sessions that are to end when idle, and clients that see to it that theirs never is, or cannot help it. They come to the
// same proxy, and time is over for all of them at once.
const HOUR_MS = 3_600_000;

/** More than the proxy's patience, and less than anybody would wait for. */
const SECONDS_MS = 8_000;

Deno.test("a client that sees to it that its session is never idle has it ended within seconds, and nothing is cut", async (t) => {
  await using stage = await LifetimeStage.open();
  await using scene = await stage.proxy('max_session = "1h"');
  await using clients = new AsyncDisposableStack();
  const token = await scene.proxy.issuer.mint({ sub: "alice@example.com", expiresInSeconds: 1e8 });
  const connect = async () => clients.use(await scene.rawClient(token));
  const doneLike = async (what: string) =>
    (await stage.cluster.sql("select what from done where what like $1", [what])).length;

  // The last bytes of a comment are missing: with five of Terminate behind it some would be whole, and done.
  const halves = await Promise.all([1, 2, 3, 4, 5].map(async (missing) => {
    const client = await connect();
    await client.send(query(`insert into done values ('half')--   `).subarray(0, -missing));
    return client;
  }));
  const halfBehind = await connect();
  await halfBehind.send(
    query("insert into done select 'in front' from pg_sleep(1)"),
    query("insert into done values ('half')").subarray(0, -1),
  );
  const inTransaction = await connect();
  await ask(inTransaction, query("begin"));
  await ask(inTransaction, query("insert into done values ('transaction')"));
  const unsynced = await connect();
  await unsynced.send(extended("insert into done values ('unsynced')"), typed("H"));
  await unsynced.receiveMessagesUntil("C");
  const copying = await connect();
  await copying.send(query("copy done from stdin"), typed("d", new TextEncoder().encode("copied\n")));
  await copying.receiveMessagesUntil("G");

  const overlapping = overlap(await connect(), "overlapping");
  const looping = loop(await scene.client(), "looping");
  // Awaited further down.
  for (const one of [overlapping, looping]) one.catch(() => {});

  const atMs = performance.now();
  scene.clock.advance(HOUR_MS);

  await t.step("half a message is dropped, however many bytes of it are missing", async () => {
    for (const client of halves) await hearsEnd(client);
    assert(performance.now() - atMs < SECONDS_MS);
  });

  await t.step("what was asked in front of half a message is done, and answered", async () => {
    assert.equal((await hear(halfBehind)).type, "C");
    assert.equal((await hear(halfBehind)).type, "Z");
    await hearsEnd(halfBehind);
    assert.deepEqual([await doneLike("in front"), await doneLike("half")], [1, 0]);
  });

  await t.step(
    "a client that always has two queries outstanding has answers to what was done, and no more",
    async () => {
      const answered = await overlapping;
      assert(answered > 2);
      assert.equal(await doneLike("overlapping%"), answered);
      assert(performance.now() - atMs < SECONDS_MS);
    },
  );

  await t.step(
    "a client that asks again as soon as it is answered is ended between two transactions",
    async () => {
      const answered = await looping;
      assert(answered > 2);
      assert.equal(await doneLike("looping%"), answered);
      assert(performance.now() - atMs < SECONDS_MS);
    },
  );

  await t.step("a transaction is not cut, and ends the session with its end", async () => {
    await ask(inTransaction, query("insert into done values ('transaction')"));
    await inTransaction.send(
      query("commit"),
      query("begin"),
      query("insert into done values ('transaction')"),
    );
    await inTransaction.receiveMessagesUntil("Z");
    await hearsEnd(inTransaction);
    assert.equal(await doneLike("transaction"), 2);
  });

  await t.step("what waits for a Sync is not cut, and ends the session with its Sync", async () => {
    await unsynced.send(extended("insert into done values ('unsynced')"), typed("S"));
    await unsynced.receiveMessagesUntil("Z");
    await hearsEnd(unsynced);
    assert.equal(await doneLike("unsynced"), 2);
  });

  await t.step("a COPY is not cut, and ends the session with its end", async () => {
    await copying.send(typed("d", new TextEncoder().encode("copied\n")), typed("c"));
    await copying.receiveMessagesUntil("Z");
    await hearsEnd(copying);
    assert.equal(await doneLike("copied"), 2);
  });

  await waitUntil(() => scene.proxy.connectionCount === 0, { what: "every session to be over" });
  const ends = scene.proxy.events.filter((event) => event.kind === "session_ended");
  assert.deepEqual(new Set(ends.map(({ how }) => how)), new Set(["ended_by_policy"]));
  const complaints = (await stage.cluster.log()).match(/incomplete message from client/g) ?? [];
  assert.equal(complaints.length, halves.length + 1);
});

/** Sends one query and hears its answer. */
async function ask(client: RawConnection, message: Uint8Array): Promise<void> {
  await client.send(message);
  await client.receiveMessagesUntil("Z");
}

/** The next message, but for a word of warning. */
async function hear(client: RawConnection): Promise<RawMessage> {
  const message = await client.receiveMessage();
  return message.type === "N" ? await hear(client) : message;
}

/** The next message is the reason, and the last one. */
async function hearsEnd(client: RawConnection): Promise<void> {
  const message = await hear(client);
  assert.equal(message.type, "E");
  assert.equal(readFields(message).C, "57P01");
  assert.equal((await client.receiveToEnd()).length, 0);
  client.end();
}

/** Asks one more query before each answer, until the end; gives how many were answered. */
async function overlap(client: RawConnection, what: string): Promise<number> {
  let asked = 0;
  const askOne = () =>
    client.send(query(`insert into done select '${what} ${++asked}' from pg_sleep(0.02)`)).catch(() => {});
  await askOne();
  for (let answered = 0;; answered++) {
    await askOne();
    const { type } = await hear(client);
    if (type === "E") return answered;
    assert.equal(type, "C");
    await client.receiveMessagesUntil("Z");
  }
}

/** Asks a query, then the next one, until it is refused; gives how many were answered. */
async function loop(visitor: Visitor, what: string): Promise<number> {
  for (let answered = 0;; answered++) {
    try {
      await visitor.ask(`insert into done values ('${what} ${answered}')`);
    } catch (error) {
      // Between two queries the driver tells by an event.
      const told = [error as Error & { code?: string }, ...visitor.errors];
      assert(told.some(({ code }) => code === "57P01"));
      return answered;
    }
  }
}

function extended(statement: string): Uint8Array {
  return concat(
    typed("P", concat(cString(""), cString(statement), int16(0))),
    typed("B", concat(cString(""), cString(""), int16(0), int16(0), int16(0))),
    typed("E", concat(cString(""), int32(0))),
  );
}
