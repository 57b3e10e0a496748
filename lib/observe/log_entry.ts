import type { AskedFor, ConnectionFacts, LoginRefusal, ProxyEvent, SessionEvent } from "./events.ts";

/** How much an entry matters; the configuration's own words. */
export type LogLevel = "error" | "warn" | "info" | "debug" | "trace";

/** One event as the log tells it. The field values are not yet escaped. */
export interface LogEntry {
  readonly level: LogLevel;
  readonly message: string;
  /** Fields without a value are left out. */
  readonly fields: Readonly<Record<string, unknown>>;
}

/** An event in the log's words. */
export function logEntryOf(event: SessionEvent | ProxyEvent): LogEntry {
  return "connection" in event ? entryOfSession(event) : entryOfProxy(event);
}

function entryOfSession(event: SessionEvent): LogEntry {
  const who = connectionFields(event.connection);
  switch (event.kind) {
    case "connection_opened":
      return { level: "debug", message: "connection opened", fields: who };
    case "message_traced": {
      const { peer, message } = event;
      return { level: "trace", message: "message", fields: { ...who, peer, trace: message } };
    }
    case "tls_established":
      return { level: "debug", message: "TLS established", fields: { ...who, direct: event.isDirect } };
    case "cancel_requested":
      return { level: "debug", message: "cancel requested", fields: { ...who, known: event.isKnown } };
    case "cancel_failed":
      return { level: "warn", message: "cancel failed", fields: { ...who, cause: event.cause } };
    case "token_accepted": {
      const { method, issuer, asked } = event;
      return {
        level: "debug",
        message: "token accepted",
        fields: { ...who, method, issuer, ...askedFields(asked) },
      };
    }
    case "backend_tried": {
      const { backend, host, isReached } = event;
      const fields = { ...who, backend, host, reached: isReached };
      return { level: "debug", message: "backend tried", fields };
    }
    case "limit_hit": {
      const { limit, isNews, passedOver } = event;
      const fields = { ...who, limit: `limits.${limit}`, others: passedOver === 0 ? undefined : passedOver };
      return { level: isNews ? "warn" : "debug", message: "connection closed by a limit", fields };
    }
    case "discovery_answered": {
      const fields = { ...who, ...askedFields(event.asked), duration_ms: event.durationMs };
      return { level: "debug", message: "client told where tokens come from", fields };
    }
    case "login_refused": {
      const { sqlstate, message: told, reason, blame, cause, method, durationMs } = event;
      const fields = { ...who, sqlstate, told, reason, blame, cause, method, ...askedFields(event.asked) };
      return {
        level: levelOf(event),
        message: "login refused",
        fields: { ...fields, duration_ms: durationMs },
      };
    }
    case "authenticated": {
      const { method, identity, tokenId, issuer, rule, role, backend, database, durationMs } = event;
      const whose = { method, identity, token_id: tokenId, issuer };
      const fields = { ...who, ...whose, rule, role, backend, ...askedFields(event.asked), database };
      return {
        level: "info",
        message: "session authenticated",
        fields: { ...fields, duration_ms: durationMs },
      };
    }
    case "reintrospection_failed": {
      const fields = { ...who, issuer: event.issuer };
      return { level: "warn", message: "issuer could not be asked about a session's token", fields };
    }
    case "session_ended": {
      const { how, durationMs, bytesIn, bytesOut, transactions, reason, cause } = event;
      const amounts = { duration_ms: durationMs, bytes_in: bytesIn, bytes_out: bytesOut, transactions };
      const fields = { ...who, how, reason, ...amounts, cause };
      return { level: how === "failed" ? "error" : "info", message: "session ended", fields };
    }
  }
}

