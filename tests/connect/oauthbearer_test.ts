import assert from "node:assert/strict";
import { loadConfiguration } from "../../lib/config/load.ts";
import { ConfigurationError } from "../../lib/config/problem.ts";
import type { Credentials } from "../../lib/connect/login.ts";
import { logIn } from "../../lib/connect/log_in.ts";
import { dial, startTls } from "../../lib/connect/questions.ts";
import { reachBackend } from "../../lib/connect/reach_backend.ts";
import { parseTarget } from "../../lib/connect/target.ts";
import { PgError } from "../../lib/errors.ts";
import { Secret } from "../../lib/secret.ts";
import type { Authentication } from "../../lib/wire/authentication.ts";
import { saslInitialResponse, saslResponse } from "../../lib/wire/frontend.ts";
import { encodeMessage } from "../../lib/wire/message.ts";
import { startupPacket } from "../../lib/wire/startup_packet.ts";
import { traceFrame } from "../../lib/wire/trace.ts";
import { outsideOf, PEM, SMALLEST } from "../config/files.ts";
import { answers, hears, play, says, type Step } from "../support/play.ts";
import { bytes, int32 } from "../wire/bytes.ts";
import {
  answersNonce,
  ANY_AUTH,
  auth,
  CLIENT_NONCE,
  CREDENTIALS,
  error,
  hearsPassword,
  hearsSasl,
  hearsSaslInitial,
  hearsStartup,
  notice,
  ok,
  ready,
  sasl,
  saslContinue,
  saslFinal,
  saysAll,
  STARTUP,
} from "./backend_words.ts";

const TOKEN = "eyJhbGciOiJFUzI1NiJ9.eyJzdWIiOiJhbGljZSJ9.c2lnbmVk-_~+/==";

/** A backend that takes the client's token and nothing else. */
const OAUTH: Credentials = {
  ...CREDENTIALS,
  password: undefined,
  token: new Secret(TOKEN),
  requireAuth: ["oauth"],
};

const OFFERS = sasl("OAUTHBEARER");
const hearsToken = hearsSaslInitial("OAUTHBEARER", `n,,\x01auth=Bearer ${TOKEN}\x01\x01`);
const hearsKvsep = hearsSasl("\x01");
const INVALID = '{"status":"invalid_token","openid-configuration":"https://idp/x","scope":"openid"}';
const REFUSES = error({ sqlstate: "28000", message: 'OAuth bearer authentication failed for user "app"' });

Deno.test("logIn() passes the client's token on where require_auth is oauth", () => {
  const result = play(logIn(STARTUP, OAUTH), [
    hearsStartup,
    saysAll(OFFERS),
    hearsToken,
    saysAll(ok, ready),
  ]);
  assert.equal(result.transactionStatus, "I");
});

Deno.test("logIn() sends the token as RFC 7628 section 4.1 writes it", () => {
  // The RFC's first example, with the flag and the fields that libpq sends: no user, no host, no port.
  const token = "vF9dft4qmTc2Nvb3RlckBhbHRhdmlzdGEuY29tCg==";
  play(logIn(STARTUP, { ...OAUTH, token: new Secret(token) }), [
    hearsStartup,
    saysAll(OFFERS),
    hears(bytes(
      "p", // SASLInitialResponse
      int32(4 + 12 + 4 + 60),
      "OAUTHBEARER\0",
      int32(60),
      "n,,", // no channel binding, no authorization identity
      0x01,
      `auth=Bearer ${token}`,
      0x01,
      0x01,
    )),
    saysAll(ok, ready),
  ]);
});

Deno.test.each<{ case: string; change: Partial<Credentials> }>([
  { case: "verified by TLS", change: {} },
  { case: "on this machine without TLS", change: { isEncrypted: false, isVerified: false, isLocal: true } },
  { case: "where channel_binding is disable", change: { channelBinding: "disable" } },
  { case: "where SCRAM is allowed too", change: { requireAuth: ["scram-sha-256", "oauth"] } },
])("logIn() sends the token to a backend $case", ({ change }) => {
  play(logIn(STARTUP, { ...OAUTH, ...change }), [
    hearsStartup,
    saysAll(OFFERS),
    hearsToken,
    saysAll(ok, ready),
  ]);
});

