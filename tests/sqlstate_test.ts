import assert from "node:assert/strict";
import { SQLSTATE } from "../lib/sqlstate.ts";

for (const [name, code] of Object.entries(SQLSTATE)) {
  Deno.test(`SQLSTATE.${name} is five digits or capital letters`, () => assert.match(code, /^[0-9A-Z]{5}$/));
}

Deno.test("SQLSTATE names no code twice", () => {
  const codes = Object.values(SQLSTATE);
  assert.equal(new Set(codes).size, codes.length);
});
