import assert from "node:assert/strict";
import fc from "fast-check";
import { encodeMessage } from "../../lib/wire/message.ts";
import { BACKEND_NAMES, FRONTEND_NAMES } from "../../lib/wire/message_names.ts";
import { type Direction, traceFrame } from "../../lib/wire/trace.ts";
import { arbitraries } from "./arbitraries.ts";
import { bytes, type Field, int16, int32 } from "./bytes.ts";
import { goldenBytes } from "./golden_bytes.ts";
import { messages } from "./messages.ts";

Deno.test.each<[Direction, readonly Field[], string]>([
  ["F", [int32(8), int16(1234), int16(5679)], "F\t8\tSSLRequest\t 1234 5679"],
  ["F", [int32(8), int16(1234), int16(5680)], "F\t8\tGSSENCRequest\t 1234 5680"],
  ["B", ["S"], "B\t1\tSSLResponse\t S"],
  ["B", ["G"], "B\t1\tGSSENCResponse\t G"],
  ["B", ["N"], "B\t1\tSSLResponse or GSSENCResponse\t N"],
  [
    "F",
    [int32(20), int16(3), int16(2), "user\0alice\0", 0],
    'F\t20\tStartupMessage\t 3 2 "user" "alice"',
  ],
  ["F", [int32(8), int16(2), int16(0)], "F\t8\tStartupMessage\t 2 0"],
  ["B", ["R", int32(8), int32(0)], "B\t8\tAuthenticationOk"],
  ["B", ["R", int32(8), int32(3)], "B\t8\tAuthenticationCleartextPassword"],
  ["B", ["R", int32(8), int32(7)], "B\t8\tAuthenticationGSS"],
  ["B", ["R", int32(8), int32(99)], "B\t8\tUnknown authentication message 99"],
  [
    "B",
    ["R", int32(23), int32(10), "SCRAM-SHA-256\0", 0],
    'B\t23\tAuthenticationSASL\t "SCRAM-SHA-256" ""',
  ],
  ["B", ["S", int32(13), "a\0", "UTF-8\0", 0x62], "B\t13\tParameterStatus\t malformed"],
  ["B", ["S", int32(12), "a\0", "UTF-8\0"], 'B\t12\tParameterStatus\t "a" "UTF-8"'],
  ["B", ["v", int32(15), int32(2), int32(1), "_p\0"], 'B\t15\tNegotiateProtocolVersion\t 2 1 "_p"'],
  ["B", ["Z", int32(5), "I"], "B\t5\tReadyForQuery\t I"],
  ["F", ["Q", int32(13), "select 1\0"], "F\t13\tQuery"],
  ["F", ["X", int32(4)], "F\t4\tTerminate"],
  ["F", ["S", int32(4)], "F\t4\tSync"],
  ["B", ["D", int32(6), int16(0)], "B\t6\tDataRow"],
  ["F", ["?", int32(4)], 'F\t4\tUnknown message: "?"'],
  ["B", [0x9b, int32(4)], "B\t4\tUnknown message: 0x9b"],
])("traceFrame() of %s %j is %j", (direction, fields, line) => {
  assert.equal(traceFrame(direction, bytes(...fields)), line);
});

Deno.test("traceFrame() shows severity, SQLSTATE and message of an error, and that there is more", () => {
  const error = bytes("E", int32(33), "SFATAL\0", "C28P01\0", "Mno\0", "Da row\0", "X?\0", 0);
  assert.equal(
    traceFrame("B", error),
    'B\t33\tErrorResponse\t S "FATAL" C "28P01" M "no" D "SSSS" X "SSSS" \\x00',
  );
});

Deno.test.each<[string, Direction, readonly Field[], string]>([
  ["a password", "F", ["p", int32(12), "hunter2\0"], 'F\t12\tPasswordMessage\t "SSSS"'],
  ["a password without its zero", "F", ["p", int32(11), "hunter2"], "F\t11\tSASLResponse\t 'BBBB'"],
  [
    "a password that looks like a mechanism",
    "F",
    ["p", int32(16), "hunter2\0", int32(-1)],
    'F\t16\tSASLInitialResponse\t "SSSS" -1',
  ],
  [
    "a token",
    "F",
    ["p", int32(27), "OAUTHBEARER\0", int32(7), "hunter2"],
    "F\t27\tSASLInitialResponse\t \"OAUTHBEARER\" 7 'BBBB'",
  ],
  ["SASL data of the client", "F", ["p", int32(13), "p=hunter2"], "F\t13\tSASLResponse\t 'BBBB'"],
  [
    "SASL data of the server",
    "B",
    ["R", int32(17), int32(11), "s=hunter2"],
    "B\t17\tAuthenticationSASLContinue\t 'BBBB'",
  ],
  [
    "a server signature",
    "B",
    ["R", int32(17), int32(12), "v=hunter2"],
    "B\t17\tAuthenticationSASLFinal\t 'BBBB'",
  ],
  ["a salt", "B", ["R", int32(12), int32(5), "hunt"], "B\t12\tAuthenticationMD5Password\t 'BBBB'"],
  ["GSSAPI data", "B", ["R", int32(15), int32(8), "hunter2"], "B\t15\tAuthenticationGSSContinue"],
  ["a cancel key", "B", ["K", int32(15), int32(42), "hunter2"], "B\t15\tBackendKeyData\t 42 'BBBB'"],
  [
    "a CancelRequest",
    "F",
    [int32(19), int16(1234), int16(5678), int32(42), "hunter2"],
    "F\t19\tCancelRequest\t 1234 5678 42 'BBBB'",
  ],
  [
    "a startup parameter of an unusual name",
    "F",
    [int32(26), int16(3), int16(0), "password\0hunter2\0", 0],
    'F\t26\tStartupMessage\t 3 0 "password" "SSSS"',
  ],
])("T17 traceFrame() never shows %s", (_what, direction, fields, line) => {
  assert.equal(traceFrame(direction, bytes(...fields)), line);
});