Deno.test("B5 logIn() notes what a backend says beside OAUTHBEARER", () => {
  const said = [notice("before"), notice("after")];
  const { forwarded } = play(logIn(STARTUP, OAUTH), [
    hearsStartup,
    saysAll(said[0], OFFERS),
    hearsToken,
    saysAll(said[1], ok, ready),
  ]);
  assert.deepEqual(forwarded, said);
});

// Where the operator has listed both, the backend chooses.

Deno.test("logIn() sends the password to a backend that asks for it where oauth is only one of two", () => {
  const credentials: Credentials = { ...CREDENTIALS, token: OAUTH.token, requireAuth: ["password", "oauth"] };
  play(logIn(STARTUP, credentials), [
    hearsStartup,
    saysAll(auth({ kind: "AuthenticationCleartextPassword" })),
    hearsPassword("pencil"),
    saysAll(ok, ready),
  ]);
});

Deno.test.each([
  { first: "OAUTHBEARER", offered: ["OAUTHBEARER", "SCRAM-SHA-256"] },
  { first: "SCRAM-SHA-256", offered: ["SCRAM-SHA-256", "OAUTHBEARER"] },
])("logIn() speaks $first where it stands first of two that are allowed", ({ first, offered }) => {
  const both: Credentials = {
    ...CREDENTIALS,
    token: OAUTH.token,
    requireAuth: ["oauth", "scram-sha-256"],
    channelBinding: "disable",
  };
  const refuses = saysAll(error({ sqlstate: "28000", message: "no" }));
  const speaks = first === "OAUTHBEARER"
    ? [hearsToken, refuses]
    : [answersNonce, hearsSaslInitial("SCRAM-SHA-256", `n,,n=,r=${CLIENT_NONCE}`), refuses];
  assert.equal(refusal(both, [saysAll(sasl(...offered)), ...speaks]).sqlstate, "28000");
});

Deno.test("logIn() speaks SCRAM with a backend that would rather have a token it may not have", () => {
  const refuses = saysAll(error({ sqlstate: "28P01", message: "no" }));
  const credentials: Credentials = { ...CREDENTIALS, token: OAUTH.token, channelBinding: "disable" };
  const thrown = refusal({ ...credentials, requireAuth: ["scram-sha-256"] }, [
    saysAll(sasl("OAUTHBEARER", "SCRAM-SHA-256")),
    answersNonce,
    hearsSaslInitial("SCRAM-SHA-256", `n,,n=,r=${CLIENT_NONCE}`),
    refuses,
  ]);
  assert.equal(thrown.sqlstate, "28P01");
});

// Who gets no token.

Deno.test.each<{ case: string; change: Partial<Credentials>; reason: RegExp }>([
  {
    case: "where require_auth is SCRAM",
    change: { requireAuth: CREDENTIALS.requireAuth },
    reason: /not allow/,
  },
  { case: "where require_auth is all but oauth", change: { requireAuth: ANY_AUTH }, reason: /not allow/ },
  {
    case: "in plain text",
    change: { isEncrypted: false, isVerified: false },
    reason: /TLS has not verified its name/,
  },
  {
    case: "inside TLS that has not verified its name",
    change: { isVerified: false },
    reason: /TLS has not verified its name/,
  },
  {
    case: "where channel_binding is require",
    change: { channelBinding: "require" },
    reason: /channel_binding is require/,
  },
  { case: "where there is none", change: { token: undefined }, reason: /no token to pass on/ },
])("B3 no token is sent to a backend that asks for OAUTHBEARER $case", ({ change, reason }) => {
  const thrown = refusal({ ...OAUTH, ...change }, [saysAll(OFFERS)]);
  assert.equal(thrown.sqlstate, "08001");
  assert.equal(thrown.message, 'backend "orders" asked for a login method that is not allowed');
  assert.equal(thrown.blame, "backend");
  assert.match(thrown.reason!, reason);
});

Deno.test.each<{ case: string; asked: Uint8Array; reason: RegExp }>([
  { case: "nothing", asked: ok, reason: /asked for nothing/ },
  {
    case: "a password",
    asked: auth({ kind: "AuthenticationCleartextPassword" }),
    reason: /require_auth does not allow/,
  },
  {
    case: "MD5",
    asked: auth({ kind: "AuthenticationMD5Password", salt: new Uint8Array(4) }),
    reason: /require_auth does not allow/,
  },
  {
    case: "SCRAM",
    asked: sasl("SCRAM-SHA-256-PLUS", "SCRAM-SHA-256"),
    reason: /require_auth does not allow/,
  },
  { case: "another SASL", asked: sasl("oauthbearer", "XOAUTH2"), reason: /no mechanism that is spoken here/ },
])("B3 nothing is sent to a backend that asks for $case where require_auth is oauth", ({ asked, reason }) => {
  const thrown = refusal({ ...OAUTH, password: new Secret("pencil") }, [saysAll(asked)]);
  assert.equal(thrown.sqlstate, "08001");
  assert.match(thrown.reason!, reason);
});

