import assert from "node:assert/strict";
import { PgError } from "../../lib/errors.ts";
import { answerOf, type Calls, Line, LineDown, type LineOptions } from "../../lib/workers/line.ts";
import { TokenRefused } from "../../lib/token/refused_token.ts";
import { PortInProcess } from "../support/threads_in_process.ts";

/** What the far end may be asked in these tests. */
type Far = {
  readonly double: (number: number) => Promise<number>;
  readonly note: (text: string) => void;
  readonly fail: (about: null) => never;
  readonly wait: (about: null, signal: AbortSignal) => Promise<string>;
  readonly give: (about: null) => unknown;
};

/** Both ends of a line: `near` asks, `far` answers. */
function open(far: Partial<Far>, options?: LineOptions) {
  const [near, farPort] = PortInProcess.pair();
  return {
    near: new Line<Far>(near, {}),
    far: new Line<Calls>(farPort, far as Calls, options),
    nearPort: near,
    farPort,
  };
}

/** Settles when all that was posted has arrived, and what it led to. */
async function quiet(): Promise<void> {
  await new Promise((resolve) => setTimeout(resolve));
}

Deno.test("ask() gives what the other end answers, whichever answer is first", async () => {
  const waits = new Map<number, PromiseWithResolvers<number>>();
  const { near } = open({
    double: (number) => {
      waits.set(number, Promise.withResolvers());
      return waits.get(number)!.promise;
    },
  });
  const [one, two] = [near.ask("double", 1), near.ask("double", 2)];
  await quiet();
  waits.get(2)!.resolve(4);
  assert.equal(await two, 4);
  waits.get(1)!.resolve(2);
  assert.equal(await one, 2);
});

Deno.test("what is said first arrives first, asked or told", async () => {
  const heard: string[] = [];
  const { near } = open({
    note: (text) => void heard.push(text),
    double: (number) => {
      heard.push(String(number));
      return Promise.resolve(2 * number);
    },
  });
  near.tell("note", "a");
  const asked = near.ask("double", 1);
  near.tell("note", "b");
  await asked;
  await quiet();
  assert.deepEqual(heard, ["a", "1", "b"]);
});

Deno.test.each<[string, unknown, (error: unknown) => void]>([
  ["a PgError", new PgError("53300", "too many", { hint: "wait", reason: "why", fault: "f" }), (error) => {
    assert(error instanceof PgError);
    assert.deepEqual([error.sqlstate, error.message, error.hint], ["53300", "too many", "wait"]);
    assert.deepEqual([error.reason, error.fault, error.severity], ["why", "f", "FATAL"]);
  }],
  ["a TokenRefused", new TokenRefused("denied", "withdrawn"), (error) => {
    assert(error instanceof TokenRefused);
    assert.deepEqual([error.fault, error.message], ["denied", "withdrawn"]);
  }],
  ["any error", new TypeError("oh"), (error) => {
    assert.deepEqual([(error as Error).name, (error as Error).message], ["TypeError", "oh"]);
  }],
  ["no error at all", "a text", (error) => assert.equal(error, "a text")],
])("ask() throws %s that the call has thrown", async (_name, thrown, check) => {
  const { near } = open({
    fail: () => {
      throw thrown;
    },
  });
  await near.ask("fail", null).then(() => assert.fail("it was answered"), check);
});

Deno.test("ask() says so of a call that the other end does not know", async () => {
  await assert.rejects(open({}).near.ask("double", 1), /not a function/);
});

Deno.test("ask() rejects what cannot be cloned, and goes on", async () => {
  const { near } = open({ double: (number) => Promise.resolve(2 * number) });
  await assert.rejects(near.ask("double", (() => 1) as unknown as number), { name: "DataCloneError" });
  assert.equal(await near.ask("double", 4), 8);
});

Deno.test("an answer that cannot be cloned is a failure to whoever has asked", async () => {
  const { near } = open({ give: () => () => 1 });
  await assert.rejects(near.ask("give", null), { name: "DataCloneError" });
});

