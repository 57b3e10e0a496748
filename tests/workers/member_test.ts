import assert from "node:assert/strict";
import { Limits } from "../../lib/limits/limits.ts";
import type { WorkerCensus } from "../../lib/workers/calls.ts";
import { Line } from "../../lib/workers/line.ts";
import { type Loss, Member, messageOf, type Thread } from "../../lib/workers/member.ts";
import { limits } from "../limits/settings.ts";
import { ManualClock } from "../support/manual_clock.ts";
import { PortInProcess } from "../support/threads_in_process.ts";

/** A member whose worker answers as told; `lags` are those of its event loop since it was asked last. */
function open(answer: () => WorkerCensus | Promise<WorkerCensus>) {
  const clock = new ManualClock(0);
  const losses: Loss[] = [];
  const [main, worker] = PortInProcess.pair();
  const thread: Thread = {
    postMessage: (message) => main.postMessage(message),
    addEventListener: (type: string, listener: never) =>
      type === "error" ? undefined : main.addEventListener(type as "message" | "messageerror", listener),
    terminate: () => main.isCut = true,
  };
  new Line(worker, { census: answer });
  const member = new Member({
    index: 0,
    startThread: () => thread,
    limits: new Limits(limits(), clock.now),
    tokensOf: () => assert.fail("nobody asks about a token"),
    observe: () => {},
    lineTo: () => undefined,
    now: clock.now,
    after: clock.after,
    lost: (_member, loss) => void losses.push(loss),
  });
  return { clock, member, losses, main };
}

function census(lagsSeconds: readonly number[] = [], logins = 0): WorkerCensus {
  return { logins, sessions: [], carried: [], workers: { heapBytes: 5, lagsSeconds } };
}

/** Settles when all that was asked is answered. */
async function quiet(): Promise<void> {
  await new Promise((resolve) => setTimeout(resolve));
}

Deno.test("each lateness of a worker's event loop is told once, whoever has asked for it", async () => {
  let count = 0;
  const { clock, member } = open(() => census([++count]));
  clock.advance(10_000);
  await quiet();
  await member.askCensus();
  assert.deepEqual(member.takeLags(), [1, 2]);
  assert.deepEqual(member.takeLags(), []);
  assert.equal(member.lastCensus.workers.heapBytes, 5);
  member.end("over");
});

Deno.test("no lateness is lost when two ask at the same time", async () => {
  let count = 0;
  const { member } = open(() => census([++count]));
  await Promise.all([member.askCensus(), member.askCensus()]);
  assert.deepEqual(member.takeLags(), [1, 2]);
  member.end("over");
});

Deno.test("what nobody asks for takes no more memory with time", async () => {
  const { clock, member } = open(() => census(new Array(400).fill(0.5)));
  for (let look = 0; look < 10; look++) {
    clock.advance(10_000);
    await quiet();
  }
  assert.equal(member.takeLags().length, 1_000);
  member.end("over");
});

Deno.test("a worker that is ended is looked at no more, and is not told of as lost", async () => {
  const { clock, member, losses } = open(() => new Promise(() => {}));
  member.end("over");
  assert.equal(clock.timerCount, 0);
  member.lose("lost");
  assert.deepEqual(losses, []);
  await assert.rejects(member.line.ask("census", null), { name: "LineDown" });
});

Deno.test("what is said last of a worker that does not answer stays", async () => {
  let isSilent = false;
  const { clock, member } = open(() => isSilent ? new Promise(() => {}) : census([], 7));
  await member.askCensus();
  isSilent = true;
  const asked = member.askCensus();
  clock.advance(2_000);
  await asked;
  assert.equal(member.lastCensus.logins, 7);
  member.end("over");
});

Deno.test("a worker that answers with a failure has answered", async () => {
  const { clock, member, losses } = open(() => Promise.reject(new Error("not yet")));
  for (let look = 0; look < 6; look++) {
    clock.advance(10_000);
    await quiet();
  }
  assert.deepEqual(losses, []);
  member.end("over");
});

Deno.test("a worker that says what cannot be read is lost: nobody would ever answer it", async () => {
  const { member, losses, main } = open(() => census());
  main.takeSpoiled();
  assert.deepEqual(losses, [
    { reason: "it was not understood: a message could not be read", connections: 0, isStuck: false },
  ]);
  await assert.rejects(member.line.ask("census", null), { name: "LineDown" });
});

Deno.test("whatever is thrown has a message", () => {
  assert.deepEqual([messageOf(new Error("oh")), messageOf("text")], ["oh", "text"]);
});