Deno.test.each([
  { case: "a kvsep, which would begin a field", token: "a\x01host=evil" },
  { case: "a zero byte", token: "a\0b" },
  { case: "a space", token: "a b" },
  { case: "a newline at its end", token: "abc\n" },
  { case: "padding within", token: "ab=cd" },
  { case: "padding alone", token: "==" },
  { case: "a letter beyond ASCII", token: "caf\u00e9" },
  { case: "nothing in it", token: "" },
])("a token with $case is not sent to a backend", ({ token }) => {
  const thrown = refusal({ ...OAUTH, token: new Secret(token) }, [saysAll(OFFERS)]);
  assert.equal(thrown.sqlstate, "28000");
  assert.equal(thrown.message, 'the token cannot be passed on to backend "orders"');
  assert.equal(thrown.blame, "frontend");
});

// How a backend refuses, and what one that is hostile says instead.

Deno.test("logIn() answers the JSON of a refusal with one byte, and gives the SQLSTATE that follows", () => {
  const thrown = refusal(OAUTH, [
    saysAll(OFFERS),
    hearsToken,
    saysAll(saslContinue(INVALID)),
    hearsKvsep,
    saysAll(REFUSES),
  ]);
  assert.equal(thrown.sqlstate, "28000");
  assert.equal(thrown.message, 'backend "orders" refused the proxy\'s login');
  assert.equal(thrown.blame, "backend");
  assert.equal(
    thrown.reason,
    "it refused the token with status invalid_token; " +
      'the backend said: 28000: OAuth bearer authentication failed for user "app"',
  );
});

Deno.test("logIn() gives the SQLSTATE of a backend that refuses without JSON", () => {
  const thrown = refusal(OAUTH, [
    saysAll(OFFERS),
    hearsToken,
    saysAll(error({ sqlstate: "53300", message: "sorry, too many clients already" })),
  ]);
  assert.equal(thrown.sqlstate, "53300");
});

Deno.test.each([
  { case: "no JSON", json: "no" },
  { case: "an empty challenge", json: "" },
  { case: "null", json: "null" },
  { case: "an array", json: "[]" },
  { case: "a number", json: "7" },
  { case: "a status that is a number", json: '{"status":401}' },
  { case: "a status that is the token", json: JSON.stringify({ status: TOKEN }) },
  { case: "a status with an escape sequence", json: '{"status":"\\u001b[2J"}' },
  { case: "a status of 1000 letters", json: JSON.stringify({ status: "x".repeat(1000) }) },
  { case: "bytes that are not UTF-8", json: '{"status":"invalid\u0000"' },
])("B2 a refusal with $case ends as any other, and its words stay out of the log", ({ json }) => {
  const thrown = refusal(OAUTH, [
    saysAll(OFFERS),
    hearsToken,
    saysAll(saslContinue(json)),
    hearsKvsep,
    saysAll(REFUSES),
  ]);
  assert.equal(thrown.sqlstate, "28000");
  assert.match(
    thrown.reason!,
    /^it refused the token with no status that can be read; the backend said: 28000/,
  );
});

Deno.test("B2 a refusal over 2000 bytes is refused unread", () => {
  const thrown = refusal(OAUTH, [
    saysAll(OFFERS),
    hearsToken,
    says(bytes("R", int32(2001), int32(11), "{")), // the rest need not even come
  ]);
  assert.equal(thrown.sqlstate, "08P01");
  assert.equal(thrown.blame, "backend");
});

Deno.test.each<{ case: string; said: Uint8Array }>([
  { case: "AuthenticationSASLFinal", said: saslFinal("") },
  { case: "OAUTHBEARER asked for once more", said: OFFERS },
  { case: "SCRAM", said: sasl("SCRAM-SHA-256") },
  { case: "a password asked for", said: auth({ kind: "AuthenticationCleartextPassword" }) },
  {
    case: "GSSAPI",
    said: auth({ kind: "AuthenticationUnsupported", code: 7, data: new Uint8Array() } as Authentication),
  },
  { case: "ReadyForQuery", said: ready },
])("B2 a token answered with $case ends the login, and nothing more is sent", ({ said }) => {
  const both: Credentials = { ...OAUTH, requireAuth: [...ANY_AUTH, "oauth"], password: new Secret("pencil") };
  const thrown = refusal(both, [saysAll(OFFERS), hearsToken, saysAll(said)]);
  assert.equal(thrown.sqlstate, "08P01");
  assert.equal(thrown.blame, "backend");
});

