import assert from "node:assert/strict";
import type { Credentials } from "../../lib/connect/login.ts";
import { logIn } from "../../lib/connect/log_in.ts";
import { PgError } from "../../lib/errors.ts";
import { Secret } from "../../lib/secret.ts";
import { negotiateProtocolVersion } from "../../lib/wire/backend.ts";
import { encodeMessage } from "../../lib/wire/message.ts";
import { play, type Step } from "../support/play.ts";
import { bytes, int32 } from "../wire/bytes.ts";
import {
  ANY_AUTH,
  auth,
  CREDENTIALS,
  error,
  hearsPassword,
  hearsStartup,
  key,
  notice,
  ok,
  ready,
  saysAll,
  STARTUP,
  status,
} from "./backend_words.ts";

const ANY: Credentials = { ...CREDENTIALS, requireAuth: ANY_AUTH };
const CLEARTEXT = auth({ kind: "AuthenticationCleartextPassword" });
const MD5 = auth({ kind: "AuthenticationMD5Password", salt: new Uint8Array([1, 2, 3, 4]) });

Deno.test("logIn() is let in without a password where require_auth allows none", () => {
  const result = play(logIn(STARTUP, ANY), [hearsStartup, saysAll(ok, ready)]);
  assert.equal(result.transactionStatus, "I");
});

Deno.test("logIn() sends the password where require_auth allows it", () => {
  play(logIn(STARTUP, ANY), [hearsStartup, saysAll(CLEARTEXT), hearsPassword("pencil"), saysAll(ok, ready)]);
});

Deno.test("logIn() hashes the password with MD5 as PostgreSQL does", () => {
  // echo -n pencilapp | md5sum, then that text and the bytes 01 02 03 04
  const hashed = "md54bfca4ca571b8df74c2fc2247888d96f";
  play(logIn(STARTUP, ANY), [hearsStartup, saysAll(MD5), hearsPassword(hashed), saysAll(ok, ready)]);
});

Deno.test("logIn() is let in by its certificate where require_auth is cert", () => {
  const credentials: Credentials = { ...CREDENTIALS, requireAuth: ["cert"], hasClientCertificate: true };
  play(logIn(STARTUP, credentials), [hearsStartup, saysAll(ok, ready)]);
});

Deno.test.each<{ case: string; asked: Uint8Array; change: Partial<Credentials> }>([
  { case: "cleartext where require_auth is SCRAM", asked: CLEARTEXT, change: {} },
  { case: "md5 where require_auth is SCRAM", asked: MD5, change: {} },
  { case: "nothing where require_auth is SCRAM", asked: ok, change: {} },
  {
    case: "cleartext without TLS",
    asked: CLEARTEXT,
    change: { requireAuth: ["password"], isEncrypted: false },
  },
  {
    case: "nothing where require_auth is cert and none was shown",
    asked: ok,
    change: { requireAuth: ["cert"] },
  },
  {
    case: "nothing where channel_binding is require",
    asked: ok,
    change: { requireAuth: ANY_AUTH, channelBinding: "require" },
  },
  {
    case: "md5 where channel_binding is require",
    asked: MD5,
    change: { requireAuth: ANY_AUTH, channelBinding: "require" },
  },
  {
    case: "cleartext where channel_binding is require",
    asked: CLEARTEXT,
    change: { requireAuth: ANY_AUTH, channelBinding: "require" },
  },
  {
    case: "GSSAPI",
    asked: auth({ kind: "AuthenticationUnsupported", code: 7, data: new Uint8Array() }),
    change: { requireAuth: ANY_AUTH },
  },
  {
    case: "a SASL challenge out of nowhere",
    asked: auth({ kind: "AuthenticationSASLContinue", data: new Uint8Array([1]) }),
    change: { requireAuth: ANY_AUTH },
  },
])("B3 nothing is sent to a backend that asks for $case", ({ asked, change }) => {
  const thrown = refusal({ ...CREDENTIALS, ...change }, [saysAll(asked)]);
  assert.equal(thrown.sqlstate, "08001");
  assert.equal(thrown.blame, "backend");
  assert.equal(thrown.message, 'backend "orders" asked for a login method that is not allowed');
});

Deno.test("B3 cleartext without TLS is answered on this machine", () => {
  const credentials = { ...ANY, isEncrypted: false, isLocal: true };
  play(logIn(STARTUP, credentials), [
    hearsStartup,
    saysAll(CLEARTEXT),
    hearsPassword("pencil"),
    saysAll(ok, ready),
  ]);
});

