import assert from "node:assert/strict";
import { nearest } from "../../lib/config/suggestion.ts";

const KEYS = ["address", "certificate", "private_key", "login_timeout", "name", "url"];

Deno.test.each([
  ["adress", "address"],
  ["adderss", "address"],
  ["ADDRESS", "address"],
  ["certifcate", "certificate"],
  ["private-key", "private_key"],
  ["privatekey", "private_key"],
  ["logintimeout", "login_timeout"],
  ["nmae", "name"],
  ["uri", "url"],
  ["metrics", undefined],
  ["xyz", undefined],
  ["", undefined],
  ["a".repeat(10_000), undefined],
])("nearest() of %s is %s", (name, expected) => {
  assert.equal(nearest(name!, KEYS), expected);
});

Deno.test("nearest() takes the nearest, not the first", () => {
  assert.equal(nearest("password_fil", ["password_env", "password_file"]), "password_file");
});

Deno.test("nearest() has nothing to say where a name shares nothing with any", () => {
  assert.equal(nearest("c", ["b"]), undefined);
});
