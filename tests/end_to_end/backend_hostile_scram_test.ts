import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import type { RawConnection } from "../support/raw_connection.ts";
import { authentication, concat, cString, loginIsComplete, text } from "../support/raw_messages.ts";
import { fatal } from "./backend_access.ts";
import { hostileStage } from "./backend_stage.ts";

const stage = hostileStage();

const sasl = authentication(10, concat(cString("SCRAM-SHA-256"), Uint8Array.of(0)));
const saslContinue = (message: string) => authentication(11, text(message));
const saslFinal = (message: string) => authentication(12, text(message));

/** Begins SCRAM and gives the nonce of the proxy. */
async function beginScram(connection: RawConnection): Promise<string> {
  await connection.receiveUntyped();
  await connection.send(sasl);
  const { body } = await connection.receiveMessage();
  return /r=(.*)$/.exec(new TextDecoder().decode(body))![1];
}

/** Plays SCRAM up to a challenge that must not be answered. */
function challenged(by: (nonce: string) => string) {
  return stage.refusedBy("scram", async (connection) => {
    await connection.send(saslContinue(by(await beginScram(connection))));
  });
}

for (const iterations of [2 ** 31, 2 ** 31 - 1, 10_000_000, 4095, 1]) {
  stage.attack(`B1 ${iterations} SCRAM iterations are refused at once`, async () => {
    const { told, heard, event, durationMs } = await challenged((nonce) =>
      `r=${nonce}x,s=c2FsdA==,i=${iterations}`
    );
    assert.deepEqual(told, fatal("08P01", 'backend "scram" broke the protocol of the login'));
    assert.match(event.reason!, /iterations/);
    assert.equal(heard.length, 0);
    assert.ok(durationMs < 1_000, `${durationMs} ms`);
  });
}

stage.attack("B1 the most SCRAM iterations that are answered leave the event loop free", async () => {
  const lag = measureLag();
  const { heard } = await stage.refusedBy("scram", async (connection) => {
    const nonce = await beginScram(connection);
    lag.begin();
    await connection.send(saslContinue(`r=${nonce}x,s=c2FsdA==,i=1000000`));
    await connection.receiveMessage(); // it has been computed
    lag.end();
    connection.end();
  });
  assert.equal(heard.length, 0);
  assert.ok(
    lag.longestMs < lag.durationMs / 2,
    `it stood still for ${lag.longestMs} of ${lag.durationMs} ms`,
  );
});

for (
  const [what, challenge] of [
    ["that does not begin with ours", () => "r=AAAAAAAAAAAAAAAAAAAAAAAAx,s=c2FsdA==,i=4096"],
    ["that is ours alone", (nonce) => `r=${nonce},s=c2FsdA==,i=4096`],
    ["of 300 bytes", (nonce) => `r=${nonce.padEnd(300, "x")},s=c2FsdA==,i=4096`],
    ["of 10 kB", (nonce) => `r=${nonce}${"x".repeat(10_000)},s=c2FsdA==,i=4096`],
  ] as const satisfies readonly (readonly [string, (nonce: string) => string])[]
) {
  stage.attack(`B2 a SCRAM nonce ${what} is refused, and nothing is sent after`, async () => {
    const { told, heard } = await challenged(challenge);
    assert.deepEqual(told, fatal("08P01", 'backend "scram" broke the protocol of the login'));
    assert.equal(heard.length, 0);
  });
}

stage.attack("B2 an empty SCRAM salt is refused, and nothing is sent after", async () => {
  const { told, heard, event } = await challenged((nonce) => `r=${nonce}x,s=,i=4096`);
  assert.deepEqual(told, fatal("08P01", 'backend "scram" broke the protocol of the login'));
  assert.match(event.reason!, /salt/);
  assert.equal(heard.length, 0);
});

for (
  const [what, outcome] of [
    ["that is wrong", [saslFinal(`v=${randomBytes(32).toString("base64")}`), loginIsComplete()]],
    ["that is empty", [saslFinal("v="), loginIsComplete()]],
    ["that is missing", [saslFinal(""), loginIsComplete()]],
    ["skipped by AuthenticationOk", [loginIsComplete()]],
  ] as const
) {
  stage.attack(`B2 a SCRAM server signature ${what} is refused, and nothing is sent after`, async () => {
    const { told, heard } = await stage.refusedBy("scram", async (connection) => {
      const nonce = await beginScram(connection);
      await connection.send(saslContinue(`r=${nonce}x,s=c2FsdA==,i=4096`));
      await connection.receiveMessage(); // our proof
      await connection.send(...outcome);
    });
    assert.deepEqual(told, fatal("08P01", 'backend "scram" broke the protocol of the login'));
    assert.equal(heard.length, 0);
  });
}

stage.attack(
  "B2 AuthenticationOk in place of the SCRAM challenge is refused, and nothing is sent after",
  async () => {
    const { told, heard } = await stage.refusedBy("scram", async (connection) => {
      await beginScram(connection);
      await connection.send(loginIsComplete());
    });
    assert.deepEqual(told, fatal("08P01", 'backend "scram" broke the protocol of the login'));
    assert.equal(heard.length, 0);
  },
);

/** Measures how long the event loop lets a timer of 1 ms wait, at most. */
function measureLag() {
  let timer: ReturnType<typeof setInterval>;
  let startedMs = 0;
  let lastMs = 0;
  const lag = { longestMs: 0, durationMs: 0, begin, end };
  function begin(): void {
    startedMs = lastMs = performance.now();
    timer = setInterval(tick, 1);
  }
  function tick(): void {
    lag.longestMs = Math.max(lag.longestMs, performance.now() - lastMs);
    lastMs = performance.now();
  }
  function end(): void {
    clearInterval(timer);
    tick();
    lag.durationMs = performance.now() - startedMs;
  }
  return lag;
}