Deno.test("B3 a backend cannot ask again after the password was sent", () => {
  const thrown = refusal(ANY, [saysAll(CLEARTEXT), hearsPassword("pencil"), saysAll(CLEARTEXT)]);
  assert.equal(thrown.sqlstate, "08P01");
});

Deno.test("a password with a zero byte is not sent", () => {
  const thrown = refusal({ ...ANY, password: new Secret("pen\0cil") }, [saysAll(CLEARTEXT)]);
  assert.equal(thrown.blame, "operator");
});

Deno.test("B5 what a backend says besides is kept in order, byte for byte", () => {
  const latin1 = bytes("S", int32(4 + 5), "ab", 0, 0xe9, 0);
  const said = [
    notice("before the password"),
    notice("after it"),
    status("server_version", "18.1"),
    latin1,
    notice("at last"),
    status("TimeZone", "UTC"),
  ];
  const result = play(logIn(STARTUP, ANY), [
    hearsStartup,
    saysAll(said[0], CLEARTEXT),
    hearsPassword("pencil"),
    saysAll(said[1], ok, said[2], said[3], said[4], said[5], ready),
  ]);
  assert.deepEqual(result.forwarded, said);
  assert.deepEqual(result.parameterStatuses.map(({ name }) => name), ["server_version", "ab", "TimeZone"]);
});

Deno.test("B5 NegotiateProtocolVersion lowers the version", () => {
  const result = play(logIn(STARTUP, ANY), [hearsStartup, saysAll(lower(0, "_pq_.x"), ok, ready)]);
  assert.deepEqual(result.protocolVersion, { major: 3, minor: 0 });
});

Deno.test("B5 without NegotiateProtocolVersion the version is the one asked for", () => {
  const result = play(logIn(STARTUP, ANY), [hearsStartup, saysAll(ok, ready)]);
  assert.deepEqual(result.protocolVersion, { major: 3, minor: 2 });
});

Deno.test("B5 NegotiateProtocolVersion above what was asked for is refused", () => {
  assert.equal(refusal(ANY, [saysAll(lower(3))]).sqlstate, "08P01");
});

Deno.test("B5 notices without end are refused at 1 MiB", () => {
  const big = notice("x".repeat(29_000));
  const thrown = refusal(ANY, Array.from({ length: 37 }, () => saysAll(big)));
  assert.equal(thrown.sqlstate, "08P01");
  assert.match(thrown.reason!, /too much/);
});

Deno.test.each<{ what: string; said: Uint8Array }>([
  { what: "notices", said: notice("") },
  { what: "parameters", said: status("a", "b") },
  { what: "keys", said: key(4, new Uint8Array(4)) },
])("B5 $what without end are refused however short they are", ({ said }) => {
  const thrown = refusal(ANY, [saysAll(ok, ...Array.from({ length: 1000 }, () => said), ready)]);
  assert.equal(thrown.sqlstate, "08P01");
  assert.match(thrown.reason!, /too much/);
});

Deno.test("B6 no key is invented when the backend gives none", () => {
  assert.equal(play(logIn(STARTUP, ANY), [hearsStartup, saysAll(ok, ready)]).backendKey, undefined);
});

Deno.test.each([{ length: 4 }, { length: 32 }, { length: 256 }])(
  "B6 a cancel key of $length bytes is kept",
  ({ length }) => {
    const secretKey = new Uint8Array(length).fill(7);
    const result = play(logIn(STARTUP, ANY), [hearsStartup, saysAll(ok, key(42, secretKey), ready)]);
    assert.deepEqual(result.backendKey, { processId: 42, secretKey });
  },
);

Deno.test.each([{ length: 0 }, { length: 3 }, { length: 257 }])(
  "B6 a cancel key of $length bytes is refused",
  ({ length }) => {
    const thrown = refusal(ANY, [saysAll(ok, key(42, new Uint8Array(length)))]);
    assert.equal(thrown.sqlstate, "08P01");
    assert.equal(thrown.blame, "backend");
  },
);

