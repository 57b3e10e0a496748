import assert from "node:assert/strict";
import { CancelKeys } from "../../lib/relay/cancel_keys.ts";

const session = { cancelQuery: () => Promise.resolve() };

Deno.test("A7 issue() makes a key of 4 bytes for protocol 3.0 and of 32 for 3.2", () => {
  const keys = new CancelKeys();
  assert.equal(keys.issue(session, "127.0.0.1", { major: 3, minor: 0 }).keyData.secretKey.length, 4);
  assert.equal(keys.issue(session, "127.0.0.1", { major: 3, minor: 2 }).keyData.secretKey.length, 32);
});

Deno.test("find() gives the session of a key", () => {
  const keys = new CancelKeys();
  const { processId, secretKey } = keys.issue(session, "127.0.0.1", { major: 3, minor: 2 }).keyData;
  assert.equal(keys.find({ processId, secretKey, clientAddress: "127.0.0.1" }), session);
});

Deno.test.each<[string, (key: Uint8Array) => Uint8Array, string]>([
  ["a wrong key", (key) => key.map((byte) => byte ^ 1), "127.0.0.1"],
  ["the beginning of the key", (key) => key.subarray(0, 4), "127.0.0.1"],
  ["a longer key", (key) => Uint8Array.of(...key, 0), "127.0.0.1"],
  ["another address", (key) => key, "127.0.0.2"],
])("S1 find() gives nothing for %s", (_name, alter, address) => {
  const keys = new CancelKeys();
  const { processId, secretKey } = keys.issue(session, "127.0.0.1", { major: 3, minor: 2 }).keyData;
  assert.equal(keys.find({ processId, secretKey: alter(secretKey), clientAddress: address }), undefined);
});

Deno.test("S1 find() gives nothing for a process id never issued", () => {
  assert.equal(
    new CancelKeys().find({ processId: 1, secretKey: new Uint8Array(4), clientAddress: "127.0.0.1" }),
    undefined,
  );
});

Deno.test("S1 find() gives nothing after the session has ended", () => {
  const keys = new CancelKeys();
  const key = keys.issue(session, "127.0.0.1", { major: 3, minor: 0 });
  key[Symbol.dispose]();
  assert.equal(keys.find({ ...key.keyData, clientAddress: "127.0.0.1" }), undefined);
  assert.equal(keys.size, 0);
});

Deno.test("issue() never gives two sessions one process id", () => {
  let draws = 0;
  // The first two draws of a process id are alike; the third is not.
  const keys = new CancelKeys({ fillRandom: (bytes) => void bytes.fill(draws++ < 4 ? 7 : 8) });
  const first = keys.issue(session, "127.0.0.1", { major: 3, minor: 0 }).keyData.processId;
  const second = keys.issue(session, "127.0.0.1", { major: 3, minor: 0 }).keyData.processId;
  assert.notEqual(first, second);
});
