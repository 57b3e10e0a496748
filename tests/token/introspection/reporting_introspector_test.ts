import assert from "node:assert/strict";
import type { Introspector } from "../../../lib/token/introspection/introspector.ts";
import { ReportingIntrospector } from "../../../lib/token/introspection/reporting_introspector.ts";
import { TokenRefused } from "../../../lib/token/refused_token.ts";

function answering(introspect: () => Promise<Record<string, unknown>>): Introspector {
  const done = () => Promise.resolve(undefined);
  return { rememberForMs: 5, introspect, probe: done, close: done };
}

Deno.test.each<[string, () => Promise<Record<string, unknown>>]>([
  ["active", () => Promise.resolve({ sub: "alice" })],
  ["inactive", () => Promise.reject(new TokenRefused("inactive", "It is not active"))],
  ["unavailable", () => Promise.reject(new TokenRefused("issuer_unavailable", "It does not answer"))],
  ["unavailable", () => Promise.reject(new Error("a bug"))],
])("introspect() tells that a token was found %s", async (expected, introspect) => {
  const outcomes: string[] = [];
  const introspector = new ReportingIntrospector(answering(introspect), (outcome) => outcomes.push(outcome));
  await introspector.introspect("token").catch(() => {});
  assert.deepEqual(outcomes, [expected]);
});

Deno.test("introspect() hands on what the introspector throws", async () => {
  const refusal = new TokenRefused("inactive", "It is not active");
  const introspector = new ReportingIntrospector(answering(() => Promise.reject(refusal)), () => {});
  await assert.rejects(introspector.introspect("token"), refusal);
  assert.equal(introspector.rememberForMs, 5);
});