Deno.test("ask() is over at once when its signal aborts, and so is the other end's work", async () => {
  const work = Promise.withResolvers<AbortSignal>();
  const { near, nearPort } = open({
    wait: (_about, signal) => {
      work.resolve(signal);
      return new Promise(() => {});
    },
  });
  const patience = new AbortController();
  const asked = near.ask("wait", null, patience.signal);
  const signal = await work.promise;
  assert.equal(signal.aborted, false);
  patience.abort(new Error("no more patience"));
  await assert.rejects(asked, { message: "no more patience" });
  await quiet();
  assert.equal(signal.aborted, true);
  assert.deepEqual(nearPort.posted.at(-1), { kind: "nevermind", id: 1 });
});

Deno.test("ask() asks nothing when its signal has aborted before", async () => {
  const { near, nearPort } = open({});
  await assert.rejects(near.ask("wait", null, AbortSignal.abort(new Error("too late"))), {
    message: "too late",
  });
  assert.deepEqual(nearPort.posted, []);
});

Deno.test("an answer that crosses with its 'nevermind' harms nothing", async () => {
  const answer = Promise.withResolvers<string>();
  const { near, farPort } = open({ wait: () => answer.promise, double: (n) => Promise.resolve(2 * n) });
  const patience = new AbortController();
  const asked = near.ask("wait", null, patience.signal);
  await quiet();
  answer.resolve("late");
  patience.abort(new Error("no more patience"));
  await assert.rejects(asked, { message: "no more patience" });
  await quiet();
  assert.deepEqual(farPort.posted, [{ kind: "answer", id: 1, value: "late" }]);
  assert.equal(await near.ask("double", 3), 6);
});

Deno.test("a signal that aborts after the answer posts nothing", async () => {
  const { near, nearPort } = open({ wait: () => Promise.resolve("there") });
  const patience = new AbortController();
  assert.equal(await near.ask("wait", null, patience.signal), "there");
  patience.abort();
  await quiet();
  assert.equal(nearPort.posted.length, 1);
});

Deno.test("hangUp() rejects whatever was asked, aborts whatever is answered, and ends the line", async () => {
  const work = Promise.withResolvers<AbortSignal>();
  const done = Promise.withResolvers<string>();
  const heard: string[] = [];
  const { near, far, nearPort, farPort } = open({
    wait: (_about, signal) => {
      work.resolve(signal);
      return done.promise;
    },
    note: (text) => void heard.push(text),
  });
  const asked = [near.ask("wait", null), near.ask("wait", null)];
  const signal = await work.promise;
  near.tell("note", "on its way");
  far.hangUp("gone for good");
  near.hangUp("gone for good");
  for (const each of asked) await assert.rejects(each, (error) => error instanceof LineDown);
  assert.equal(signal.aborted, true);

  const posted = [nearPort.posted.length, farPort.posted.length];
  near.tell("note", "after");
  await assert.rejects(near.ask("wait", null), (error) => error instanceof LineDown);
  done.resolve("answered too late");
  await quiet();
  assert.deepEqual([nearPort.posted.length, farPort.posted.length], posted);
  // What it asks for, nobody would give back.
  assert.deepEqual(heard, []);
});

Deno.test("a call that fails when it is told is handed to whoever keeps the line, which goes on", async () => {
  const failures: unknown[] = [];
  const { near } = open({
    note: (text) => {
      throw new Error(text);
    },
    double: (number) => Promise.resolve(2 * number),
  }, { failed: (error) => void failures.push(error) });
  near.tell("note", "one");
  near.tell("note", "two");
  assert.equal(await near.ask("double", 1), 2);
  assert.deepEqual(failures.map((error) => (error as Error).message), ["one", "two"]);
});

Deno.test("a call that fails when it is told throws where nobody keeps the line: it ends a worker", () => {
  const { farPort } = open({
    note: (text) => {
      throw new Error(text);
    },
  });
  assert.throws(() => farPort.take({ kind: "tell", call: "note", about: "oh" }), { message: "oh" });
});

Deno.test("answerOf() gives null for whoever is gone, and throws everything else", async () => {
  assert.equal(await answerOf(Promise.resolve(3)), 3);
  assert.equal(await answerOf(Promise.reject(new LineDown("gone"))), null);
  await assert.rejects(answerOf(Promise.reject(new Error("oh"))), { message: "oh" });
});
