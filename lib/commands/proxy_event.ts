import type { ProxyEvent } from "../observe/events.ts";
import type { TokenEvent } from "../token/token_event.ts";

/** What a verifier reports, as observers are told of it. */
export function proxyEventOf(event: TokenEvent): ProxyEvent {
  const { kind, issuer } = event;
  switch (kind) {
    case "key_set_changed":
      return { kind: "issuer_keys_changed", issuer, keys: event.keys };
    case "key_set_unchanged":
      return { kind: "issuer_keys_unchanged", issuer };
    case "introspected":
      return { kind: "issuer_introspected", issuer, outcome: event.outcome };
    case "key_set_failed":
      return { kind: "issuer_fetch_failed", issuer, reason: event.problem };
    case "key_skipped":
      return { kind: "issuer_key_skipped", issuer, index: event.index, reason: event.reason };
    case "introspection_refused":
      return { kind: "issuer_refused_proxy", issuer, reason: event.problem };
    case "introspection_unusable":
      return { kind: "issuer_introspection_unusable", issuer, reason: event.problem };
    case "introspection_stopped":
      return { kind: "issuer_introspection_stopped", issuer, reason: event.problem };
    case "introspection_resumed":
      return { kind: "issuer_introspection_resumed", issuer };
    case "deny_list_changed":
      return event;
    case "deny_list_failed":
      return { kind, issuer, reason: event.problem };
    case "validator_said":
      return event;
    case "validator_restarting":
      return { kind, issuer, reason: event.problem, delayMs: event.delayMs };
  }
}
