import assert from "node:assert/strict";
import { PgError, type PgErrorOptions } from "../../lib/errors.ts";
import { CannotServe } from "../../lib/listening.ts";
import type { ProxyEvent, SessionEvent } from "../../lib/observe/events.ts";
import { logEntryOf } from "../../lib/observe/log_entry.ts";
import { type TokenFault, TokenRefused } from "../../lib/token/refused_token.ts";
import { packError, packEvent, unpackError, unpackEvent } from "../../lib/workers/parcel.ts";

/** What becomes of it in another thread. */
function sentError(thrown: unknown): unknown {
  return unpackError(structuredClone(packError(thrown)));
}

function sentEvent(event: SessionEvent | ProxyEvent): SessionEvent | ProxyEvent {
  return unpackEvent(structuredClone(packEvent(event)));
}

Deno.test("a PgError arrives as it was, with all that it carries and what caused it", () => {
  const options: PgErrorOptions = {
    severity: "ERROR",
    detail: "a detail",
    hint: "a hint",
    blame: "operator",
    reason: "a reason",
    fault: "a_fault",
    cause: new TokenRefused("denied", "withdrawn"),
  };
  const sent = sentError(new PgError("28P01", "not you", options));
  assert(sent instanceof PgError);
  const { sqlstate, message, cause, ...rest } = sent;
  assert.deepEqual([sqlstate, message], ["28P01", "not you"]);
  assert.deepEqual({ ...rest, cause: undefined }, { ...options, name: "PgError", cause: undefined });
  assert(cause instanceof TokenRefused);
  assert.equal(cause.message, "withdrawn");
});

Deno.test("a PgError of which little is said arrives as it was", () => {
  const error = new PgError("57P01", "leaving");
  const sent = sentError(error);
  assert(sent instanceof PgError);
  assert.deepEqual({ ...sent, message: sent.message }, { ...error, message: error.message });
  assert.equal(sent.cause, undefined);
});

Deno.test.each<[TokenFault, string]>([["expired", "frontend"], ["issuer_unavailable", "issuer"]])(
  "a TokenRefused arrives with its fault %s, and whose it is",
  (fault, blame) => {
    const sent = sentError(new TokenRefused(fault, "why"));
    assert(sent instanceof TokenRefused);
    assert.deepEqual([sent.fault, sent.message, sent.blame], [fault, "why", blame]);
  },
);

Deno.test("a CannotServe arrives as one", () => {
  const sent = sentError(new CannotServe("an address is taken"));
  assert(sent instanceof CannotServe);
  assert.equal(sent.message, "an address is taken");
});

Deno.test("any other error arrives with its name, code, stack and causes", () => {
  const cause = Object.assign(new Error("reset"), { code: "ECONNRESET" });
  const error = new Deno.errors.NotFound("no such file", { cause });
  const sent = sentError(error) as Error & { code?: string };
  assert(sent instanceof Error);
  assert.deepEqual([sent.name, sent.message, sent.stack], ["NotFound", "no such file", error.stack]);
  assert.equal("code" in sent, false);
  const inner = sent.cause as Error & { code?: string };
  assert.deepEqual([inner.message, inner.code], ["reset", "ECONNRESET"]);
});

Deno.test("a code that is a number is left out", () => {
  assert.equal("code" in (sentError(Object.assign(new Error("oh"), { code: 3 })) as Error), false);
});

Deno.test.each<[string, unknown, string]>([
  ["a text", "a text", "a text"],
  ["a number", 3, "3"],
  ["undefined", undefined, "undefined"],
  ["null", null, "null"],
  ["a symbol", Symbol("s"), "Symbol(s)"],
  ["an object", {}, "[object Object]"],
  ["an object without a text", Object.create(null), "something that has no text"],
])("%s that was thrown arrives as text", (_name, thrown, text) => {
  assert.equal(sentError(thrown), text);
});

