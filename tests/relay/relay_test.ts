import assert from "node:assert/strict";
import { PgError } from "../../lib/errors.ts";
import type { RelayResult } from "../../lib/relay/relay.ts";
import { CAPACITY } from "../../lib/stream/memory_stream.ts";
import { waitUntil } from "../support/wait_until.ts";
import { allOf, bytesOf, message, QUERY, READY, READY_IN_TRANSACTION, Scene, TERMINATE } from "./scene.ts";

Deno.test("A17 Relay carries chunks both ways as they came", async () => {
  const scene = new Scene();
  await scene.askQuery();
  await scene.backend.write(READY);
  assert.deepEqual(await scene.client.read(), READY);
  await scene.client.write(TERMINATE);
  await scene.client.end();
  assert.deepEqual(await scene.backend.read(), TERMINATE);
  assert.equal(await scene.backend.read(), null);
  await scene.backend.end();
  const { how, bytesIn, bytesOut } = await scene.result;
  assert.deepEqual({ how, bytesIn, bytesOut }, {
    how: "client_left",
    bytesIn: QUERY.length + TERMINATE.length,
    bytesOut: READY.length,
  });
});

Deno.test("Relay sends on what was read ahead of it first", async () => {
  const scene = new Scene({ fromClient: QUERY, fromBackend: READY });
  assert.deepEqual(await scene.backend.read(), QUERY);
  assert.deepEqual(await scene.client.read(), READY);
  scene.client.destroy();
  await scene.result;
});

Deno.test("Relay takes half a query for nothing asked", async () => {
  const scene = new Scene();
  await scene.client.write(QUERY.subarray(0, -1));
  await scene.backend.read();
  assert.equal(scene.relay.standing.state, "idle");
  await scene.client.write(QUERY.subarray(-1));
  await scene.backend.read();
  assert.equal(scene.relay.standing.state, "active");
  scene.dialled.resolve();
  scene.delivered.resolve();
  scene.client.destroy();
  await scene.result;
});

Deno.test("Relay makes the backend wait for a client that does not read", async () => {
  const scene = new Scene();
  let sent = 0;
  const chunk = message("D", "x".repeat(8192));
  const pump = (async () => {
    for (let i = 0; i < 64; i++) {
      await scene.backend.write(chunk.slice());
      sent++;
    }
  })();
  // Memory moves only in microtasks: when a timer fires, all that can move has moved.
  await new Promise((resolve) => setTimeout(resolve));
  // The relay holds one chunk; the rest is what two pipes may hold.
  assert(sent <= 3 + (2 * CAPACITY) / chunk.length, `${sent} chunks went to a client that reads nothing`);
  let received = 0;
  while (received < 64 * chunk.length) received += (await scene.client.read())!.length;
  await pump;
  scene.client.destroy();
  await scene.result;
});

Deno.test("B7 a backend that dies between messages is announced by one FATAL 08006", async () => {
  const scene = new Scene();
  await scene.askQuery();
  scene.backend.destroy();
  const said = await allOf(scene.client);
  assert.equal(said.length, 1);
  assert.equal(said[0].sqlstate, "08006");
  assert.equal(said[0].severity, "FATAL");
  await scene.client.end();
  assert.equal((await scene.result).how, "backend_left");
});

Deno.test("A12 a backend that says why it leaves is not talked over", async () => {
  const scene = new Scene();
  await scene.backend.write(message("E", "SFATAL\0C57P01\0Mterminating\0\0"));
  await scene.backend.end();
  assert.deepEqual((await allOf(scene.client)).map(({ sqlstate }) => sqlstate), ["57P01"]);
  await scene.client.end();
  await scene.result;
});

Deno.test("B7 a backend that dies inside a message leaves no room for words", async () => {
  const scene = new Scene();
  const half = message("D", "0123456789").subarray(0, 8);
  await scene.backend.write(half);
  scene.backend.destroy();
  assert.deepEqual(await bytesOf(scene.client), [...half]);
  await scene.client.end();
  await scene.result;
});

Deno.test("S3 a client that vanishes in a query has it cancelled, and its session lasts until that is delivered", async () => {
  const scene = new Scene();
  let isOver = false;
  scene.result.then(() => isOver = true);
  await scene.askQuery();
  scene.client.destroy();
  scene.dialled.resolve();
  await waitUntil(() => scene.cancelled === 1, { what: "the cancel being sent" });
  // Memory moves only in microtasks: when a timer fires, all that can move has moved.
  await new Promise((resolve) => setTimeout(resolve));
  assert.equal(isOver, false);
  scene.delivered.resolve();
  assert.equal((await scene.result).how, "client_lost");
});

Deno.test("S3 a client that vanishes in a transaction leaves the backend nothing to cancel, and no connection", async () => {
  const scene = new Scene();
  await scene.askQuery();
  await scene.backend.write(READY_IN_TRANSACTION);
  await scene.client.read();
  scene.client.destroy();
  assert.equal((await scene.result).how, "client_lost");
  assert.equal(scene.cancelled, 0);
  await assert.rejects(async () => {
    while (await scene.backend.read() !== null);
  });
});

