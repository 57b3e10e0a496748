import assert from "node:assert/strict";
import { getReadyToPrepare } from "../../lib/connect/saslprep.ts";
import { Secret } from "../../lib/secret.ts";
Deno.test.each<[passwords: readonly (string | undefined)[], isNeeded: boolean]>([
  [[], false],
  [[undefined, "secret"], false],
  [["secret", "pässwort"], true],
])("getReadyToPrepare() of %j reads the tables: %o", async (passwords, isNeeded) => {
  let reads = 0;
  const secrets = passwords.map((password) => password === undefined ? undefined : new Secret(password));
  await getReadyToPrepare(secrets, () => Promise.resolve(reads++));
  assert.equal(reads > 0, isNeeded);
});
