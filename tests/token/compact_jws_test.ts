import assert from "node:assert/strict";
import fc from "fast-check";
import { parseCompactJws } from "../../lib/token/compact_jws.ts";
import { TokenRefused } from "../../lib/token/refused_token.ts";
import { encode } from "./fake_issuer.ts";

/** Texts that come close to a token. */
const nearly = fc.array(
  fc.oneof(
    fc.constantFrom(".", "..", "=", "e30", encode('{"alg":"ES256"}'), " ", "\0", "é"),
    fc.string({ maxLength: 8 }),
    fc.base64String({ maxLength: 16 }),
  ),
  { maxLength: 9 },
).map((parts) => parts.join(""));

Deno.test("parseCompactJws() gives a token or a TokenRefused for any text", () => {
  fc.assert(fc.property(nearly, (text) => {
    try {
      assert.equal(typeof parseCompactJws(text, 16384).header.alg, "string");
    } catch (error) {
      assert.ok(error instanceof TokenRefused);
    }
  }));
});

Deno.test("parseCompactJws() gives header and payload as they were written", () => {
  const payloads = fc.dictionary(fc.string(), fc.jsonValue({ maxDepth: 3 }));
  fc.assert(fc.property(fc.string(), fc.string(), payloads, (alg, kid, payload) => {
    const token = `${encode(JSON.stringify({ alg, kid }))}.${encode(JSON.stringify(payload))}.AA`;
    const expected = { header: { alg, kid, typ: undefined }, payload: JSON.parse(JSON.stringify(payload)) };
    assert.deepEqual(parseCompactJws(token, 16384), expected);
  }));
});

Deno.test("parseCompactJws() refuses every truncation that ends before the signature", () => {
  const token = `${encode('{"alg":"ES256"}')}.${encode('{"iss":"a"}')}.AA`;
  for (let length = 0; length < token.length - 1; length++) {
    assert.throws(() => parseCompactJws(token.slice(0, length), 16384), TokenRefused);
  }
});

Deno.test("T7 nothing of an over-long token is decoded", () => {
  const decode = Uint8Array.fromBase64;
  let decoded = 0;
  Uint8Array.fromBase64 = (...args) => {
    decoded++;
    return decode(...args);
  };
  try {
    const tooLong = `${"e30.".repeat(2)}${"A".repeat(100_000)}`;
    assert.throws(() => parseCompactJws(tooLong, 16384), { fault: "too_long" });
    assert.throws(() => parseCompactJws("e30.AA.AA.AA.AA", 16384), { fault: "encrypted" });
    assert.equal(decoded, 0);
  } finally {
    Uint8Array.fromBase64 = decode;
  }
});
