import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { formatHost } from "../../lib/connect/host.ts";
import { ConnectTimeout, dial, hangUp, OtherAuthority, startTls } from "../../lib/connect/questions.ts";
import { type Reach, reachBackend, type Reached } from "../../lib/connect/reach_backend.ts";
import { parseTarget } from "../../lib/connect/target.ts";
import { PgError } from "../../lib/errors.ts";
import { commandComplete, dataRow, rowDescription } from "../../lib/wire/backend.ts";
import { query, terminate } from "../../lib/wire/frontend.ts";
import { encodeMessage } from "../../lib/wire/message.ts";
import { startupPacket } from "../../lib/wire/startup_packet.ts";
import { createAuthority } from "../support/certificates.ts";
import { answers, hears, play, says, type Step } from "../support/play.ts";
import { bytes } from "../wire/bytes.ts";
import {
  answersNonce,
  answersScramKeys,
  ANY_AUTH,
  auth,
  CLIENT_NONCE,
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
  scramServer,
  STARTUP,
  status,
} from "./backend_words.ts";

const REACH: Reach = { backend: "orders", startup: STARTUP, requireAuth: ANY_AUTH, channelBinding: "prefer" };
const PLAIN = "postgres://h1,h2?sslmode=disable";

const letsIn = [hearsStartup, saysAll(ok, ready)];
const hangsUp = answers(hangUp, () => {});
const hearsTerminate = hears(encodeMessage(terminate, { kind: "Terminate" }));
const startingUp = error({ sqlstate: "57P03", message: "the database system is starting up" });

Deno.test("reachBackend() logs in to the first host that can be dialled", () => {
  const reached = reach(PLAIN, [isDialled("h1:5432"), ...letsIn]);
  assert.equal(formatHost(reached.host), "h1:5432");
  assert.equal(reached.isEncrypted, false);
});

Deno.test("reachBackend() dials for as long as connect_timeout says", () => {
  reach(`${PLAIN}&connect_timeout=3`, [
    answers(dial, ({ timeoutMs }) => assert.equal(timeoutMs, 3000)),
    ...letsIn,
  ]);
});

Deno.test("reachBackend() goes on inside TLS before it says anything", () => {
  const reached = reach("postgres://h1", [
    isDialled("h1:5432"),
    hears(encodeMessage(startupPacket, { kind: "SSLRequest" })),
    says(bytes("S")),
    answers(startTls, ({ sslmode, serverName }) => {
      assert.deepEqual([sslmode, serverName], ["verify-full", "h1"]);
      return {};
    }),
    ...letsIn,
  ]);
  assert.equal(reached.isEncrypted, true);
});

Deno.test("reachBackend() dials a host again that may be known by another authority", () => {
  const askForTls = [
    isDialled("h1:5432"),
    hears(encodeMessage(startupPacket, { kind: "SSLRequest" })),
    says(bytes("S")),
  ];
  const reached = reach("postgres://h1", [
    ...askForTls,
    answers(startTls, () => {
      throw new OtherAuthority();
    }),
    hangsUp,
    ...askForTls,
    answers(startTls, () => ({})),
    ...letsIn,
  ]);
  assert.equal(reached.isEncrypted, true);
});

Deno.test("reachBackend() binds SCRAM to the certificate that TLS showed", async () => {
  const authority = await createAuthority("test authority");
  const { certificatePem } = await authority.issueForLoopback();
  const certificate = Uint8Array.fromBase64(certificatePem.replaceAll(/-----[A-Z ]+-----|\s/g, ""));
  const hash = new Uint8Array(createHash("sha256").update(certificate).digest());
  const header = "p=tls-server-end-point,,";
  const scram = scramServer(header, hash);
  reach("postgres://app:pencil@h1", [
    isDialled("h1:5432"),
    hears(encodeMessage(startupPacket, { kind: "SSLRequest" })),
    says(bytes("S")),
    answers(startTls, () => ({ certificate })),
    hearsStartup,
    saysAll(sasl("SCRAM-SHA-256-PLUS", "SCRAM-SHA-256")),
    answersNonce,
    hearsSaslInitial("SCRAM-SHA-256-PLUS", `${header}n=,r=${CLIENT_NONCE}`),
    saysAll(saslContinue(scram.serverFirst)),
    answersScramKeys,
    hearsSasl(scram.clientFinal),
    saysAll(saslFinal(scram.serverFinal), ok, ready),
  ]);
});

