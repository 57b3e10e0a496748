import assert from "node:assert/strict";
import type { Census } from "../../lib/observe/census.ts";
import type { AskedFor, ProxyEvent, SessionEvent } from "../../lib/observe/events.ts";
import { Metrics } from "../../lib/observe/metrics.ts";
import { ManualClock } from "../support/manual_clock.ts";
import { valuesOf } from "./metric_lines.ts";

type Event<K extends (SessionEvent | ProxyEvent)["kind"]> = Extract<SessionEvent | ProxyEvent, { kind: K }>;

const connection = { id: 7, clientAddress: "192.0.2.1:50000" };
const asked = { user: "alice", database: "orders" };
const tls = { name: "tls", startedMs: 1, durationMs: 4 } as const;
const token = { name: "token", startedMs: 6, durationMs: 0.5 } as const;
const backend = { name: "backend", startedMs: 7, durationMs: 20 } as const;

const authenticated: Event<"authenticated"> = {
  ...{ connection, kind: "authenticated", asked, method: "password", identity: "alice@example.com" },
  ...{ issuer: "corp", rule: "staff", role: "alice", backend: "orders", database: "orders" },
  ...{ durationMs: 30, stages: [tls, token, backend] },
};

const refused: Event<"login_refused"> = {
  ...{ connection, kind: "login_refused", asked, sqlstate: "28P01", message: "refused", blame: "frontend" },
  ...{ method: "password", fault: "expired", durationMs: 3, stages: [tls, token] },
};

const ended: Event<"session_ended"> = {
  ...{ connection, kind: "session_ended", backend: "orders", how: "client_left" },
  ...{ durationMs: 5, bytesIn: 100, bytesOut: 2000, transactions: 3 },
};

const census: Census = { logins: 0, sessions: [], carried: [], keySets: [], certificates: [] };

/** Metrics that go by a clock of their own. */
function startMetrics(): Metrics {
  return new Metrics(new ManualClock());
}

const SUCCESS = '{result="success",reason="none",blame="none",method="password"}';
const EXPIRED = '{result="failure",reason="expired",blame="frontend",method="password"}';

