import assert from "node:assert/strict";
import { parse } from "valibot";
import { limitsSchema } from "../../lib/limits/schema.ts";

Deno.test("limitsSchema bounds unauthenticated connections and failed logins unless told otherwise", () => {
  assert.deepEqual(parse(limitsSchema, {}), {
    connections: 0,
    connections_per_address: 0,
    connections_per_identity: 0,
    connections_per_network: [],
    unauthenticated: 1000,
    unauthenticated_per_address: 100,
    judged_per_address: 4,
    failed_logins: 10,
    failed_logins_window: 300_000,
    failed_logins_refused_for: 60_000,
    discoveries_per_minute: 600,
  });
});