Deno.test("reachBackend() speaks no TLS on a socket of this machine", () => {
  const reached = reach("postgres://%2Frun", [isDialled("/run/.s.PGSQL.5432"), ...letsIn]);
  assert.equal(reached.isEncrypted, false);
});

Deno.test("B3 reachBackend() sends the password in the clear on this machine only", () => {
  const asks = [hearsStartup, saysAll(auth({ kind: "AuthenticationCleartextPassword" }))];
  const sent = [hearsPassword("pencil"), saysAll(ok, ready)];
  reach("postgres://:pencil@127.0.0.1?sslmode=disable", [isDialled("127.0.0.1:5432"), ...asks, ...sent]);
  const thrown = refusal("postgres://:pencil@192.0.2.1?sslmode=disable", [
    isDialled("192.0.2.1:5432"),
    ...asks,
  ]);
  assert.match(thrown.reason!, /192\.0\.2\.1:5432: .*without TLS/);
});

Deno.test("reachBackend() tries the next host when one cannot be dialled", () => {
  const reached = reach(PLAIN, [cannotDial("h1:5432"), isDialled("h2:5432"), ...letsIn]);
  assert.equal(formatHost(reached.host), "h2:5432");
});

Deno.test("reachBackend() tries the next host when one is starting up", () => {
  reach(PLAIN, [
    isDialled("h1:5432"),
    hearsStartup,
    saysAll(startingUp),
    hangsUp,
    isDialled("h2:5432"),
    ...letsIn,
  ]);
});

Deno.test("reachBackend() tries the next host when one cannot be dialled in time", () => {
  reach(PLAIN, [
    answers(dial, () => {
      throw new ConnectTimeout();
    }),
    isDialled("h2:5432"),
    ...letsIn,
  ]);
});

Deno.test("reachBackend() tries the next host when one does not finish the handshake in time", () => {
  const hearsSslRequest = hears(encodeMessage(startupPacket, { kind: "SSLRequest" }));
  const late = answers(startTls, () => {
    throw new ConnectTimeout();
  });
  const secured = answers(startTls, () => ({}));
  reach("postgres://h1,h2", [
    ...[isDialled("h1:5432"), hearsSslRequest, says(bytes("S")), late, hangsUp],
    ...[isDialled("h2:5432"), hearsSslRequest, says(bytes("S")), secured, ...letsIn],
  ]);
});

Deno.test("reachBackend() tries the next host when one falls silent in the middle of a login", () => {
  const dialogue = reachBackend(parseTarget(PLAIN), REACH);
  dialogue.next(); // asks to dial h1
  dialogue.next(); // sends StartupMessage
  dialogue.next(); // waits for an answer
  assert.equal((dialogue.throw(new ConnectTimeout()).value as { question: unknown }).question, hangUp);
  const { input } = dialogue.next().value as { input: { host: { host: string } } };
  assert.equal(input.host.host, "h2");
});

Deno.test.each([
  { case: "authentication fails", said: error({ sqlstate: "28P01", message: "no" }), sqlstate: "28P01" },
  {
    case: "the database does not exist",
    said: error({ sqlstate: "3D000", message: "no" }),
    sqlstate: "3D000",
  },
  {
    case: "there are too many connections",
    said: error({ sqlstate: "53300", message: "no" }),
    sqlstate: "53300",
  },
  { case: "the protocol is broken", said: bytes("?", 0, 0, 0, 4), sqlstate: "08P01" },
])("reachBackend() tries no other host when $case", ({ said, sqlstate }) => {
  const thrown = refusal(PLAIN, [isDialled("h1:5432"), hearsStartup, saysAll(said)]);
  assert.equal(thrown.sqlstate, sqlstate);
  assert.match(thrown.reason!, /^h1:5432: /);
});

