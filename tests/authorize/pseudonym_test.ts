import assert from "node:assert/strict";
import { createHmac } from "node:crypto";
import fc from "fast-check";
import { pseudonym } from "../../lib/authorize/pseudonym.ts";
import { Secret } from "../../lib/secret.ts";

const KEY = new Secret("0123456789abcdef0123456789abcdef");
const NOON = Date.UTC(2026, 10, 22, 12);
const ALICE = { issuer: "corp", claim: "sub", value: "alice", nowMs: NOON };

Deno.test("pseudonym() is half of an HMAC-SHA-256 over the day, the issuer, the claim and its value", () => {
  const expected = createHmac("sha256", "0123456789abcdef0123456789abcdef")
    .update('["2026-11-22","corp","sub","alice"]').digest("hex").slice(0, 32);
  assert.equal(pseudonym(KEY, ALICE), expected);
});

Deno.test.each([
  ["the first moment of the day", Date.UTC(2026, 10, 22)],
  ["the last moment of the day", Date.UTC(2026, 10, 23) - 1],
])("pseudonym() is the same at %s", (_case, nowMs) => {
  assert.equal(pseudonym(KEY, { ...ALICE, nowMs }), pseudonym(KEY, ALICE));
});

Deno.test.each([
  ["the next day", { nowMs: Date.UTC(2026, 10, 23) }],
  ["the day before", { nowMs: Date.UTC(2026, 10, 22) - 1 }],
  ["another issuer", { issuer: "other" }],
  ["another claim", { claim: "jti" }],
  ["another value", { value: "bob" }],
  ["a part of the value in its issuer", { issuer: 'corp","sub', value: "alice" }],
])("pseudonym() is another for %s", (_case, change) => {
  assert.notEqual(pseudonym(KEY, { ...ALICE, ...change }), pseudonym(KEY, ALICE));
});

Deno.test("pseudonym() is another with another key", () => {
  assert.notEqual(pseudonym(new Secret("x".repeat(32)), ALICE), pseudonym(KEY, ALICE));
});

Deno.test("pseudonym() tells two values apart, and nothing of either", () => {
  const text = fc.oneof(fc.string(), fc.string({ unit: "binary" }));
  fc.assert(fc.property(text, text, (one, other) => {
    const of = (value: string) => pseudonym(KEY, { ...ALICE, value });
    assert.equal(of(one) === of(other), one === other);
    assert.match(of(one), /^[0-9a-f]{32}$/);
  }));
});