Deno.test.each<{ case: string; said: Uint8Array }>([
  { case: "AuthenticationOk", said: ok },
  { case: "another challenge", said: saslContinue(INVALID) },
  { case: "AuthenticationSASLFinal", said: saslFinal("") },
  { case: "OAUTHBEARER asked for once more", said: OFFERS },
])("B2 a refusal that goes on with $case is no login", ({ said }) => {
  const thrown = refusal(OAUTH, [
    saysAll(OFFERS),
    hearsToken,
    saysAll(saslContinue(INVALID)),
    hearsKvsep,
    saysAll(said),
  ]);
  assert.equal(thrown.sqlstate, "08P01");
  assert.match(thrown.reason!, /^it refused the token with status invalid_token; /);
});

Deno.test.each([
  { sqlstate: "28000", words: `bad token ${TOKEN}` },
  { sqlstate: "22023", words: `bad token ${TOKEN}` },
])("T17 a token that a backend says again in an error of $sqlstate is taken out", ({ sqlstate, words }) => {
  const thrown = refusal(OAUTH, [
    saysAll(OFFERS),
    hearsToken,
    saysAll(error({ sqlstate, message: words, detail: words, hint: words })),
  ]);
  assert.ok(!Deno.inspect(thrown).includes(TOKEN));
  assert.match(thrown.reason!, /bad token \[secret\]/);
});

Deno.test("T17 a trace of what is sent to a backend shows neither the token nor its length in characters", () => {
  const data = new TextEncoder().encode(`n,,\x01auth=Bearer ${TOKEN}\x01\x01`);
  const sent = [
    encodeMessage(saslInitialResponse, { kind: "SASLInitialResponse", mechanism: "OAUTHBEARER", data }),
    encodeMessage(saslResponse, { kind: "SASLResponse", data: bytes(0x01) }),
  ];
  assert.deepEqual(sent.map((message) => traceFrame("F", message).split("\t").slice(2)), [
    ["SASLInitialResponse", ` "OAUTHBEARER" ${data.length} 'BBBB'`],
    ["SASLResponse", " 'BBBB'"],
  ]);
  const received = saslContinue(JSON.stringify({ status: TOKEN }));
  assert.deepEqual(traceFrame("B", received).split("\t").slice(2), ["AuthenticationSASLContinue", " 'BBBB'"]);
});

// reachBackend() says where TLS has verified the name.

const hearsTlsAsked = [
  hears(encodeMessage(startupPacket, { kind: "SSLRequest" })),
  says(bytes("S")),
  answers(startTls, () => ({})),
];

Deno.test.each<{ url: string; before: readonly Step[] }>([
  { url: "postgres://db1", before: hearsTlsAsked },
  { url: "postgres://localhost?sslmode=require", before: hearsTlsAsked },
  { url: "postgres://127.0.0.1?sslmode=disable", before: [] },
  { url: "postgres://%2Frun", before: [] },
])("reachBackend() passes the token on to $url", ({ url, before }) => {
  const reached = play(reachBackend(parseTarget(url), { ...REACH, requireAuth: ["oauth"] }), [
    answers(dial, () => {}),
    ...before,
    hearsStartup,
    saysAll(OFFERS),
    hearsToken,
    saysAll(ok, ready),
  ]);
  assert.equal(reached.transactionStatus, "I");
});

Deno.test.each<{ url: string; before: readonly Step[] }>([
  { url: "postgres://db1?sslmode=verify-ca&sslrootcert=ca.crt", before: hearsTlsAsked },
  { url: "postgres://db1?sslmode=require", before: hearsTlsAsked },
  { url: "postgres://db1?sslmode=disable", before: [] },
  { url: "postgres://127.0.0.1.example.com?sslmode=disable", before: [] },
])("B3 reachBackend() passes no token on to $url", ({ url, before }) => {
  const dialogue = reachBackend(parseTarget(url), { ...REACH, requireAuth: ["oauth"] });
  const script = [answers(dial, () => {}), ...before, hearsStartup, saysAll(OFFERS)];
  assert.throws(() => play(dialogue, script), { sqlstate: "08001", reason: /TLS has not verified its name/ });
});

