import assert from "node:assert/strict";
import { saltedPassword } from "../../lib/connect/salted_password.ts";
import { preparePassword } from "../../lib/connect/saslprep.ts";
import { Secret } from "../../lib/secret.ts";

Deno.test("saltedPassword() is that of the prepared password", async () => {
  const salting = { salt: Uint8Array.of(1, 2, 3), iterations: 4096 };
  const prepared = await saltedPassword({ password: new Secret("pencil"), ...salting });
  assert.deepEqual(await saltedPassword({ password: new Secret("pen\u00adcil"), ...salting }), prepared);
  assert.notDeepEqual(await saltedPassword({ password: new Secret("pen-cil"), ...salting }), prepared);
});

Deno.test.each([
  { case: "maps a soft hyphen to nothing", password: "I\u00adX", prepared: "IX" },
  { case: "normalizes by NFKC", password: "\u2168", prepared: "IX" },
  { case: "maps a no-break space to a space", password: "a\u00a0b", prepared: "a b" },
  { case: "keeps what is prohibited as it is", password: "\u0007\u00ad", prepared: "\u0007\u00ad" },
  { case: "keeps mixed directions as they are", password: "\u0627\u0031", prepared: "\u0627\u0031" },
  { case: "never makes it empty", password: "\u00ad", prepared: "\u00ad" },
  { case: "keeps ASCII control characters", password: "a\tb", prepared: "a\tb" },
])("preparePassword() $case, as PostgreSQL does", async ({ password, prepared }) => {
  assert.equal((await preparePassword(new Secret(password))).reveal(), prepared);
});
