import assert from "node:assert/strict";
import { Carried, SessionCounts, together } from "../lib/session_tallies.ts";

const MAIN = { backend: "main", bytesIn: 1, bytesOut: 10, transactions: 100 };
const OTHER = { backend: "other", bytesIn: 2, bytesOut: 20, transactions: 200 };

Deno.test("SessionCounts counts those that do the same at the same backend", () => {
  const counts = new SessionCounts();
  counts.add({ backend: "main", state: "idle" });
  counts.add({ backend: "main", state: "active" });
  counts.add({ backend: "other", state: "idle" });
  counts.add({ backend: "main", state: "idle" }, 3);
  assert.deepEqual(counts.entries, [
    { backend: "main", state: "idle", count: 4 },
    { backend: "main", state: "active", count: 1 },
    { backend: "other", state: "idle", count: 1 },
  ]);
});

Deno.test("SessionCounts keeps apart backends whose names look like a state", () => {
  const counts = new SessionCounts();
  counts.add({ backend: 'main","idle', state: "active" });
  counts.add({ backend: "main", state: "idle" });
  assert.equal(counts.entries.length, 2);
});

Deno.test("Carried sums up what was carried at each backend", () => {
  const carried = new Carried();
  for (const each of [MAIN, OTHER, MAIN]) carried.add(each);
  assert.deepEqual(carried.entries, [
    { backend: "main", bytesIn: 2, bytesOut: 20, transactions: 200 },
    OTHER,
  ]);
});

Deno.test("Carried begins with what was before, and leaves that as it was", () => {
  const before = [{ ...MAIN }];
  const carried = new Carried(before);
  carried.add(MAIN);
  assert.deepEqual(carried.entries, [{ backend: "main", bytesIn: 2, bytesOut: 20, transactions: 200 }]);
  assert.deepEqual(before, [MAIN]);
});

Deno.test("Carried keeps nothing of a sum but its figures", () => {
  const carried = new Carried();
  const given = { ...MAIN, state: "idle" };
  carried.add(given);
  given.bytesIn = 50;
  assert.deepEqual(carried.entries, [MAIN]);
});

Deno.test("together() gives several censuses as one", () => {
  const census = together([
    { logins: 1, sessions: [{ backend: "main", state: "idle", count: 2 }], carried: [MAIN] },
    {
      logins: 2,
      sessions: [
        { backend: "main", state: "idle", count: 3 },
        { backend: "other", state: "active", count: 1 },
      ],
      carried: [MAIN, OTHER],
    },
  ]);
  assert.deepEqual(census, {
    logins: 3,
    sessions: [
      { backend: "main", state: "idle", count: 5 },
      { backend: "other", state: "active", count: 1 },
    ],
    carried: [{ backend: "main", bytesIn: 2, bytesOut: 20, transactions: 200 }, OTHER],
  });
});

Deno.test("together() of none is nothing", () => {
  assert.deepEqual(together([]), { logins: 0, sessions: [], carried: [] });
});
