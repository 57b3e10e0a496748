import assert from "node:assert/strict";
import { waitUntil } from "./wait_until.ts";

Deno.test("waitUntil() returns the first truthy value", async () => {
  const values = [0, "", "third"];
  assert.equal(await waitUntil(() => values.shift(), { what: "the third value", intervalMs: 1 }), "third");
});

Deno.test("waitUntil() takes a thrown error for not yet", async () => {
  let calls = 0;
  const condition = () => {
    if (++calls < 3) throw new Error("not yet");
    return calls;
  };
  assert.equal(await waitUntil(condition, { what: "the third call", intervalMs: 1 }), 3);
});

Deno.test("waitUntil() says what it waited for, and why it was not there", async () => {
  const condition = () => {
    throw new Error("no such file");
  };
  await assert.rejects(waitUntil(condition, { what: "a file", timeoutMs: 5, intervalMs: 1 }), {
    message: "Waited in vain for a file (5 ms)",
    cause: new Error("no such file"),
  });
});