Deno.test("Relay gives a client that closed its half the answer under way", async () => {
  const scene = new Scene();
  await scene.askQuery();
  await scene.client.end();
  await scene.backend.write(READY);
  assert.deepEqual(await scene.client.read(), READY);
  await scene.backend.end();
  assert.equal(await scene.client.read(), null);
  assert.equal((await scene.result).how, "client_lost");
  assert.equal(scene.cancelled, 0);
});

Deno.test("Relay lets a query finish whose client said Terminate behind it", async () => {
  const scene = new Scene();
  await scene.client.write(QUERY);
  await scene.client.write(TERMINATE);
  await scene.client.end();
  assert.deepEqual(await scene.backend.read(), QUERY);
  assert.deepEqual(await scene.backend.read(), TERMINATE);
  assert.equal(await scene.backend.read(), null);
  await scene.backend.write(READY);
  await scene.backend.end();
  assert.equal((await scene.result).how, "client_left");
  assert.equal(scene.cancelled, 0);
});

Deno.test("Relay says nothing of a backend that closes at Terminate before the client does", async () => {
  const scene = new Scene();
  await scene.client.write(TERMINATE);
  assert.deepEqual(await scene.backend.read(), TERMINATE);
  await scene.backend.end();
  assert.equal(await scene.client.read(), null);
  await scene.client.end();
  assert.equal((await scene.result).how, "client_left");
});

Deno.test("Relay waits a second at most for a client that says Terminate and does not close", async () => {
  const scene = new Scene();
  await scene.client.write(TERMINATE);
  assert.deepEqual(await scene.backend.read(), TERMINATE);
  await scene.backend.end();
  assert.equal(await scene.client.read(), null);
  const deadline = AbortSignal.timeout(5_000);
  const late = new Promise((_, reject) => deadline.addEventListener("abort", () => reject(deadline.reason)));
  const result = await Promise.race([scene.result, late]) as RelayResult;
  assert.equal(result.how, "client_left");
});

Deno.test("S4 a header that makes no sense ends the session with 08P01, and nothing of it reaches the backend", async () => {
  const scene = new Scene();
  await scene.client.write(Uint8Array.of(0x51, 0, 0, 0, 3));
  assert.deepEqual((await allOf(scene.client)).map(({ sqlstate }) => sqlstate), ["08P01"]);
  await scene.client.end();
  assert.equal((await scene.result).how, "failed");
  await assert.rejects(scene.backend.read());
});

Deno.test("A9 end() has the query cancelled that nobody waits for any more", async () => {
  const scene = new Scene();
  scene.dialled.resolve();
  scene.delivered.resolve();
  await scene.askQuery();
  scene.relay.end(new PgError("57P01", "leaving"));
  assert.deepEqual((await allOf(scene.client)).map(({ sqlstate }) => sqlstate), ["57P01"]);
  await scene.client.end();
  await scene.result;
  assert.equal(scene.cancelled, 1);
});

Deno.test("A14 end() waits two seconds at most for a client that does not close", async () => {
  const scene = new Scene();
  scene.relay.end(new PgError("57P01", "leaving"));
  const deadline = AbortSignal.timeout(5_000);
  const late = new Promise((_, reject) => deadline.addEventListener("abort", () => reject(deadline.reason)));
  const result = await Promise.race([scene.result, late]) as RelayResult;
  assert.equal(result.how, "ended_by_policy");
});

Deno.test("end() tells the client why, once", async () => {
  const scene = new Scene();
  scene.relay.end(new PgError("57P01", "leaving"));
  scene.relay.end(new PgError("57P01", "leaving again"));
  assert.deepEqual((await allOf(scene.client)).map(({ message }) => message), ["leaving"]);
  await scene.client.end();
  assert.equal((await scene.result).how, "ended_by_policy");
});

Deno.test("S1 cancelQuery() sends nothing while the session is idle", async () => {
  const scene = new Scene();
  scene.dialled.resolve();
  await scene.relay.cancelQuery();
  assert.equal(scene.cancelled, 0);
  scene.client.destroy();
  await scene.result;
});

Deno.test("S1 cancelQuery() sends nothing when the query is over before the backend is reached", async () => {
  const scene = new Scene();
  await scene.askQuery();
  const cancelling = scene.relay.cancelQuery();
  await scene.backend.write(READY);
  await scene.client.read();
  await scene.askQuery();
  scene.dialled.resolve();
  await cancelling;
  assert.equal(scene.cancelled, 0);
  scene.delivered.resolve();
  scene.client.destroy();
  await scene.result;
});

Deno.test("S1 cancelQuery() keeps back what the client asks until the cancel is delivered", async () => {
  const scene = new Scene();
  await scene.askQuery();
  scene.dialled.resolve();
  const cancelling = scene.relay.cancelQuery();
  await waitUntil(() => scene.cancelled === 1, { what: "the cancel being sent" });
  await scene.client.write(QUERY);
  let hasArrived = false;
  const arrival = scene.backend.read().finally(() => hasArrived = true);
  // Memory moves only in microtasks: when a timer fires, all that can move has moved.
  await new Promise((resolve) => setTimeout(resolve));
  assert.equal(hasArrived, false);
  scene.delivered.resolve();
  await cancelling;
  assert.deepEqual(await arrival, QUERY);
  scene.client.destroy();
  await scene.result;
});