Deno.test("an error that is its own cause arrives, with a few of them", () => {
  const error = new Error("round and round");
  error.cause = new PgError("XX000", "again", { cause: error });
  let sent = sentError(error) as Error | undefined;
  let count = 0;
  for (; sent !== undefined; sent = sent.cause as Error | undefined) {
    assert.equal(sent.message, count++ % 2 === 0 ? "round and round" : "again");
  }
  assert.equal(count, 9);
});

const connection = {
  id: 7,
  clientAddress: "[2001:db8::1]:50000",
  tlsVersion: "TLSv1.3",
  via: "10.0.0.1:1",
};
const asked = { user: "al\u202eice\n\0", database: "d'b", applicationName: "x".repeat(10_000) };
const whose = {
  identity: "alice\ud800",
  tokenId: "t",
  issuer: "corp",
  rule: "rules[2]",
  role: "r",
  backend: "main",
  database: "d",
};
const stages = [{ name: "tls", startedMs: 1, durationMs: 2 }] as const;
const cause = new PgError("08006", "it left", { cause: new Error("reset") });

/** One of each kind, and of each the parts that may be left out. */
const EVENTS: readonly (SessionEvent | ProxyEvent)[] = [
  { connection, kind: "connection_opened" },
  { connection: { id: 1, clientAddress: "192.0.2.1:9" }, kind: "connection_opened" },
  { connection, kind: "message_traced", peer: "client", message: 'F\t13\tQuery\t "select \\x00"' },
  { connection, kind: "tls_established", isDirect: true },
  { connection, kind: "cancel_requested", isKnown: false },
  { connection, kind: "cancel_failed", cause },
  { connection, kind: "token_accepted", method: "password", issuer: "corp", asked },
  { connection, kind: "backend_tried", backend: "main", host: "/run/postgresql", isReached: false },
  { connection, kind: "limit_hit", limit: "unauthenticated", isNews: true, passedOver: 4 },
  { connection, kind: "discovery_answered", asked: {}, durationMs: 3.5 },
  {
    connection,
    kind: "login_refused",
    method: "password",
    sqlstate: "28P01",
    message: "not you",
    reason: "expired",
    fault: "expired",
    blame: "frontend",
    cause,
    whose: { issuer: "corp" },
    asked,
    durationMs: 4,
    stages,
  },
  {
    connection,
    kind: "login_refused",
    sqlstate: "XX000",
    message: "internal error",
    blame: "proxy",
    cause: "no error at all",
    asked: {},
    durationMs: 4,
    stages: [],
  },
  { connection, kind: "authenticated", asked, ...whose, method: "oauthbearer", durationMs: 12, stages },
  { connection, kind: "reintrospection_failed", issuer: "corp" },
  {
    connection,
    kind: "session_ended",
    how: "backend_left",
    backend: "main",
    durationMs: 3,
    bytesIn: 2 ** 40,
    bytesOut: 0,
    transactions: 9,
    reason: "why",
    cause,
  },
  { kind: "listening", address: "[::]:6432", isTlsOffered: true },
  { kind: "accept_paused", cause: Object.assign(new Error("files"), { code: "EMFILE" }), pauseMs: 1000 },
];

Deno.test.each(EVENTS.map((event) => [event.kind, event] as const))(
  "the event %s is told in another thread as in its own",
  (_kind, event) => {
    const sent = sentEvent(event);
    const withoutCause = (one: SessionEvent | ProxyEvent) => ({ ...one, cause: undefined });
    assert.deepEqual(withoutCause(sent), withoutCause(event));
    assert.deepEqual(toldOf(sent), toldOf(event));
  },
);

/** What the log says of it. */
function toldOf(event: SessionEvent | ProxyEvent) {
  const { fields, ...entry } = logEntryOf(event);
  return { ...entry, fields: Object.entries(fields).map(([name, value]) => [name, String(value)]) };
}

Deno.test("an event without a cause is not copied", () => {
  const event: SessionEvent = { connection, kind: "connection_opened" };
  assert.equal(packEvent(event), event);
});