Deno.test.each<[event: SessionEvent | ProxyEvent, series: readonly string[]]>([
  [{ connection, kind: "connection_opened" }, ["pg_auth_proxy_connections_total"]],
  [authenticated, [`pg_auth_proxy_logins_total${SUCCESS}`]],
  [refused, [`pg_auth_proxy_logins_total${EXPIRED}`, "sql_auth_failures_total"]],
  [
    { connection, kind: "token_accepted", method: "oauthbearer", issuer: "corp", asked },
    ["sql_auth_successes_total", 'pg_auth_proxy_tokens_accepted_total{issuer="corp",method="oauthbearer"}'],
  ],
  [
    { connection, kind: "backend_tried", backend: "orders", host: "db1.internal", isReached: true },
    [
      'target_dial_successes_total{host="db1.internal"}',
      'pg_auth_proxy_backend_logins_total{backend="orders",result="success"}',
    ],
  ],
  [
    { connection, kind: "backend_tried", backend: "orders", host: "db1.internal", isReached: false },
    [
      'target_dial_failures_total{host="db1.internal"}',
      'pg_auth_proxy_backend_logins_total{backend="orders",result="failure"}',
    ],
  ],
  [{ connection, kind: "discovery_answered", asked, durationMs: 5 }, ["pg_auth_proxy_discoveries_total"]],
  [
    { connection, kind: "cancel_requested", isKnown: true },
    ['pg_auth_proxy_cancels_total{result="accepted"}'],
  ],
  [
    { connection, kind: "cancel_requested", isKnown: false },
    ['pg_auth_proxy_cancels_total{result="unknown"}'],
  ],
  [
    { connection, kind: "limit_hit", limit: "unauthenticated", isNews: false, passedOver: 7 },
    ['pg_auth_proxy_limits_hit_total{limit="unauthenticated"}'],
  ],
  [{ connection, kind: "cancel_failed", cause: "gone" }, ["pg_auth_proxy_cancel_failures_total"]],
  [ended, ['pg_auth_proxy_sessions_ended_total{backend="orders",how="client_left"}']],
  [
    { connection, kind: "reintrospection_failed", issuer: "corp" },
    ['pg_auth_proxy_reintrospection_failures_total{issuer="corp"}'],
  ],
  [
    { kind: "accept_paused", cause: new Error("EMFILE"), pauseMs: 1000 },
    ["pg_auth_proxy_accept_pauses_total"],
  ],
  [
    { kind: "issuer_keys_changed", issuer: "corp", keys: 2 },
    ['pg_auth_proxy_issuer_fetches_total{issuer="corp",result="changed"}'],
  ],
  [
    { kind: "issuer_keys_unchanged", issuer: "corp" },
    ['pg_auth_proxy_issuer_fetches_total{issuer="corp",result="unchanged"}'],
  ],
  [
    { kind: "issuer_fetch_failed", issuer: "corp", reason: "timeout" },
    ['pg_auth_proxy_issuer_fetches_total{issuer="corp",result="failed"}'],
  ],
  [
    { kind: "issuer_key_skipped", issuer: "corp", index: 0, reason: "is a private key" },
    ['pg_auth_proxy_issuer_keys_skipped_total{issuer="corp"}'],
  ],
  [
    { kind: "issuer_introspected", issuer: "corp", outcome: "inactive" },
    ['pg_auth_proxy_introspections_total{issuer="corp",result="inactive"}'],
  ],
  [
    { kind: "issuer_introspection_stopped", issuer: "corp", reason: "timeout" },
    ['pg_auth_proxy_introspection_stops_total{issuer="corp"}'],
  ],
  [
    { kind: "validator_restarting", issuer: "corp", reason: "it has ended", delayMs: 100 },
    ['pg_auth_proxy_validator_restarts_total{issuer="corp"}'],
  ],
  [
    { kind: "deny_list_changed", issuer: "corp", entries: 1 },
    ['pg_auth_proxy_deny_list_entries{issuer="corp"}'],
  ],
  [
    { kind: "deny_list_failed", issuer: "corp", reason: "it is gone" },
    ['pg_auth_proxy_deny_list_failures_total{issuer="corp"}'],
  ],
  [
    { kind: "backend_probed", backend: "orders", isNews: true, durationMs: 5 },
    ['pg_auth_proxy_backend_up{backend="orders"}'],
  ],
  [
    { kind: "output_failed", output: "audit", path: "audit.jsonl", reason: "no space left" },
    ['pg_auth_proxy_output_failures_total{output="audit"}'],
  ],
  [
    { kind: "lines_lost", output: "log", lines: 1 },
    ['pg_auth_proxy_lines_lost_total{output="log"}'],
  ],
  [{ kind: "configuration_reloaded", sessions: 3 }, ['pg_auth_proxy_reloads_total{result="success"}']],
  [{ kind: "reload_failed", reason: "no" }, ['pg_auth_proxy_reloads_total{result="failure"}']],
  [{ kind: "draining", sessions: 3, graceMs: 30_000, delayMs: 0 }, ["pg_auth_proxy_drains_total"]],
  [
    { kind: "worker_lost", worker: 2, reason: "boom", connections: 3, delayMs: 100 },
    ["pg_auth_proxy_workers_lost_total"],
  ],
  [{ kind: "drained", sessionsCut: 1 }, ["pg_auth_proxy_sessions_cut_total"]],
])("observe() counts %j", async (event, series) => {
  using metrics = startMetrics();
  const before = await valuesOf(metrics);
  metrics.observe(event);
  const after = await valuesOf(metrics);
  for (const one of series) assert.equal(after.get(one), (before.get(one) ?? 0) + 1, one);
});

Deno.test("a client refused by its backend has authenticated before", async () => {
  using metrics = startMetrics();
  metrics.observe({ ...refused, fault: undefined, sqlstate: "08001", stages: [tls, token, backend] });
  assert.equal((await valuesOf(metrics)).get("sql_auth_failures_total"), 0);
});

Deno.test("a connection that never asked for a way in is no failed authentication", async () => {
  using metrics = startMetrics();
  metrics.observe({ ...refused, fault: undefined, sqlstate: "08P01", method: undefined, stages: [] });
  const values = await valuesOf(metrics);
  assert.equal(values.get("sql_auth_failures_total"), 0);
  const labels = 'result="failure",reason="protocol_violation",blame="frontend",method="none"';
  assert.equal(values.get(`pg_auth_proxy_logins_total{${labels}}`), 1);
});

Deno.test.each<[sqlstate: string, fault: string | undefined, limit: string | undefined]>([
  ["53300", "failed_logins", "failed_logins"],
  ["57014", "login_timeout", "login_timeout"],
  ["53300", undefined, undefined],
  ["28P01", "expired", undefined],
])("a login refused by %s for %s hits the limit %s", async (sqlstate, fault, limit) => {
  using metrics = startMetrics();
  metrics.observe({ ...refused, sqlstate, fault });
  const hits = [...await valuesOf(metrics)].filter(([name]) => name.startsWith("pg_auth_proxy_limits_hit"));
  const expected = [[`pg_auth_proxy_limits_hit_total{limit="${limit}"}`, 1]];
  assert.deepEqual(hits, limit === undefined ? [] : expected);
});

