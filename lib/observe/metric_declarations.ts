import type { MetricSet } from "./metric_set.ts";

/** Times of logins, in seconds: from a token remembered to an issuer or a backend that is slow to answer. */
const LOGIN_BUCKETS = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60];

const LAG_BUCKETS = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5];

/** Every metric there is: what an event or a census adds to it is in `metrics.ts`. */
export function declareMetrics(metrics: MetricSet) {
  return {
    ...ofTheAncestor(metrics),
    ...ofLogins(metrics),
    ...ofSessions(metrics),
    ...ofIssuers(metrics),
    ...ofTheProxy(metrics),
    ...ofTheProcess(metrics),
  };
}

/** Every metric, by the name it has in the program. */
export type DeclaredMetrics = ReturnType<typeof declareMetrics>;

/** What the program's Go ancestor called them, for the dashboards that know it. */
function ofTheAncestor(metrics: MetricSet) {
  return {
    authSuccesses: metrics.counter("sql_auth_successes_total", {
      help: "Clients whose token was good and whom a rule lets in",
    }),
    authFailures: metrics.counter("sql_auth_failures_total", {
      help: "Clients that were to present a token and were refused before their backend was dialled",
    }),
    dialSuccesses: metrics.counter("target_dial_successes_total", {
      help: "Logins at a host of a backend that succeeded",
      labels: ["host"],
    }),
    dialFailures: metrics.counter("target_dial_failures_total", {
      help: "Hosts of a backend that could not be reached or logged in at",
      labels: ["host"],
    }),
    openConnections: metrics.gauge("open_connection_count", { help: "Connections of clients" }),
    refreshTime: metrics.gauge("config_refresh_time_seconds", {
      help: "When the configuration was loaded last, in seconds since 1970",
    }),
  };
}

function ofLogins(metrics: MetricSet) {
  return {
    connectionsOpened: metrics.counter("pg_auth_proxy_connections_total", {
      help: "Connections accepted, whatever became of them",
    }),
    logins: metrics.counter("pg_auth_proxy_logins_total", {
      help:
        "Logins that are over, by what became of them, why, whose fault it was, and how the token was presented",
      labels: ["result", "reason", "blame", "method"],
    }),
    loginSeconds: metrics.histogram("pg_auth_proxy_login_seconds", {
      help:
        "Time that logins and their stages took: tls, token, backend, and total from the connection's acceptance",
      labels: ["stage", "result"],
      buckets: LOGIN_BUCKETS,
    }),
    tokensAccepted: metrics.counter("pg_auth_proxy_tokens_accepted_total", {
      help: "Good tokens whose bearer a rule lets in",
      labels: ["issuer", "method"],
    }),
    discoveries: metrics.counter("pg_auth_proxy_discoveries_total", {
      help: "Clients by OAUTHBEARER that asked where tokens come from, which is no failed login",
    }),
    backendLogins: metrics.counter("pg_auth_proxy_backend_logins_total", {
      help: "Attempts to reach a host of a backend and to log in there",
      labels: ["backend", "result"],
    }),
    backendUp: metrics.gauge("pg_auth_proxy_backend_up", {
      help:
        "1 if a backend answered when last logged in at, or asked by the proxy itself, and 0 if it did not",
      labels: ["backend"],
    }),
    limitsHit: metrics.counter("pg_auth_proxy_limits_hit_total", {
      help: "Connections refused or closed because of a limit of the configuration",
      labels: ["limit"],
    }),
  };
}

function ofSessions(metrics: MetricSet) {
  return {
    connections: metrics.gauge("pg_auth_proxy_connections", {
      help: "Connections that log in, and those that are sessions",
      labels: ["phase"],
    }),
    sessions: metrics.gauge("pg_auth_proxy_sessions", {
      help: "Sessions by what they are doing, in the words of pg_stat_activity",
      labels: ["backend", "state"],
    }),
    sessionsEnded: metrics.counter("pg_auth_proxy_sessions_ended_total", {
      help: "Sessions that are over, by how they ended",
      labels: ["backend", "how"],
    }),
    bytes: metrics.counter("pg_auth_proxy_bytes_total", {
      help: "Bytes carried for sessions, those still running among them",
      labels: ["backend", "direction"],
    }),
    transactions: metrics.counter("pg_auth_proxy_transactions_total", {
      help: "Transactions of sessions that are over: each Query or Sync after which none is open",
      labels: ["backend"],
    }),
    cancels: metrics.counter("pg_auth_proxy_cancels_total", {
      help: "CancelRequests, accepted or with a key that is unknown or from another address",
      labels: ["result"],
    }),
    cancelFailures: metrics.counter("pg_auth_proxy_cancel_failures_total", {
      help: "Accepted cancels that did not get through to the backend",
    }),
  };
}

