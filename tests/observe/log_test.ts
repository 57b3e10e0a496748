import assert from "node:assert/strict";
import type { ProxyEvent, SessionEvent } from "../../lib/observe/events.ts";
import { logLineOf, openLog } from "../../lib/observe/log.ts";
import type { LogSettings } from "../../lib/observe/schema.ts";
import { Secret } from "../../lib/secret.ts";

function logged(settings: LogSettings, ...events: (SessionEvent | ProxyEvent)[]): string[] {
  const lines: string[] = [];
  using log = openLog(settings, (line) => lines.push(line));
  for (const event of events) log.observe(event);
  return lines.map((line) => line.replace(/\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z/, "TIME"));
}

const connection = { id: 7, clientAddress: "192.0.2.1:50000" };
const asked = { user: "alice", database: "orders", applicationName: "psql" };

const authenticated: SessionEvent = {
  connection,
  kind: "authenticated",
  asked,
  method: "password",
  identity: "alice@example.com",
  issuer: "corp",
  rule: "rules[0]",
  role: "alice",
  backend: "orders",
  database: "orders",
  durationMs: 12,
  stages: [],
};

const refused: SessionEvent = {
  connection,
  kind: "login_refused",
  asked,
  sqlstate: "28P01",
  message: "login refused",
  reason: "rules[0] does not match the claim sub",
  blame: "frontend",
  durationMs: 3,
  stages: [],
};

Deno.test("openLog() writes a login as one text line", () => {
  assert.deepEqual(logged({ level: "info", format: "text" }, authenticated), [
    "TIME info session authenticated connection=7 client_address=192.0.2.1:50000 method=password identity=alice@example.com" +
    " issuer=corp rule=rules[0] role=alice backend=orders user=alice database=orders application_name=psql duration_ms=12\n",
  ]);
});

Deno.test("openLog() tells a client's address, and behind it the balancer's", () => {
  const behind = { ...connection, via: "10.0.0.5:40000" };
  const [line] = logged({ level: "debug", format: "text" }, {
    connection: behind,
    kind: "connection_opened",
  });
  assert.equal(
    line,
    "TIME debug connection opened connection=7 client_address=192.0.2.1:50000 via=10.0.0.5:40000\n",
  );
});

Deno.test("openLog() writes a login as one JSON object", () => {
  const [line] = logged({ level: "info", format: "json" }, authenticated);
  assert.deepEqual(JSON.parse(line), {
    timestamp: "TIME",
    severity: "info",
    message: "session authenticated",
    connection: 7,
    client_address: "192.0.2.1:50000",
    method: "password",
    identity: "alice@example.com",
    issuer: "corp",
    rule: "rules[0]",
    role: "alice",
    backend: "orders",
    user: "alice",
    database: "orders",
    application_name: "psql",
    duration_ms: 12,
  });
});

Deno.test.each<[ProxyEvent, string]>([
  [{ kind: "accept_paused", cause: new Error("too many open files"), pauseMs: 1000 }, "error"],
  [{ kind: "issuer_fetch_failed", issuer: "corp", reason: "timed out" }, "warning"],
  [{ kind: "drained", sessionsCut: 0 }, "info"],
])(
  "openLog() writes %o for Fluentd as message, severity and timestamp, then the fields",
  (event, severity) => {
    const [line] = logged({ level: "trace", format: "fluent" }, event);
    const [first, second, third, ...fields] = Object.entries(JSON.parse(line));
    assert.deepEqual([first[0], second, third], ["message", ["severity", severity], ["timestamp", "TIME"]]);
    assert(fields.length > 0);
  },
);

Deno.test("logLineOf() writes an event whatever the level", () => {
  const event: ProxyEvent = { kind: "lines_lost", output: "log", lines: 3 };
  assert.match(logLineOf(event, "text"), /^\S+ debug lines lost output=log lines=3\n$/);
});

Deno.test("openLog() quotes values with spaces, and leaves out what has none", () => {
  assert.deepEqual(logged({ level: "info", format: "text" }, { ...refused, asked: { user: 'a "b"' } }), [
    'TIME info login refused connection=7 client_address=192.0.2.1:50000 sqlstate=28P01 told="login refused"' +
    ' reason="rules[0] does not match the claim sub" blame=frontend user="a \\"b\\"" duration_ms=3\n',
  ]);
});

