import assert from "node:assert/strict";
import { passwordMessage, terminate } from "../../lib/wire/frontend.ts";
import { decodeMessage, encodeMessage, typeByte } from "../../lib/wire/message.ts";
import { bytes } from "./bytes.ts";

Deno.test("typeByte() is the code of the letter", () => {
  assert.equal(typeByte("p"), 0x70);
});

Deno.test("decodeMessage() refuses a body that is not used up", () => {
  assert.throws(() => decodeMessage(passwordMessage, bytes("secret\0more")), {
    sqlstate: "08P01",
    message: "malformed PasswordMessage: it has 4 bytes too many",
  });
});

Deno.test("T17 decodeMessage() says nothing of the body in its error", () => {
  for (const body of [bytes("hunter2"), bytes("hunter2\0x"), bytes("hunter2", 0xff, 0)]) {
    assert.throws(
      () => decodeMessage(passwordMessage, body),
      (error: Error) => !error.message.includes("hunter2"),
    );
  }
});

Deno.test("encodeMessage() writes type byte, length and body", () => {
  assert.deepEqual([...encodeMessage(terminate, { kind: "Terminate" })], [0x58, 0, 0, 0, 4]);
});