// The configuration.

Deno.test("loadConfiguration() takes a backend that the client's token is passed on to", async () => {
  const { backends } = await load({ lines: 'require_auth = ["oauth"]' });
  assert.deepEqual(backends.get("orders")!.requireAuth, ["oauth"]);
});

Deno.test.each<[string, string, string]>([
  [
    "sslmode=verify-ca",
    "postgres://app@db1/orders?sslmode=verify-ca&sslrootcert=ca.crt",
    'require_auth = "oauth"',
  ],
  [
    "sslmode=require",
    "postgres://app@db1/orders?sslmode=require",
    'require_auth = ["scram-sha-256", "oauth"]',
  ],
  ["sslmode=disable", "postgres://app@db1/orders?sslmode=disable", 'require_auth = "oauth"'],
  ["one host elsewhere", "postgres://localhost,db1/orders?sslmode=require", 'require_auth = "oauth"'],
])("loadConfiguration() tells with its line that oauth is not safe with %s", async (_case, url, lines) => {
  assert.deepEqual(await mistakes({ url, lines }), [
    "13: backends[0].require_auth has oauth, which sends the client's token and needs sslmode=verify-full off this machine",
  ]);
});

Deno.test.each<[string, string]>([
  ["postgres://app@localhost/orders?sslmode=disable", 'require_auth = "oauth"'],
  ["postgres://app@%2Frun/orders", 'require_auth = "oauth"'],
  ["postgres://app:pencil@db1/orders", 'require_auth = ["scram-sha-256", "oauth"]'],
  ["postgres://app@db1/orders", 'require_auth = "oauth"\nchannel_binding = "disable"'],
])("loadConfiguration() takes %s with %s", async (url, lines) => {
  assert.deepEqual(await mistakes({ url, lines }), []);
});

Deno.test.each<[string, string, string, string]>([
  [
    "a password in a file",
    "postgres://app@db1/orders",
    'require_auth = "oauth"\npassword_file = "pw"',
    "14: backends[0].password_file has a password, which is never sent where require_auth is oauth",
  ],
  [
    "a password in the environment",
    "postgres://app@db1/orders",
    'require_auth = "oauth"\npassword_env = "PW"',
    "14: backends[0].password_env has a password, which is never sent where require_auth is oauth",
  ],
  [
    "a password in the URL",
    "postgres://app:pencil@db1/orders",
    'require_auth = "oauth"',
    "12: backends[0].url has a password, which is never sent where require_auth is oauth",
  ],
  [
    "channel_binding = require",
    "postgres://app@db1/orders",
    'require_auth = "oauth"\nchannel_binding = "require"',
    "14: backends[0].channel_binding cannot be require where require_auth is oauth: OAUTHBEARER binds to no channel",
  ],
])(
  "loadConfiguration() tells with its line that oauth alone has no use for %s",
  async (_case, url, lines, says) => {
    assert.deepEqual(await mistakes({ url, lines }), [says]);
  },
);

const REACH = {
  backend: "orders",
  startup: STARTUP,
  channelBinding: "prefer",
  token: new Secret(TOKEN),
} as const;

function refusal(credentials: Credentials, script: readonly Step[]): PgError {
  try {
    play(logIn(STARTUP, credentials), [hearsStartup, ...script]);
  } catch (thrown) {
    if (thrown instanceof PgError) return thrown;
    throw thrown;
  }
  throw new Error("the login went on");
}

interface Written {
  readonly url?: string;
  readonly lines: string;
}

function load({ url = "postgres://app@db1/orders", lines }: Written) {
  const toml = SMALLEST.replace('url = "postgres://app@db1.internal/orders"', `url = "${url}"\n${lines}`);
  return loadConfiguration(
    "/etc/proxy/config.toml",
    outsideOf({ "config.toml": toml, pw: "pencil", ...PEM }, { PW: "pencil" }),
  );
}

async function mistakes(written: Written): Promise<string[]> {
  try {
    await load(written);
    return [];
  } catch (thrown) {
    assert.ok(thrown instanceof ConfigurationError, String(thrown));
    return thrown.message.split("\n").map((line) => line.replace("/etc/proxy/config.toml:", ""));
  }
}
