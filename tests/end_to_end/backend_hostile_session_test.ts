import assert from "node:assert/strict";
import type { Script } from "../support/hostile_peer.ts";
import type { RawConnection } from "../support/raw_connection.ts";
import {
  authentication,
  concat,
  cString,
  int16,
  int32,
  loginIsComplete,
  query,
  readFields,
  readyForQuery,
  text,
  typed,
} from "../support/raw_messages.ts";
import { waitUntil } from "../support/wait_until.ts";
import { fatal } from "./backend_access.ts";
import { hostileStage } from "./backend_stage.ts";

const stage = hostileStage();

const sasl = authentication(10, concat(cString("SCRAM-SHA-256"), Uint8Array.of(0)));
const ok = authentication(0);
const notice = (message: string) =>
  typed("N", concat(...["SNOTICE", "C00000", `M${message}`].map(cString), Uint8Array.of(0)));

const column = concat(cString("a"), int32(0), int16(0), int32(25), int16(-1), int32(-1), int16(0));
const rowDescription = typed("T", concat(int16(1), column));
const dataRow = typed("D", concat(int16(1), int32(1), text("1")));
const copyData = typed("d", text("1\n"));
const copyOut = typed("H", concat(Uint8Array.of(0), int16(1), int16(0)));
const copyIn = typed("G", concat(Uint8Array.of(0), int16(1), int16(0)));

/** A session whose backend says this in answer to its first message, and then waits for `leave`. */
async function sessionThatHears(...said: readonly Uint8Array[]) {
  const leaving = Promise.withResolvers<"end" | "reset">();
  const script: Script = async (connection) => {
    await connection.receiveUntyped();
    await connection.send(loginIsComplete());
    await connection.receiveMessage();
    await connection.send(...said);
    if (await leaving.promise === "reset") connection.reset();
  };
  const client = await stage.letIn(script);
  await client.send(query("SELECT 1"));
  await client.receive(concat(...said).length);
  return { client, leave: leaving.resolve };
}

for (const how of ["end", "reset"] as const) {
  for (
    const [when, said] of [
      ["mid-query", [rowDescription, dataRow]],
      ["mid-COPY to the client", [copyOut, copyData]],
      ["mid-COPY from the client", [copyIn]],
      ["mid-transaction", [typed("C", cString("BEGIN")), readyForQuery("T")]],
    ] as const
  ) {
    stage.attack(`B7 a backend that dies ${when} (${how}) is announced within a second`, async () => {
      const { client, leave } = await sessionThatHears(...said);
      await using _ = client;
      const startedMs = performance.now();
      leave(how);
      const error = await client.receiveMessage();
      assert.ok(performance.now() - startedMs < 1_000);
      const { H: hint, ...told } = readFields(error);
      assert.deepEqual(told, fatal("08006", "the backend closed the connection unexpectedly"));
      assert.match(hint, /Connect again/);
      assert.equal((await client.receiveToEnd()).length, 0);
    });
  }

  stage.attack(
    `B7 a backend that dies inside a message (${how}) leaves it unfinished for the client`,
    async () => {
      const { client, leave } = await sessionThatHears(rowDescription, dataRow.subarray(0, 8));
      await using _ = client;
      const startedMs = performance.now();
      leave(how);
      assert.equal((await client.receiveToEnd()).length, 0);
      assert.ok(performance.now() - startedMs < 1_000);
    },
  );
}

stage.attack(
  "B7 a backend that stops reading slows its client down, and its death is announced within a second",
  async () => {
    const leaving = Promise.withResolvers<void>();
    const script: Script = async (connection) => {
      await connection.receiveUntyped();
      await connection.send(loginIsComplete());
      await connection.receiveMessage();
      await connection.send(copyIn);
      connection.pause();
      await leaving.promise;
      connection.reset();
    };
    await using client = await stage.letIn(script);
    await client.send(query("COPY t FROM STDIN"));
    await client.receiveMessage();
    const chunk = typed("d", new Uint8Array(1 << 20));
    let sent = 0;
    let isStalled = false;
    const flood = (async () => {
      while (!isStalled && sent < 64) await client.send(chunk).then(() => sent++);
    })();
    await waitUntil(stoodStill(() => sent), { what: "the client to be slowed down" });
    isStalled = true;
    assert.ok(sent > 0 && sent < 32, `${sent} MiB were taken off the client's hands`);
    await stage.othersGoOn();
    const startedMs = performance.now();
    leaving.resolve();
    assert.equal(readFields(await client.receiveMessage()).C, "08006");
    assert.ok(performance.now() - startedMs < 1_000);
    await flood;
  },
);

for (
  const [when, backend, play] of [
    ["before it has said anything", "plain", () => Promise.resolve()],
    ["before TLS stands", "require", (connection) => connection.send(text("S"))],
    ["in SCRAM", "scram", (connection) => connection.send(sasl)],
    ["before BackendKeyData", "plain", (connection) => connection.send(ok)],
  ] as const satisfies readonly (readonly [string, string, (connection: RawConnection) => Promise<void>])[]
) {
  stage.attack(`B7 a backend that stops writing ${when} is left when the login's time is up`, async () => {
    const { told, durationMs } = await stage.refusedBy(backend, async (connection) => {
      await connection.receiveUntyped();
      await play(connection);
    }, { isHasty: true });
    assert.deepEqual(told, fatal("57014", "canceling authentication due to timeout"));
    assert.ok(durationMs < 2_000, `${durationMs} ms`);
  });
}

stage.attack("B7 a backend that never stops greeting is left when the login's time is up", async () => {
  const { told, durationMs } = await stage.refusedBy("plain", async (connection) => {
    await connection.receiveUntyped();
    await connection.send(ok);
    const greet = async () => {
      if (connection.ending !== undefined) return true;
      await connection.send(notice("hello"));
    };
    await waitUntil(greet, { what: "the proxy to leave", intervalMs: 20 });
  }, { isHasty: true });
  assert.deepEqual(told, fatal("57014", "canceling authentication due to timeout"));
  assert.ok(durationMs < 2_000, `${durationMs} ms`);
});

stage.attack("B7 a backend that greets without end is left when it has said 1 MiB", async () => {
  const { told, event } = await stage.refusedBy("plain", async (connection) => {
    await connection.receiveUntyped();
    await connection.send(ok);
    const greeting = notice("x".repeat(10_000));
    for (let count = 0; count < 200 && connection.ending === undefined; count++) {
      await connection.send(greeting);
    }
  });
  assert.deepEqual(told, fatal("08P01", 'backend "plain" broke the protocol of the login'));
  assert.match(event.reason!, /too much/);
});

stage.attack("B7 a message of 2 GiB during login is refused by its length", async () => {
  const { told, durationMs } = await stage.refusedBy("plain", async (connection) => {
    await connection.receiveUntyped();
    await connection.send(ok, typed("S", new Uint8Array(), 2 ** 31 - 1));
  });
  assert.deepEqual(told, fatal("08P01", 'backend "plain" broke the protocol of the login'));
  assert.ok(durationMs < 1_000, `${durationMs} ms`);
});

/** Whether a count has been the same for 300 ms. */
function stoodStill(count: () => number): () => boolean {
  let seen = { count: count(), sinceMs: performance.now() };
  return () => {
    if (count() !== seen.count) seen = { count: count(), sinceMs: performance.now() };
    return performance.now() - seen.sinceMs > 300;
  };
}