Deno.test("T17 traceFrame() shows nothing of what a client answers, whatever its shape", () => {
  const secret = fc.string({
    unit: fc.constantFrom("s", "e", "c", "\0", "\x01"),
    minLength: 5,
    maxLength: 30,
  })
    .filter((text) => /[sec]{3}/.test(text));
  fc.assert(fc.property(secret, (text) => {
    const body = bytes(text);
    const printed = traceFrame("F", bytes("p", int32(body.length + 4), body)).split("\t").slice(3).join("");
    assert.doesNotMatch(printed, /[sec]{3}/);
  }));
});

Deno.test.each([
  ["a newline", "a\nb", "a\\x0ab"],
  ["an escape sequence", "\x1b[2Jx", "\\x1b[2Jx"],
  ["a mark that turns text around", "a\u202eb", "a\\xe2\\x80\\xaeb"],
  ["a quote and a backslash", 'a"\\', 'a\\"\\\\'],
  ["a letter beyond ASCII", "é", "\\xc3\\xa9"],
])("W16 traceFrame() escapes %s", (_what, user, shown) => {
  const body = bytes(int16(3), int16(0), "user\0", user, 0, 0);
  const line = traceFrame("F", bytes(int32(body.length + 4), body));
  assert.equal(line.split("\t")[3], ` 3 0 "user" "${shown}"`);
});

Deno.test("W16 traceFrame() cuts a long string", () => {
  const body = bytes(int16(3), int16(0), "user\0", "a".repeat(9000), 0, 0);
  const line = traceFrame("F", bytes(int32(body.length + 4), body));
  assert.equal(line.split("\t")[3], ` 3 0 "user" "${"a".repeat(200)}"...`);
});

Deno.test("W16 traceFrame() cuts a long list", () => {
  const names = Array.from({ length: 500 }, (_, n) => `${n}\0`).join("");
  const body = bytes(int16(3), int16(0), names, 0);
  const line = traceFrame("F", bytes(int32(body.length + 4), body));
  assert.match(line, / \.\.\.$/);
  assert.ok(line.length < 1000);
});

Deno.test.each<[string, readonly Field[], string]>([
  ["nothing", [], "F\t0\tUnknown message\t malformed"],
  ["half a header", ["Q", 0, 0], "F\t3\tUnknown message\t malformed"],
  ["a message cut short", ["Q", int32(13), "sel"], "F\t13\tQuery\t malformed"],
  ["a message with more behind it", ["X", int32(4), "X"], "F\t4\tTerminate\t malformed"],
  ["a negative length", ["Q", int32(-1)], "F\t-1\tQuery\t malformed"],
  ["a startup packet of nothing", [int32(4)], "F\t4\tStartupMessage\t malformed"],
])("traceFrame() says that %s is malformed", (_what, fields, line) => {
  assert.equal(traceFrame("F", bytes(...fields)), line);
});

Deno.test("traceFrame() reads a message that is a view into a larger buffer", () => {
  assert.equal(traceFrame("F", bytes("....X", int32(4)).subarray(4)), "F\t4\tTerminate");
});

Deno.test("traceFrame() gives one line of printable text for any bytes", () => {
  const anyBytes = fc.oneof(
    fc.uint8Array({ maxLength: 100 }),
    ...messages.map((message) =>
      (arbitraries[message.name] ?? fc.constant({})).map((value) => encodeMessage(message, value))
    ),
  );
  fc.assert(
    fc.property(fc.constantFrom<Direction>("F", "B"), anyBytes, (direction, frame) => {
      assert.match(traceFrame(direction, frame), /^[FB]\t-?\d+\t[\t\x20-\x7e]+$/);
    }),
    { numRuns: 500 },
  );
});

Deno.test("traceFrame() calls the messages of lib/wire/ by their names", () => {
  for (const message of messages.filter(({ name }) => name !== "startup packet")) {
    const { value, bytes } = goldenBytes[message.name][0];
    const lines = (["F", "B"] as const).map((direction) => traceFrame(direction, bytes));
    assert.ok(
      lines.some((line) => line.split("\t")[2] === value.kind),
      `${value.kind} is traced as ${lines.join(" and ")}`,
    );
  }
});

Deno.test("the tables of names have no more than one letter for a name", () => {
  for (const names of [FRONTEND_NAMES, BACKEND_NAMES]) {
    assert.equal(new Set(Object.values(names)).size, Object.keys(names).length);
    for (const letter of Object.keys(names)) assert.equal(letter.length, 1);
  }
});