Deno.test.each([
  { case: "no such database", fields: { sqlstate: "3D000", message: 'database "x" does not exist' } },
  {
    case: "too many",
    fields: { sqlstate: "53300", message: "sorry, too many clients", hint: "Come later." },
  },
  { case: "starting up", fields: { sqlstate: "57P03", message: "the database system is starting up" } },
  {
    case: "no privilege",
    fields: { sqlstate: "42501", message: "permission denied for database", detail: "No CONNECT." },
  },
])("a backend's own error passes word for word: $case", ({ fields }) => {
  const thrown = refusal(ANY, [saysAll(error({ ...fields, severity: "ERROR" }))]);
  const { sqlstate, message, detail, hint, severity, blame } = thrown;
  assert.deepEqual(
    { sqlstate, message, detail, hint, severity, blame },
    { detail: undefined, hint: undefined, ...fields, severity: "FATAL", blame: "backend" },
  );
});

Deno.test.each([
  { said: "28P01", becomes: "28P01", does: "refused the proxy's login" },
  { said: "28000", becomes: "28000", does: "refused the proxy's login" },
  { said: "28ABC", becomes: "28000", does: "refused the proxy's login" },
  { said: "08P01", becomes: "08006", does: "ended the login" },
  { said: "58P01", becomes: "08006", does: "ended the login" },
  { said: "F0000", becomes: "08006", does: "ended the login" },
  { said: "XX000", becomes: "08006", does: "ended the login" },
  { said: "00000", becomes: "08006", does: "ended the login" },
])("a backend's $said keeps its words from the client", ({ said, becomes, does }) => {
  const secret = "no pg_hba.conf entry for host 192.0.2.7";
  const fields = { sqlstate: said, message: secret, detail: secret, hint: secret };
  const thrown = refusal(ANY, [saysAll(error(fields))]);
  assert.equal(thrown.sqlstate, becomes);
  assert.equal(thrown.message, `backend "orders" ${does}`);
  assert.deepEqual([thrown.detail, thrown.hint], [undefined, undefined]);
  assert.match(thrown.reason!, /192\.0\.2\.7/);
});

Deno.test.each([
  { case: "no fields", fields: {} },
  { case: "no SQLSTATE", fields: { message: "it hurts" } },
  { case: "a SQLSTATE that is none", fields: { sqlstate: "oops!", message: "it hurts" } },
  { case: "a short SQLSTATE", fields: { sqlstate: "42", message: "it hurts" } },
])("B4 an ErrorResponse with $case is tolerated", ({ fields }) => {
  const thrown = refusal(ANY, [saysAll(error(fields))]);
  assert.equal(thrown.sqlstate, "08006");
  assert.equal(thrown.message, 'backend "orders" ended the login');
});

Deno.test("B4 an ErrorResponse without a message has one of ours", () => {
  const thrown = refusal(ANY, [saysAll(error({ sqlstate: "53300" }))]);
  assert.equal(thrown.sqlstate, "53300");
  assert.equal(thrown.message, 'backend "orders" ended the login');
});

Deno.test("an ErrorResponse after AuthenticationOk ends the login", () => {
  const thrown = refusal(ANY, [
    saysAll(ok, status("a", "b"), error({ sqlstate: "3D000", message: "no such database" })),
  ]);
  assert.equal(thrown.sqlstate, "3D000");
});

Deno.test("a malformed message is the backend's fault, and its details are for the log", () => {
  const thrown = refusal(ANY, [saysAll(bytes("R", int32(5), 0))]);
  assert.equal(thrown.blame, "backend");
  assert.equal(thrown.message, 'backend "orders" broke the protocol of the login');
  assert.match(thrown.reason!, /malformed Authentication/);
});

Deno.test("T17 no error of a login shows the password", () => {
  const credentials = { ...ANY, password: new Secret("pencil") };
  const thrown = refusal(credentials, [saysAll(CLEARTEXT), hearsPassword("pencil"), saysAll(CLEARTEXT)]);
  assert.doesNotMatch(Deno.inspect(thrown) + JSON.stringify(thrown), /pencil/);
});

function lower(minorVersion: number, ...unrecognizedOptions: readonly string[]): Uint8Array {
  const message = { kind: "NegotiateProtocolVersion", minorVersion, unrecognizedOptions } as const;
  return encodeMessage(negotiateProtocolVersion, message);
}

function refusal(credentials: Credentials, script: readonly Step[]): PgError {
  try {
    play(logIn(STARTUP, credentials), [hearsStartup, ...script]);
  } catch (thrown) {
    if (thrown instanceof PgError) return thrown;
    throw thrown;
  }
  throw new assert.AssertionError({ message: "the login was not refused" });
}