Deno.test.each([
  ["error", ["error"]],
  ["warn", ["error", "warn"]],
  ["info", ["error", "warn", "info"]],
  ["debug", ["error", "warn", "info", "debug"]],
  ["trace", ["error", "warn", "info", "debug"]],
])("openLog() at level %s writes %j", (level, expected) => {
  const lines = logged(
    { level: level as LogSettings["level"], format: "text" },
    { kind: "accept_paused", cause: new Error("too many open files"), pauseMs: 1000 },
    { kind: "issuer_fetch_failed", issuer: "corp", reason: "timed out" },
    { kind: "drained", sessionsCut: 0 },
    { connection, kind: "connection_opened" },
  );
  assert.deepEqual(lines.map((line) => line.split(" ")[1]), expected);
});

Deno.test.each(
  [
    ["frontend", "info"],
    ["backend", "warn"],
    ["issuer", "warn"],
    ["operator", "error"],
    ["proxy", "error"],
  ] as const,
)("openLog() writes a refusal that the %s is to blame for as %s", (blame, level) => {
  const [line] = logged({ level: "trace", format: "text" }, { ...refused, blame });
  assert.equal(line.split(" ")[1], level);
});

Deno.test.each(["text", "json", "fluent"] as const)(
  "W16 openLog() as %s keeps hostile names on one line, escaped and cut",
  (format) => {
    const hostile = "x\n2026-01-01 info forged\x1b[2J\0\u202e" + "a".repeat(10_240);
    const lines = logged({ level: "trace", format }, {
      ...authenticated,
      identity: hostile,
      asked: { user: hostile, database: hostile, applicationName: hostile },
    });
    assert.equal(lines.length, 1);
    assert.match(lines[0], /^[^\p{C}]*\n$/u);
    assert.ok(lines[0].length < 1500);
  },
);

Deno.test.each(["text", "json", "fluent"] as const)(
  "T17 openLog() as %s prints a secret as [secret]",
  (format) => {
    const secret = new Secret("hunter2");
    const lines = logged({ level: "trace", format }, {
      ...refused,
      reason: `password ${secret}`,
      cause: secret,
      asked: { user: secret as unknown as string },
    });
    assert.equal(lines.join("").includes("hunter2"), false);
    assert.equal(lines.join("").split("[secret]").length, 4);
  },
);