Deno.test("W4 reachBackend() tries no other host, and no plain text, when there is no TLS", () => {
  const thrown = refusal("postgres://h1,h2?sslmode=require", [
    isDialled("h1:5432"),
    hears(encodeMessage(startupPacket, { kind: "SSLRequest" })),
    says(bytes("N")),
  ]);
  assert.equal(thrown.sqlstate, "08001");
});

Deno.test("reachBackend() tells of every host it could not reach, in the log only", () => {
  const thrown = refusal(PLAIN, [cannotDial("h1:5432"), cannotDial("h2:5432")]);
  assert.equal(thrown.sqlstate, "08001");
  assert.equal(thrown.message, 'could not reach backend "orders"');
  assert.equal(thrown.reason, "h1:5432: connection refused; h2:5432: connection refused");
});

Deno.test("A12 reachBackend() passes 57P03 on when that was all that was wrong with a host", () => {
  const thrown = refusal(PLAIN, [
    isDialled("h1:5432"),
    hearsStartup,
    saysAll(startingUp),
    hangsUp,
    cannotDial("h2:5432"),
  ]);
  assert.equal(thrown.sqlstate, "57P03");
  assert.equal(thrown.message, "the database system is starting up");
  assert.match(thrown.reason!, /h2:5432: connection refused/);
});

Deno.test("reachBackend() does not go on when its time is up", () => {
  const thrown = refusal(PLAIN, [
    answers(dial, () => {
      throw new PgError("57014", "canceling authentication due to timeout");
    }),
  ]);
  assert.equal(thrown.sqlstate, "57014");
});

Deno.test("reachBackend() does not go on when it is the proxy that cannot serve", () => {
  const thrown = refusal("postgres://h1,h2?sslnegotiation=direct", [
    isDialled("h1:5432"),
    answers(startTls, () => {
      throw new PgError("57P03", "the proxy is draining", { blame: "proxy" });
    }),
  ]);
  assert.equal(thrown.message, "the proxy is draining");
});

interface Attribute {
  readonly attrs: string;
  readonly hotStandby: string;
  readonly readOnly: string;
  readonly isMet: boolean;
}

Deno.test.each<Attribute>([
  { attrs: "any", hotStandby: "on", readOnly: "on", isMet: true },
  { attrs: "read-write", hotStandby: "off", readOnly: "off", isMet: true },
  { attrs: "read-write", hotStandby: "off", readOnly: "on", isMet: false },
  { attrs: "read-write", hotStandby: "on", readOnly: "off", isMet: false },
  { attrs: "read-only", hotStandby: "off", readOnly: "off", isMet: false },
  { attrs: "read-only", hotStandby: "off", readOnly: "on", isMet: true },
  { attrs: "read-only", hotStandby: "on", readOnly: "off", isMet: true },
  { attrs: "primary", hotStandby: "off", readOnly: "on", isMet: true },
  { attrs: "primary", hotStandby: "on", readOnly: "off", isMet: false },
  { attrs: "standby", hotStandby: "on", readOnly: "off", isMet: true },
  { attrs: "standby", hotStandby: "off", readOnly: "on", isMet: false },
])(
  "target_session_attrs=$attrs with in_hot_standby $hotStandby, read only $readOnly: met is $isMet",
  ({ attrs, hotStandby, readOnly, isMet }) => {
    const url = `${PLAIN}&target_session_attrs=${attrs}`;
    const reports = [status("in_hot_standby", hotStandby), status("default_transaction_read_only", readOnly)];
    const first = [isDialled("h1:5432"), hearsStartup, saysAll(ok, ...reports, ready)];
    const left = [hearsTerminate, hangsUp];
    if (isMet) reach(url, first);
    else assert.equal(refusal(url, [...first, ...left, cannotDial("h2:5432")]).sqlstate, "08001");
  },
);

