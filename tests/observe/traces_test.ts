import assert from "node:assert/strict";
import { openTraces } from "../../lib/observe/traces.ts";

// What is exported where OTEL_DENO is true, tests/end_to_end/telemetry_test.ts shows: Deno reads it when it starts.
Deno.test("openTraces() observes nothing where Deno exports no traces", () => {
  assert.equal(openTraces(), undefined);
});