function entryOfProxy(event: ProxyEvent): LogEntry {
  switch (event.kind) {
    case "listening": {
      const { address, isTlsOffered } = event;
      return { level: "info", message: "listening", fields: { address, tls: isTlsOffered } };
    }
    case "accept_paused": {
      const { cause, pauseMs } = event;
      return {
        level: "error",
        message: "accepting connections paused",
        fields: { pause_ms: pauseMs, reason: cause instanceof Error ? cause.message : String(cause) },
      };
    }
    case "worker_lost": {
      const { worker, reason, connections, delayMs } = event;
      return {
        level: "error",
        message: "a worker was lost, and its connections with it",
        fields: { worker, reason, connections, restart_in_ms: delayMs },
      };
    }
    case "worker_restarted":
      return { level: "info", message: "a worker serves again", fields: { worker: event.worker } };
    case "issuer_keys_changed": {
      const { issuer, keys } = event;
      return { level: "info", message: "key set of an issuer changed", fields: { issuer, keys } };
    }
    case "issuer_keys_unchanged": {
      const { issuer } = event;
      return { level: "debug", message: "key set of an issuer is the same", fields: { issuer } };
    }
    case "issuer_introspected": {
      const { issuer, outcome } = event;
      return { level: "debug", message: "issuer asked about a token", fields: { issuer, outcome } };
    }
    case "issuer_fetch_failed": {
      const { issuer, reason } = event;
      return { level: "warn", message: "key set of an issuer cannot be fetched", fields: { issuer, reason } };
    }
    case "issuer_refused_proxy": {
      const { issuer, reason } = event;
      return {
        level: "error",
        message: "issuer refused the proxy's credentials",
        fields: { issuer, reason },
      };
    }
    case "issuer_introspection_unusable": {
      const { issuer, reason } = event;
      return { level: "warn", message: "issuer cannot be asked about tokens", fields: { issuer, reason } };
    }
    case "issuer_introspection_stopped": {
      const { issuer, reason } = event;
      return { level: "warn", message: "issuer does not answer about tokens", fields: { issuer, reason } };
    }
    case "issuer_introspection_resumed": {
      const { issuer } = event;
      return { level: "info", message: "issuer answers about tokens again", fields: { issuer } };
    }
    case "issuer_key_skipped": {
      const { issuer, index, reason } = event;
      return {
        level: "warn",
        message: "a key of an issuer cannot be used",
        fields: { issuer, index, reason },
      };
    }
    case "validator_said": {
      const { issuer, line, passedOver } = event;
      const fields = { issuer, line, lines_passed_over: passedOver === 0 ? undefined : passedOver };
      return { level: "warn", message: "a validator says", fields };
    }
    case "validator_restarting": {
      const { issuer, reason, delayMs } = event;
      return {
        level: "warn",
        message: "a validator is started again",
        fields: { issuer, reason, delay_ms: delayMs },
      };
    }
    case "deny_list_changed": {
      const { issuer, entries } = event;
      return { level: "info", message: "deny list changed", fields: { issuer, entries } };
    }
    case "deny_list_failed": {
      const { issuer, reason } = event;
      const message = "deny list cannot be used, what it said before holds";
      return { level: "error", message, fields: { issuer, reason } };
    }
    case "output_failed": {
      const { output, path, reason } = event;
      return { level: "error", message: "file cannot be written", fields: { output, path, reason } };
    }
    case "lines_lost": {
      const { output, lines } = event;
      return { level: "debug", message: "lines lost", fields: { output, lines } };
    }
    case "output_resumed": {
      const { output, path, lines } = event;
      const fields = { output, path, lines_lost: lines };
      return { level: "warn", message: "file can be written again", fields };
    }
    case "backend_probed": {
      const { backend, problem, isNews, durationMs } = event;
      if (problem === undefined) {
        const fields = { backend, duration_ms: durationMs };
        return { level: isNews ? "info" : "debug", message: "backend answers", fields };
      }
      const fields = { backend, reason: problem, duration_ms: durationMs };
      return { level: isNews ? "warn" : "debug", message: "backend does not answer", fields };
    }
    case "admin_listening": {
      const { address, isTlsOffered } = event;
      return { level: "info", message: "listening for admin", fields: { address, tls: isTlsOffered } };
    }
    case "notify_failed":
      return {
        level: "error",
        message: "the service manager cannot be told",
        fields: { reason: event.reason },
      };
    case "configuration_reloaded":
      return { level: "info", message: "configuration reloaded", fields: { sessions: event.sessions } };
    case "reload_failed": {
      const message = "configuration not reloaded, the old one stays";
      return { level: "error", message, fields: { reason: event.reason.split("\n") } };
    }
    case "draining": {
      const { sessions, graceMs, delayMs } = event;
      const fields = { sessions, grace_ms: graceMs, delay_ms: delayMs };
      return { level: "info", message: "draining", fields };
    }
    case "drained":
      return { level: "info", message: "drained", fields: { sessions_cut: event.sessionsCut } };
  }
}

function connectionFields({ id, clientAddress, via }: ConnectionFacts) {
  return { connection: id, client_address: clientAddress, via };
}

function askedFields({ user, database, applicationName }: AskedFor) {
  return { user, database, application_name: applicationName };
}

function levelOf({ blame, sqlstate }: LoginRefusal): LogLevel {
  // Class 57, operator intervention: a shutdown, or a login that took too long, is no fault of ours.
  if (blame === "frontend" || sqlstate.startsWith("57")) return "info";
  return blame === "operator" || blame === "proxy" ? "error" : "warn";
}