Deno.test.each([
  { attrs: "read-write", asks: "SHOW transaction_read_only", value: "off", isMet: true },
  { attrs: "read-write", asks: "SHOW transaction_read_only", value: "on", isMet: false },
  { attrs: "standby", asks: "SELECT pg_catalog.pg_is_in_recovery()", value: "t", isMet: true },
  { attrs: "primary", asks: "SELECT pg_catalog.pg_is_in_recovery()", value: "t", isMet: false },
])(
  "target_session_attrs=$attrs asks a backend that reports nothing, which says $value: met is $isMet",
  ({ attrs, asks, value, isMet }) => {
    const url = `${PLAIN}&target_session_attrs=${attrs}`;
    const first = [isDialled("h1:5432"), ...letsIn, hearsQuery(asks), saysAll(...row(value), ready)];
    const left = [hearsTerminate, hangsUp];
    if (isMet) reach(url, first);
    else assert.equal(refusal(url, [...first, ...left, cannotDial("h2:5432")]).sqlstate, "08001");
  },
);

Deno.test("what a backend says while it is asked is kept behind what it said before", () => {
  const [before, during] = [notice("before"), notice("during")];
  const reached = reach(`${PLAIN}&target_session_attrs=primary`, [
    isDialled("h1:5432"),
    hearsStartup,
    saysAll(ok, before, ready),
    hearsQuery("SELECT pg_catalog.pg_is_in_recovery()"),
    saysAll(during, ...row("f"), ready),
  ]);
  assert.deepEqual(reached.forwarded, [before, during]);
});

Deno.test("a backend that answers no row has broken the protocol", () => {
  const thrown = refusal(`${PLAIN}&target_session_attrs=primary`, [
    isDialled("h1:5432"),
    ...letsIn,
    hearsQuery("SELECT pg_catalog.pg_is_in_recovery()"),
    saysAll(ready),
  ]);
  assert.equal(thrown.sqlstate, "08P01");
});

Deno.test("target_session_attrs=prefer-standby takes a primary when there is no standby", () => {
  const primary = saysAll(ok, status("in_hot_standby", "off"), ready);
  const reached = reach(`${PLAIN}&target_session_attrs=prefer-standby`, [
    isDialled("h1:5432"),
    hearsStartup,
    primary,
    hearsTerminate,
    hangsUp,
    cannotDial("h2:5432"),
    isDialled("h1:5432"),
    hearsStartup,
    primary,
  ]);
  assert.equal(formatHost(reached.host), "h1:5432");
});

Deno.test("a host that is left and has gone already is no reason to stop", () => {
  const reached = reach(`${PLAIN}&target_session_attrs=standby`, [
    isDialled("h1:5432"),
    hearsStartup,
    saysAll(ok, status("in_hot_standby", "off"), ready),
    hearsTerminate,
    answers(hangUp, () => {
      throw new PgError("08006", "the connection was closed during login");
    }),
    hangsUp,
    isDialled("h2:5432"),
    hearsStartup,
    saysAll(ok, status("in_hot_standby", "on"), ready),
  ]);
  assert.equal(formatHost(reached.host), "h2:5432");
});

Deno.test("T17 no reason for the log holds the password", () => {
  const thrown = refusal("postgres://app:pencil@h1?sslmode=disable", [cannotDial("h1:5432")]);
  assert.doesNotMatch(Deno.inspect(thrown), /pencil/);
});

function isDialled(host: string): Step {
  return answers(dial, (asked) => assert.equal(formatHost(asked.host), host));
}

function cannotDial(host: string): Step {
  return answers(dial, (asked) => {
    assert.equal(formatHost(asked.host), host);
    throw new PgError("08001", "could not connect to the backend", { reason: "connection refused" });
  });
}

function hearsQuery(text: string): Step {
  return hears(encodeMessage(query, { kind: "Query", query: text }));
}

function row(value: string): Uint8Array[] {
  return [
    encodeMessage(rowDescription, { kind: "RowDescription", fields: new Uint8Array([0, 0]) }),
    encodeMessage(dataRow, { kind: "DataRow", values: [new TextEncoder().encode(value)] }),
    encodeMessage(commandComplete, { kind: "CommandComplete", tag: "SELECT 1" }),
  ];
}

function reach(url: string, script: readonly Step[]): Reached {
  return play(reachBackend(parseTarget(url), REACH), script);
}

function refusal(url: string, script: readonly Step[]): PgError {
  try {
    reach(url, script);
  } catch (thrown) {
    if (thrown instanceof PgError) return thrown;
    throw thrown;
  }
  throw new assert.AssertionError({ message: "the backend was reached" });
}
