import assert from "node:assert/strict";
import { errorResponse } from "../../lib/wire/error_response.ts";
import { decodeMessage } from "../../lib/wire/message.ts";
import { bytes } from "./bytes.ts";
import { encodeBody } from "./messages.ts";

Deno.test("ErrorResponse leaves out fields of letters it does not know", () => {
  const decoded = decodeMessage(errorResponse, bytes("Mno\0", "?what\0", "_proto\0", 0));
  assert.deepEqual(decoded, { kind: "ErrorResponse", message: "no" });
});

Deno.test("B4 ErrorResponse without SQLSTATE or any field is tolerated", () => {
  assert.deepEqual(decodeMessage(errorResponse, bytes(0)), { kind: "ErrorResponse" });
});

Deno.test("ErrorResponse in another encoding is read as far as it can be", () => {
  assert.equal(decodeMessage(errorResponse, bytes("M", 0xe9, 0, 0)).message, "\ufffd");
});

Deno.test("ErrorResponse does not encode fields that are undefined", () => {
  assert.deepEqual(encodeBody(errorResponse, { kind: "ErrorResponse", detail: undefined }), bytes(0));
});

Deno.test("ErrorResponse refuses to encode a text that would begin another field", () => {
  assert.throws(
    () => encodeBody(errorResponse, { kind: "ErrorResponse", message: "no\0Hdo this" }),
    RangeError,
  );
});
