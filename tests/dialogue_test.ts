import assert from "node:assert/strict";
import {
  answer,
  type Ask,
  type Dialogue,
  nothingBuffered,
  peekByte,
  question,
  receive,
  receiveByte,
  send,
} from "../lib/dialogue.ts";
import { query, terminate } from "../lib/wire/frontend.ts";

Deno.test("send() asks for its bytes to be sent", () => {
  const bytes = new Uint8Array([1]);
  assert.deepEqual(firstAsk(send(bytes)), { ask: "send", bytes });
});

Deno.test("receive() asks for one of the messages it names", () => {
  assert.deepEqual(firstAsk(receive<unknown>(query, terminate)), {
    ask: "receive",
    expected: [query, terminate],
  });
});

Deno.test("receive() returns the message it is given", () => {
  assert.deepEqual(resumed(receive(terminate), { kind: "Terminate" }), { kind: "Terminate" });
});

Deno.test("receiveByte() asks for a byte and returns it", () => {
  assert.deepEqual(firstAsk(receiveByte("SSLRequest")), { ask: "receiveByte", of: "SSLRequest" });
  assert.equal(resumed(receiveByte("SSLRequest"), 0x53), 0x53);
});

Deno.test("peekByte() returns null when the peer closes without a word", () => {
  assert.deepEqual(firstAsk(peekByte()), { ask: "peekByte" });
  assert.equal(resumed(peekByte(), null), null);
});

Deno.test("nothingBuffered() names the message behind which nothing may stand", () => {
  assert.deepEqual(firstAsk(nothingBuffered("SSLRequest")), { ask: "nothingBuffered", after: "SSLRequest" });
});

Deno.test("question() asks the outside, and returns its answer", () => {
  const verify = question<string, boolean>("verify");
  const dialogue = verify("a token");
  const ask = firstAsk(dialogue);
  assert.deepEqual([ask.ask, ask.ask === "question" && ask.input], ["question", "a token"]);
  assert.equal(resumed(verify("a token"), true), true);
});

Deno.test("question() carries its name", () => {
  assert.equal(question<void, void>("verify").question, "verify");
});

Deno.test("two questions of the same name are two", () => {
  const [one, other] = [question<void, void>("verify"), question<void, void>("verify")];
  const ask = firstAsk(one());
  assert.ok(ask.ask === "question" && ask.question === one && ask.question !== other);
});

Deno.test("answer() says who answers a question", () => {
  const double = question<number, number>("double");
  const { question: answered, by } = answer(double, (n) => n * 2);
  assert.deepEqual([answered, by(21)], [double, 42]);
});

Deno.test("a dialogue throws what its driver throws into it", () => {
  const dialogue = receive(terminate);
  dialogue.next();
  assert.throws(() => dialogue.throw(new Error("too late")), { message: "too late" });
});

function firstAsk(dialogue: Dialogue<unknown>): Ask {
  const { value, done } = dialogue.next();
  assert.equal(done, false);
  return value as Ask;
}

function resumed<T>(dialogue: Dialogue<T>, reply: unknown): T {
  dialogue.next();
  const { value, done } = dialogue.next(reply);
  assert.equal(done, true);
  return value as T;
}