Deno.test.each<[event: SessionEvent, stage: string, result: string, seconds: number | undefined]>([
  [authenticated, "tls", "success", 0.004],
  [authenticated, "token", "success", 0.0005],
  [authenticated, "backend", "success", 0.02],
  [authenticated, "total", "success", 0.03],
  [refused, "token", "failure", 0.0005],
  [refused, "total", "failure", 0.003],
  [refused, "backend", "failure", undefined],
])("observe() times the stages of %j: %s of a %s", async (event, stage, result, seconds) => {
  using metrics = startMetrics();
  metrics.observe(event);
  const values = await valuesOf(metrics);
  assert.equal(values.get(`pg_auth_proxy_login_seconds_sum{stage="${stage}",result="${result}"}`), seconds);
});

Deno.test("a reload that succeeds tells when, one that fails does not", async () => {
  const clock = new ManualClock(1_000_000);
  using metrics = new Metrics({ ...clock, wallClock: clock.now });
  const refreshedAt = async () => (await valuesOf(metrics)).get("config_refresh_time_seconds");
  assert.equal(await refreshedAt(), 1000);
  clock.advance(60_000);
  metrics.observe({ kind: "reload_failed", reason: "no" });
  assert.equal(await refreshedAt(), 1000);
  metrics.observe({ kind: "configuration_reloaded", sessions: 0 });
  assert.equal(await refreshedAt(), 1060);
});

Deno.test("a backend is up when it was reached, down when it did not answer, and forgotten at a reload", async () => {
  using metrics = startMetrics();
  const isUp = async () => (await valuesOf(metrics)).get('pg_auth_proxy_backend_up{backend="orders"}');
  const probed = { kind: "backend_probed", backend: "orders", isNews: true, durationMs: 5 } as const;
  const tried = { connection, kind: "backend_tried", backend: "orders", host: "db1" } as const;
  metrics.observe({ ...tried, isReached: false });
  assert.equal(await isUp(), undefined);
  metrics.observe({ ...tried, isReached: true });
  assert.equal(await isUp(), 1);
  metrics.observe({ ...probed, problem: "it does not answer" });
  assert.equal(await isUp(), 0);
  metrics.observe({ kind: "configuration_reloaded", sessions: 0 });
  assert.equal(await isUp(), undefined);
});

Deno.test("text() counts sessions by backend and state when it is asked for", async () => {
  using metrics = startMetrics();
  const idle = { backend: "orders", state: "idle", count: 2 } as const;
  const busy = { backend: "orders", state: "active", count: 1 } as const;
  metrics.watch(() => ({ ...census, logins: 4, sessions: [idle, busy] }));
  const values = await valuesOf(metrics);
  assert.equal(values.get('pg_auth_proxy_sessions{backend="orders",state="idle"}'), 2);
  assert.equal(values.get('pg_auth_proxy_sessions{backend="orders",state="active"}'), 1);
  assert.equal(values.get('pg_auth_proxy_connections{phase="login"}'), 4);
  assert.equal(values.get('pg_auth_proxy_connections{phase="session"}'), 3);
  assert.equal(values.get("open_connection_count"), 7);
});

