import assert from "node:assert/strict";
import { Console } from "node:console";
import { Writable } from "node:stream";
import { format, inspect } from "node:util";
import { Secret } from "../lib/secret.ts";

const secret = new Secret("hunter2");

Deno.test("Secret.reveal() gives the value", () => {
  assert.equal(secret.reveal(), "hunter2");
});

Deno.test.each<[string, () => string]>([
  ["String()", () => String(secret)],
  ["a template string", () => `${secret}`],
  ["concatenation", () => "" + secret],
  ["Array.join()", () => [secret].join()],
  ["node:util inspect()", () => inspect(secret)],
  ["node:util format()", () => format("%s", secret)],
  ["Deno.inspect()", () => Deno.inspect(secret)],
])("T17 Secret in %s is [secret]", (_where, print) => {
  assert.equal(print(), "[secret]");
});

Deno.test.each<[string, () => string]>([
  ["JSON", () => JSON.stringify({ password: secret })],
  ["console.log()", () => consoleLog({ password: secret })],
  ["console.log() of a Map", () => consoleLog(new Map([["password", secret]]))],
  ["console.log() of an error", () => consoleLog(Object.assign(new Error("failed"), { password: secret }))],
  [
    "console.log() of an error's cause",
    () => consoleLog(new Error("failed", { cause: { password: secret } })),
  ],
  [
    "node:util inspect() with hidden fields",
    () => inspect({ password: secret }, { showHidden: true, depth: 9 }),
  ],
  [
    "Deno.inspect() with hidden fields",
    () => Deno.inspect({ password: secret }, { showHidden: true, depth: 9 }),
  ],
  ["an error's message", () => new Error(`cannot log in with ${secret}`).message],
])("T17 Secret in %s shows as [secret] and nothing of its value", (_where, print) => {
  const printed = print();
  assert.match(printed, /\[secret\]/);
  assert.doesNotMatch(printed, /hunter2/);
});

Deno.test.each<[string, () => unknown]>([
  ["its own properties", () => Reflect.ownKeys(secret)],
  ["a spread", () => ({ ...secret })],
  ["a structured clone", () => structuredClone(secret)],
  ["its entries", () => Object.entries(secret)],
])("T17 Secret gives nothing away in %s", (_where, take) => {
  assert.doesNotMatch(Deno.inspect(take(), { showHidden: true }), /hunter2/);
});

/** What console.log() writes: printed to a stream of our own by the Console that libraries may print with too. */
function consoleLog(value: unknown): string {
  const printed: Uint8Array[] = [];
  const stdout = new Writable({
    write(chunk, _encoding, done) {
      printed.push(chunk);
      done();
    },
  });
  new Console({ stdout }).log(value);
  return printed.map((chunk) => new TextDecoder().decode(chunk)).join("");
}
