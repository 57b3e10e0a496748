import assert from "node:assert/strict";
import { isB64token } from "../lib/b64token.ts";

Deno.test.each(["a", "Az09-._~+/", "ey.J9", "a=", "a=="])("isB64token() takes %s", (text) => {
  assert.equal(isB64token(text), true);
});

Deno.test.each([
  ...["", "=", "a=b", "a b", "a\x01", "a\n", "a,b", 'a"', "ä", "\ud800"],
])("isB64token() takes no other text: %j", (text) => {
  assert.equal(isB64token(text), false);
});
