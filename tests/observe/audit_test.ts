import assert from "node:assert/strict";
import { auditLine, auditTrail } from "../../lib/observe/audit.ts";
import type { ProxyEvent, SessionEvent } from "../../lib/observe/events.ts";

const NOW = Date.parse("2026-05-04T03:02:01.000Z");

function recorded(...events: (SessionEvent | ProxyEvent)[]): string[] {
  const lines: string[] = [];
  const observe = auditTrail({ write: (line) => lines.push(line), now: () => NOW });
  for (const event of events) observe(event);
  return lines;
}

const connection = { id: 7, clientAddress: "192.0.2.1:50000", tlsVersion: "TLSv1.3" };
const asked = { user: "alice", database: "shop", applicationName: "psql" };
const whose = {
  identity: "alice@example.com",
  tokenId: "t-1",
  issuer: "corp",
  rule: "staff",
  role: "app",
  backend: "main",
  database: "orders",
};
const authenticated: SessionEvent = {
  connection,
  kind: "authenticated",
  method: "password",
  asked,
  ...whose,
  durationMs: 12,
  stages: [],
};
const refused: SessionEvent = {
  connection,
  kind: "login_refused",
  method: "password",
  asked,
  sqlstate: "28P01",
  message: 'token authentication failed for user "alice"',
  fault: "no_rule",
  reason: "no rule lets in alice",
  blame: "frontend",
  whose: { issuer: "corp", identity: "alice@example.com", tokenId: "t-1" },
  durationMs: 3,
  stages: [],
};
const ended: SessionEvent = {
  connection,
  kind: "session_ended",
  backend: "main",
  how: "ended_by_policy",
  reason: "its token has expired",
  durationMs: 5000,
  bytesIn: 1,
  bytesOut: 2,
  transactions: 3,
};
const COMMON = {
  time: "2026-05-04T03:02:01.000Z",
  connection: 7,
  client_address: "192.0.2.1:50000",
  tls_version: "TLSv1.3",
};
const WHOSE = {
  method: "password",
  issuer: "corp",
  identity: "alice@example.com",
  token_id: "t-1",
  rule: "staff",
  user: "alice",
  role: "app",
  database: "orders",
  backend: "main",
  application: "psql",
};

Deno.test("auditTrail() writes a login and its end, each to be understood alone", () => {
  const lines = recorded(authenticated, ended);
  assert.deepEqual(lines.map((line) => JSON.parse(line)), [
    { ...COMMON, event: "login", ...WHOSE, duration_ms: 12 },
    {
      ...{ ...COMMON, event: "session_end", ...WHOSE, bytes_in: 1, bytes_out: 2, transactions: 3 },
      ...{ duration_ms: 5000, how: "ended_by_policy", reason: "its token has expired" },
    },
  ]);
  assert(lines.every((line) => line.endsWith("}\n")));
});

Deno.test("auditTrail() writes a refusal with what was known, and the database that was asked for", () => {
  const [line] = recorded(refused);
  assert.deepEqual(JSON.parse(line), {
    ...{ ...COMMON, event: "refusal", method: "password", issuer: "corp", identity: "alice@example.com" },
    ...{ token_id: "t-1", user: "alice", database: "shop", application: "psql", sqlstate: "28P01" },
    ...{ message: 'token authentication failed for user "alice"', fault: "no_rule" },
    ...{ reason: "no rule lets in alice", blame: "frontend", duration_ms: 3 },
  });
});

Deno.test("auditTrail() tells of a session it has not seen begin as much as its end does", () => {
  const [line] = recorded(ended);
  const { identity, backend, how } = JSON.parse(line);
  assert.deepEqual({ identity, backend, how }, {
    identity: undefined,
    backend: "main",
    how: "ended_by_policy",
  });
});

Deno.test("auditTrail() forgets a session that has ended", () => {
  const [, , again] = recorded(authenticated, ended, ended);
  assert.equal(JSON.parse(again).identity, undefined);
});

Deno.test.each<[SessionEvent | ProxyEvent]>([
  [{ connection, kind: "connection_opened" }],
  [{ connection, kind: "tls_established", isDirect: false }],
  [{ connection, kind: "token_accepted", method: "password", issuer: "corp", asked }],
  [{ connection, kind: "discovery_answered", asked, durationMs: 1 }],
  [{ connection, kind: "cancel_requested", isKnown: true }],
  [{ kind: "drained", sessionsCut: 1 }],
])("auditTrail() writes nothing of %o", (event) => {
  assert.deepEqual(recorded(event), []);
});

Deno.test("W16 auditLine() keeps hostile names on one line, visible, and to be read back as they were", () => {
  const hostile = 'x\n{"event":"login"}\x1b[2J\0\u202e\u{e0041}\ud800"\\';
  const line = auditLine({ event: "refusal", user: hostile });
  assert.match(line, /^[^\p{C}]*\n$/u);
  assert.equal(JSON.parse(line).user, hostile);
});

Deno.test("W16 auditLine() cuts a name that would fill the disk", () => {
  const line = auditLine({ user: "\u{1f600}".repeat(5000) });
  assert(line.length < 2000);
  assert.doesNotThrow(() => JSON.parse(line));
});
