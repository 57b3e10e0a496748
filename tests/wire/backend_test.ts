import assert from "node:assert/strict";
import { dataRow, negotiateProtocolVersion, readyForQuery } from "../../lib/wire/backend.ts";
import { decodeMessage, type Message } from "../../lib/wire/message.ts";
import { bytes, type Field, int16, int32 } from "./bytes.ts";

Deno.test.each<[string, number, number]>([
  ["the minor version alone", 2, 2],
  ["the whole version, as PostgreSQL does", (3 << 16) | 2, 2],
  ["version 3.0", 3 << 16, 0],
])("NegotiateProtocolVersion may carry %s", (_case, field, minorVersion) => {
  const { minorVersion: decoded } = decodeMessage(negotiateProtocolVersion, bytes(int32(field), int32(0)));
  assert.equal(decoded, minorVersion);
});

Deno.test.each<[string, Message<unknown>, readonly Field[], string]>([
  ["a version 2", negotiateProtocolVersion, [int32(2 << 16), int32(0)], "names another major version"],
  ["a version 4", negotiateProtocolVersion, [int32(4 << 16), int32(0)], "names another major version"],
  ["a negative version", negotiateProtocolVersion, [int32(-1), int32(0)], "names another major version"],
  [
    "more options than bytes",
    negotiateProtocolVersion,
    [int32(2), int32(9)],
    "counts more options than it holds",
  ],
  [
    "2^31 - 1 options",
    negotiateProtocolVersion,
    [int32(2), int32(0x7fff_ffff)],
    "counts more options than it holds",
  ],
  [
    "less than no options",
    negotiateProtocolVersion,
    [int32(2), int32(-1)],
    "counts more options than it holds",
  ],
  ["more values than bytes", dataRow, [int16(2), int32(-1)], "counts more values than it holds"],
  ["less than no values", dataRow, [int16(-1)], "counts more values than it holds"],
  ["a value of length -2", dataRow, [int16(1), int32(-2)], "ends too early"],
  ["an unknown transaction status", readyForQuery, ["X"], "has an unknown transaction status"],
])("a backend message with %s is refused", (_case, message, body, what) => {
  assert.throws(() => decodeMessage(message, bytes(...body)), {
    sqlstate: "08P01",
    message: `malformed ${message.name}: it ${what}`,
  });
});