function ofIssuers(metrics: MetricSet) {
  return {
    issuerFetches: metrics.counter("pg_auth_proxy_issuer_fetches_total", {
      help: "Fetches of an issuer's key set, which may have changed or not, or which failed",
      labels: ["issuer", "result"],
    }),
    keySetAge: metrics.gauge("pg_auth_proxy_key_set_age_seconds", {
      help: "Time since the key set of an issuer was fetched last",
      labels: ["issuer"],
    }),
    keySetKeys: metrics.gauge("pg_auth_proxy_key_set_keys", {
      help: "Keys of an issuer that tokens are checked by; 0 when there are none young enough",
      labels: ["issuer"],
    }),
    keysSkipped: metrics.counter("pg_auth_proxy_issuer_keys_skipped_total", {
      help: "Keys in fetched key sets that cannot be used",
      labels: ["issuer"],
    }),
    introspections: metrics.counter("pg_auth_proxy_introspections_total", {
      help: "Questions to an issuer about tokens: active, inactive, or unavailable where there was no answer",
      labels: ["issuer", "result"],
    }),
    introspectionStops: metrics.counter("pg_auth_proxy_introspection_stops_total", {
      help: "Times that an issuer was no longer asked about tokens for a while, because it did not answer",
      labels: ["issuer"],
    }),
    reintrospectionFailures: metrics.counter("pg_auth_proxy_reintrospection_failures_total", {
      help: "Sessions whose issuer could not be asked again about their token",
      labels: ["issuer"],
    }),
    validatorRestarts: metrics.counter("pg_auth_proxy_validator_restarts_total", {
      help: "Times that a validator had to be started again",
      labels: ["issuer"],
    }),
    denyListEntries: metrics.gauge("pg_auth_proxy_deny_list_entries", {
      help: "Entries of a deny list, once it has changed",
      labels: ["issuer"],
    }),
    denyListFailures: metrics.counter("pg_auth_proxy_deny_list_failures_total", {
      help: "Times that a deny list could not be used any more, so that what it said before holds",
      labels: ["issuer"],
    }),
  };
}

function ofTheProxy(metrics: MetricSet) {
  return {
    reloads: metrics.counter("pg_auth_proxy_reloads_total", {
      help: "Reloads of the configuration after the first load",
      labels: ["result"],
    }),
    drains: metrics.counter("pg_auth_proxy_drains_total", {
      help: "Times that the proxy began to let its sessions end",
    }),
    sessionsCut: metrics.counter("pg_auth_proxy_sessions_cut_total", {
      help: "Connections that were ended when the grace period of a drain was over",
    }),
    workersLost: metrics.counter("pg_auth_proxy_workers_lost_total", {
      help: "Threads that were lost, with the connections they carried, and started anew",
    }),
    acceptPauses: metrics.counter("pg_auth_proxy_accept_pauses_total", {
      help: "Times that no connection could be accepted, as when file descriptors run out",
    }),
    outputFailures: metrics.counter("pg_auth_proxy_output_failures_total", {
      help: "Times that the file of the log or of the audit trail could no longer be written",
      labels: ["output"],
    }),
    linesLost: metrics.counter("pg_auth_proxy_lines_lost_total", {
      help: "Lines of the log or of the audit trail that were lost while their file could not be written",
      labels: ["output"],
    }),
    certificateExpiry: metrics.gauge("pg_auth_proxy_certificate_expiry_timestamp_seconds", {
      help: "When a certificate of the proxy's own expires, in seconds since 1970",
      labels: ["certificate"],
    }),
  };
}

/** Their names are those that every official client gives them. */
function ofTheProcess(metrics: MetricSet) {
  return {
    eventLoopLag: metrics.histogram("pg_auth_proxy_event_loop_lag_seconds", {
      help: "By how much an event loop was late, sampled twice a second",
      buckets: LAG_BUCKETS,
    }),
    cpuSeconds: metrics.counter("process_cpu_seconds_total", {
      help: "Time that the processor spent on this process, in its own code and in the system",
    }),
    residentMemory: metrics.gauge("process_resident_memory_bytes", {
      help: "Memory of this process that is in use",
    }),
    heap: metrics.gauge("process_heap_bytes", { help: "Memory of this process that JavaScript may use" }),
    startTime: metrics.gauge("process_start_time_seconds", {
      help: "When this process began, in seconds since 1970",
    }),
  };
}
