import assert from "node:assert/strict";
import { parse } from "valibot";
import { limitsSchema } from "../../lib/limits/schema.ts";

Deno.test("limitsSchema refuses ten failed logins in five minutes, for a minute, unless told otherwise", () => {
  assert.deepEqual(parse(limitsSchema, {}), {
    failed_logins: 10,
    failed_logins_window: 300_000,
    failed_logins_refused_for: 60_000,
    discoveries_per_minute: 600,
  });
});