Deno.test("openLog() shows the stack of a bug of ours, and of a peer's fault only the error", () => {
  const settings: LogSettings = { level: "trace", format: "text" };
  const cause = new TypeError("x is not a function");
  const [bug] = logged(settings, { ...refused, blame: "proxy", cause });
  assert.match(bug, /cause="TypeError: x is not a function\\n {4}at /);
  const [fault] = logged(settings, { ...refused, blame: "backend", cause });
  assert.match(fault, /cause="TypeError: x is not a function" /);
});

Deno.test.each<[SessionEvent | ProxyEvent, string]>([
  [
    { connection, kind: "connection_opened" },
    "debug connection opened connection=7 client_address=192.0.2.1:50000",
  ],
  [
    { connection, kind: "tls_established", isDirect: true },
    "debug TLS established connection=7 client_address=192.0.2.1:50000 direct=true",
  ],
  [
    { connection, kind: "cancel_requested", isKnown: false },
    "debug cancel requested connection=7 client_address=192.0.2.1:50000 known=false",
  ],
  [
    { connection, kind: "token_accepted", method: "jwt_password", issuer: "corp", asked: {} },
    "debug token accepted connection=7 client_address=192.0.2.1:50000 method=jwt_password issuer=corp",
  ],
  [
    {
      connection,
      kind: "session_ended",
      backend: "orders",
      how: "client_left",
      durationMs: 5,
      bytesIn: 1,
      bytesOut: 2,
      transactions: 3,
    },
    "info session ended connection=7 client_address=192.0.2.1:50000 how=client_left duration_ms=5 bytes_in=1 bytes_out=2 transactions=3",
  ],
  [
    { kind: "listening", address: "[::]:6432", isTlsOffered: true },
    "info listening address=[::]:6432 tls=true",
  ],
  [
    { kind: "accept_paused", cause: "EMFILE", pauseMs: 100 },
    "error accepting connections paused pause_ms=100 reason=EMFILE",
  ],
  [
    { kind: "issuer_keys_changed", issuer: "corp", keys: 2 },
    "info key set of an issuer changed issuer=corp keys=2",
  ],
  [
    { kind: "issuer_refused_proxy", issuer: "corp", reason: "status 401" },
    'error issuer refused the proxy\'s credentials issuer=corp reason="status 401"',
  ],
  [
    { kind: "issuer_introspection_unusable", issuer: "corp", reason: "timeout" },
    "warn issuer cannot be asked about tokens issuer=corp reason=timeout",
  ],
  [
    { kind: "issuer_introspection_stopped", issuer: "corp", reason: "timeout" },
    "warn issuer does not answer about tokens issuer=corp reason=timeout",
  ],
  [
    { kind: "issuer_introspection_resumed", issuer: "corp" },
    "info issuer answers about tokens again issuer=corp",
  ],
  [
    { connection, kind: "reintrospection_failed", issuer: "corp" },
    "warn issuer could not be asked about a session's token connection=7 client_address=192.0.2.1:50000 issuer=corp",
  ],
  [
    {
      ...{
        connection,
        kind: "session_ended",
        backend: "orders",
        how: "ended_by_policy",
        reason: "its time is over",
      },
      ...{ durationMs: 5, bytesIn: 1, bytesOut: 2, transactions: 3 },
    },
    "info session ended connection=7 client_address=192.0.2.1:50000 how=ended_by_policy" +
    ' reason="its time is over" duration_ms=5 bytes_in=1 bytes_out=2 transactions=3',
  ],
  [{ kind: "deny_list_changed", issuer: "corp", entries: 2 }, "info deny list changed issuer=corp entries=2"],
  [
    { kind: "deny_list_failed", issuer: "corp", reason: "denied.txt:1 is wrong" },
    'error deny list cannot be used, what it said before holds issuer=corp reason="denied.txt:1 is wrong"',
  ],
  [
    {
      kind: "output_failed",
      output: "audit",
      path: "/var/log/audit.jsonl",
      reason: "No space left on device",
    },
    'error file cannot be written output=audit path=/var/log/audit.jsonl reason="No space left on device"',
  ],
  [{ kind: "lines_lost", output: "audit", lines: 3 }, "debug lines lost output=audit lines=3"],
  [
    { kind: "output_resumed", output: "log", path: "/var/log/proxy.log", lines: 3 },
    "warn file can be written again output=log path=/var/log/proxy.log lines_lost=3",
  ],
  [
    { kind: "backend_probed", backend: "main", isNews: false, durationMs: 4 },
    "debug backend answers backend=main duration_ms=4",
  ],
  [
    { kind: "backend_probed", backend: "main", isNews: true, durationMs: 4 },
    "info backend answers backend=main duration_ms=4",
  ],
  [
    { kind: "backend_probed", backend: "main", problem: "db: timed out", isNews: true, durationMs: 4 },
    'warn backend does not answer backend=main reason="db: timed out" duration_ms=4',
  ],
  [
    { kind: "backend_probed", backend: "main", problem: "timed out", isNews: false, durationMs: 4 },
    'debug backend does not answer backend=main reason="timed out" duration_ms=4',
  ],
  [
    { kind: "admin_listening", address: "127.0.0.1:9187", isTlsOffered: false },
    "info listening for admin address=127.0.0.1:9187 tls=false",
  ],
  [
    { kind: "notify_failed", reason: "it is not there" },
    'error the service manager cannot be told reason="it is not there"',
  ],
  [{ kind: "configuration_reloaded", sessions: 3 }, "info configuration reloaded sessions=3"],
  [
    { kind: "reload_failed", reason: "c.toml:1: one\nc.toml:2: two" },
    'error configuration not reloaded, the old one stays reason="c.toml:1: one; c.toml:2: two"',
  ],
  [
    { kind: "worker_lost", worker: 2, reason: "Uncaught TypeError: boom", connections: 3, delayMs: 100 },
    'error a worker was lost, and its connections with it worker=2 reason="Uncaught TypeError: boom" connections=3 restart_in_ms=100',
  ],
  [{ kind: "worker_restarted", worker: 2 }, "info a worker serves again worker=2"],
  [
    { kind: "draining", sessions: 3, graceMs: 30_000, delayMs: 0 },
    "info draining sessions=3 grace_ms=30000 delay_ms=0",
  ],
])("openLog() tells %o", (event, expected) => {
  assert.deepEqual(logged({ level: "trace", format: "text" }, event), [`TIME ${expected}\n`]);
});