Deno.test("what is not in the census any more has no series", async () => {
  using metrics = startMetrics();
  const sessions = [{ backend: "old", state: "idle", count: 1 }] as const;
  const carried = [{ backend: "old", bytesIn: 0, bytesOut: 0, transactions: 0 }];
  const keySets = [{ issuer: "old", keys: 1, ageMs: 5 }];
  const certificates = [{ certificate: "backends.old", expiresAtMs: 1 }];
  metrics.watch(() => ({ logins: 0, sessions, carried, keySets, certificates }));
  const before = await valuesOf(metrics);
  assert.equal([...before.keys()].filter((series) => /\bold"/.test(series)).length, 7);
  metrics.watch(() => census);
  const after = await valuesOf(metrics);
  assert.deepEqual([...after.keys()].filter((series) => /\bold"/.test(series)), []);
});

Deno.test("bytes and transactions are those of the census, each once", async () => {
  using metrics = startMetrics();
  const carried = [{ backend: "orders", bytesIn: 107, bytesOut: 2009, transactions: 5 }];
  metrics.watch(() => Promise.resolve({ ...census, carried }));
  metrics.observe(ended);
  for (let scrape = 0; scrape < 2; scrape++) {
    const values = await valuesOf(metrics);
    assert.equal(values.get('pg_auth_proxy_bytes_total{backend="orders",direction="to_backend"}'), 107);
    assert.equal(values.get('pg_auth_proxy_bytes_total{backend="orders",direction="to_client"}'), 2009);
    assert.equal(values.get('pg_auth_proxy_transactions_total{backend="orders"}'), 5);
  }
});

Deno.test("text() tells the age of keys in seconds, and none of keys from files", async () => {
  using metrics = startMetrics();
  const keySets = [{ issuer: "corp", keys: 2, ageMs: 1500 }, { issuer: "files", keys: 1 }];
  metrics.watch(() => ({ ...census, keySets }));
  const values = await valuesOf(metrics);
  assert.equal(values.get('pg_auth_proxy_key_set_age_seconds{issuer="corp"}'), 1.5);
  assert.equal(values.get('pg_auth_proxy_key_set_age_seconds{issuer="files"}'), undefined);
  assert.equal(values.get('pg_auth_proxy_key_set_keys{issuer="files"}'), 1);
});

Deno.test("text() tells when certificates expire", async () => {
  using metrics = startMetrics();
  metrics.watch(() => ({
    ...census,
    certificates: [{ certificate: "listen.certificate", expiresAtMs: 2_000_000_000_000 }],
  }));
  const series = 'pg_auth_proxy_certificate_expiry_timestamp_seconds{certificate="listen.certificate"}';
  assert.equal((await valuesOf(metrics)).get(series), 2_000_000_000);
});

Deno.test("text() has the process's figures", async () => {
  using metrics = startMetrics();
  const values = await valuesOf(metrics);
  for (const name of ["process_cpu_seconds_total", "process_resident_memory_bytes", "process_heap_bytes"]) {
    assert(values.get(name)! > 0, name);
  }
  const started = values.get("process_start_time_seconds")!;
  assert(started > Date.now() / 1000 - 3600 && started <= Date.now() / 1000);
});

Deno.test("an event loop that is late shows", async () => {
  const clock = new ManualClock();
  let stolenMs = 0;
  using metrics = new Metrics({ after: clock.after, now: () => clock.now() + stolenMs });
  stolenMs = 300;
  clock.advance(500);
  const values = await valuesOf(metrics);
  assert.equal(values.get("pg_auth_proxy_event_loop_lag_seconds_sum"), 0.3);
  assert.equal(values.get('pg_auth_proxy_event_loop_lag_seconds_bucket{le="0.25"}'), 0);
  assert.equal(values.get('pg_auth_proxy_event_loop_lag_seconds_bucket{le="0.5"}'), 1);
});

Deno.test("T17 no series is added by users, databases, identities, addresses, or a backend's SQLSTATEs", async () => {
  using metrics = startMetrics();
  const flood = (count: number) => {
    for (let round = 0; round < count; round++) {
      const random = crypto.randomUUID();
      const asked: AskedFor = { user: random, database: random, applicationName: random };
      const connection = { id: round, clientAddress: `[${random.slice(0, 4)}::1]:${round}` };
      const who = { identity: random, tokenId: random, role: random, database: random };
      metrics.observe({ ...authenticated, ...who, connection, asked });
      metrics.observe({ ...refused, connection, asked, message: random, reason: random });
      const sqlstate = random.slice(0, 5).toUpperCase();
      metrics.observe({ ...refused, connection, asked, fault: undefined, blame: "backend", sqlstate });
    }
  };
  for (const sqlstate of EVERY_CLASS) {
    metrics.observe({ ...refused, fault: undefined, blame: "backend", sqlstate });
  }
  flood(1);
  const before = (await valuesOf(metrics)).size;
  flood(1000);
  const text = await metrics.text();
  assert.equal((await valuesOf(metrics)).size, before);
  for (const value of ["alice", "example.com", "192.0.2"]) assert(!text.includes(value), value);
});

/** One code of each class that two characters in front can make, and those that have a name. */
const EVERY_CLASS = [
  ..."0123456789ABCDEF".split("").flatMap((one) =>
    "0123456789ABCDEF".split("").map((other) => `${one}${other}Z0Z`)
  ),
  ...["22023", "28000", "28P01", "42501", "53300", "55000", "57014", "57P01", "57P03"],
  ...["08001", "08006", "08P01", "0A000", "3D000", "XX000"],
];
