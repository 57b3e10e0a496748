import assert from "node:assert/strict";
import type { CancelClaim } from "../../lib/relay/cancel_keys.ts";
import type { MainCalls } from "../../lib/workers/calls.ts";
import { Line } from "../../lib/workers/line.ts";
import { issuerOf, SharedCancelKeys } from "../../lib/workers/shared_cancel_keys.ts";
import { PortInProcess } from "../support/threads_in_process.ts";

const ADDRESS = "192.0.2.7";
const VERSION = { major: 3, minor: 2 };

/** The keys of worker `index` of three, and what they ask the main thread. */
function keysOf(index: number, isKnownElsewhere = true) {
  const asked: [string, CancelClaim][] = [];
  const [main, worker] = PortInProcess.pair();
  new Line(main, {
    findCancel: (claim: CancelClaim) => {
      asked.push(["findCancel", claim]);
      return isKnownElsewhere;
    },
    cancel: (claim: CancelClaim) => void asked.push(["cancel", claim]),
  });
  const membership = { index, of: 3, connections: new SharedArrayBuffer(8) };
  return { keys: new SharedCancelKeys(new Line<MainCalls>(worker, {}), membership), asked };
}

const session = { cancelQuery: () => Promise.resolve() };

Deno.test.each([0, 1, 2])("worker %s issues process ids that lead to it alone", (index) => {
  const { keys } = keysOf(index);
  for (let count = 0; count < 200; count++) {
    const { processId } = keys.issue(session, ADDRESS, VERSION).keyData;
    assert.equal(issuerOf(processId, { of: 3 }), index);
    assert(processId > 0 && processId < 2 ** 31);
  }
});

Deno.test("find() gives a session of its own worker at once, and asks nobody", () => {
  const { keys, asked } = keysOf(1);
  const { processId, secretKey } = keys.issue(session, ADDRESS, VERSION).keyData;
  assert.equal(keys.find({ processId, secretKey, clientAddress: ADDRESS }), session);
  assert.deepEqual(asked, []);
});

Deno.test("S1 find() asks nobody about a wrong key of its own worker", () => {
  const { keys, asked } = keysOf(1);
  const { processId } = keys.issue(session, ADDRESS, VERSION).keyData;
  const claim = { processId, secretKey: new Uint8Array(32), clientAddress: ADDRESS };
  assert.equal(keys.find(claim), undefined);
  assert.deepEqual(asked, []);
});

Deno.test("find() gives a session of another worker, whose cancel goes there", async () => {
  const { keys, asked } = keysOf(1);
  const claim = { processId: 5, secretKey: Uint8Array.of(1, 2, 3, 4), clientAddress: ADDRESS };
  const found = await keys.find(claim);
  assert.deepEqual(asked, [["findCancel", claim]]);
  await found!.cancelQuery();
  assert.deepEqual(asked, [["findCancel", claim], ["cancel", claim]]);
});

Deno.test("find() tells others the key alone, and nothing of what it was read with", async () => {
  const { keys, asked } = keysOf(1);
  const read = Uint8Array.of(1, 2, 3, 4, 5, 6, 7, 8);
  const found = await keys.find({ processId: 5, secretKey: read.subarray(2, 6), clientAddress: ADDRESS });
  read.fill(0);
  await found!.cancelQuery();
  for (const [, { secretKey }] of asked) {
    assert.deepEqual(secretKey, Uint8Array.of(3, 4, 5, 6));
    assert.equal(secretKey.buffer.byteLength, 4);
  }
  assert.equal(asked.length, 2);
});

Deno.test("S1 find() gives nothing when the other worker knows no such key", async () => {
  const { keys } = keysOf(1, false);
  const claim = { processId: 5, secretKey: Uint8Array.of(1, 2, 3, 4), clientAddress: ADDRESS };
  assert.equal(await keys.find(claim), undefined);
});

Deno.test("S1 findOwn() asks nobody, whatever it is asked for", () => {
  const { keys, asked } = keysOf(1);
  const { processId, secretKey } = keys.issue(session, ADDRESS, VERSION).keyData;
  assert.equal(keys.findOwn({ processId, secretKey, clientAddress: ADDRESS }), session);
  assert.equal(keys.findOwn({ processId, secretKey, clientAddress: "192.0.2.8" }), undefined);
  assert.equal(keys.findOwn({ processId: 5, secretKey, clientAddress: ADDRESS }), undefined);
  assert.deepEqual(asked, []);
});

Deno.test.each([
  [0, 0],
  [1, 1],
  [5, 2],
  [-1, 0], // 4294967295
  [-2, 2],
  [-(2 ** 31), 2], // 2147483648
  [2 ** 31 - 1, 1],
])("S1 issuerOf(%s) is worker %s of three: every 32 bits lead to one", (processId, index) => {
  assert.equal(issuerOf(processId, { of: 3 }), index);
});

Deno.test("a key is worthless once it is disposed of", () => {
  const { keys } = keysOf(2);
  const key = keys.issue(session, ADDRESS, VERSION);
  key[Symbol.dispose]();
  assert.equal(keys.find({ ...key.keyData, clientAddress: ADDRESS }), undefined);
});
