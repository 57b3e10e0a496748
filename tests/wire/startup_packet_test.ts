import assert from "node:assert/strict";
import { decodeMessage } from "../../lib/wire/message.ts";
import { startupPacket } from "../../lib/wire/startup_packet.ts";
import { bytes, type Field, int16, int32 } from "./bytes.ts";

const version3 = [...int16(3), ...int16(0)];
const cancelRequest = [...int16(1234), ...int16(5678)];

Deno.test.each<[string, readonly Field[], string]>([
  ["a name without a value", [version3, "user\0"], "has an unterminated string"],
  ["a name and a value but no final zero", [version3, "user\0alice\0"], "has an unterminated string"],
  ["no parameters and no final zero", [version3], "has an unterminated string"],
  ["a value without its zero", [version3, "user\0alice"], "has an unterminated string"],
  ["a parameter twice", [version3, "user\0alice\0user\0postgres\0", 0], "names a parameter twice"],
  ["a NUL in a value", [version3, "user\0al\0ice\0", 0], "has an unterminated string"],
  ["a NUL in a value that makes it end early", [version3, "user\0\0\0ice\0", 0], "has 5 bytes too many"],
  ["bytes behind the final zero", [version3, "user\0alice\0", 0, "x"], "has 1 bytes too many"],
  ["a name that is not UTF-8", [version3, 0xff, 0, "x\0", 0], "has a string that is not valid UTF-8"],
])("W10 a StartupMessage with %s is refused", (_case, body, what) => {
  assert.throws(() => decodeMessage(startupPacket, bytes(...body)), {
    sqlstate: "08P01",
    message: `malformed startup packet: it ${what}`,
  });
});

Deno.test("W10 a parameter called __proto__ is a parameter like any other", () => {
  const packet = decodeMessage(startupPacket, bytes(version3, "__proto__\0x\0", 0));
  assert.ok(packet.kind === "StartupMessage");
  assert.deepEqual([...packet.parameters], [["__proto__", "x"]]);
});

Deno.test.each([0, 1, 3, 257, 1000])("a CancelRequest with a key of %d bytes is refused", (length) => {
  assert.throws(
    () => decodeMessage(startupPacket, bytes(cancelRequest, int32(1), new Uint8Array(length))),
    { sqlstate: "08P01", message: "malformed startup packet: it has a cancel key of impossible length" },
  );
});

Deno.test.each([4, 32, 256])("a CancelRequest with a key of %d bytes is read", (length) => {
  const packet = decodeMessage(startupPacket, bytes(cancelRequest, int32(1), new Uint8Array(length)));
  assert.ok(packet.kind === "CancelRequest");
  assert.equal(packet.secretKey.length, length);
});

Deno.test.each(["SSLRequest", "GSSENCRequest"] as const)(
  "%s with bytes behind its code is refused",
  (kind) => {
    const code = kind === "SSLRequest" ? 5679 : 5680;
    assert.throws(() => decodeMessage(startupPacket, bytes(int16(1234), int16(code), 0)), {
      sqlstate: "08P01",
    });
  },
);
