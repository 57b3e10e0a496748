import * as v from "valibot";
import type { Decision } from "../../lib/authorize/decide.ts";
import type { DecisionRequest, VerifiedToken } from "../../lib/authorize/decision_request.ts";
import type { BackendNames, Policy } from "../../lib/authorize/policy.ts";
import { DEFAULT_RESERVED_ROLES } from "../../lib/authorize/reserved.ts";
import { type Rule, ruleSchema } from "../../lib/authorize/schema.ts";
import { parseTemplate } from "../../lib/authorize/template.ts";

/** A rule as the configuration would write it, with what a test does not care about filled in. */
export function ruleOf(table: Record<string, unknown>): Rule {
  return v.parse(ruleSchema, { issuer: "corp", match: "alice", backend: "orders", ...table });
}

/** A policy of these rules; the backend `orders` has the user `app`, and no database, unless told otherwise. */
export function policyOf(
  tables: readonly Record<string, unknown>[],
  backend: { user?: string; database?: string; parameters?: Record<string, string> } = { user: "app" },
): Policy {
  const names: BackendNames = {
    user: backend.user === undefined ? undefined : parseTemplate(backend.user),
    database: backend.database === undefined ? undefined : parseTemplate(backend.database),
    parameters: new Map(
      Object.entries(backend.parameters ?? {}).map(([key, text]) => [key, parseTemplate(text)]),
    ),
  };
  const backends = new Map([["orders", names], ["other", { user: parseTemplate("other_app") }]]);
  return { rules: tables.map(ruleOf), backends, reservedRoles: DEFAULT_RESERVED_ROLES };
}

/** A request of alice for herself in orders at the beginning of 2026, unless told otherwise. */
export function requestOf(
  claims: Record<string, unknown>,
  rest: Partial<DecisionRequest & VerifiedToken> = {},
): DecisionRequest {
  const { issuer = "corp", requireEmailVerified = true, issuedAtMs, tokenId, subject, ...request } = rest;
  const token = { issuer, claims, requireEmailVerified, issuedAtMs, tokenId, subject };
  const nowMs = Date.UTC(2026, 0, 1);
  const asked = { user: "alice", database: "orders", replication: false, clientAddress: "192.0.2.1" };
  return { token, ...asked, nowMs, ...request };
}

/** The outcome in few words: the role, or the kind of each step. */
export function summary(decision: Decision): string {
  if (decision.outcome === "granted") return `${decision.role}@${decision.backend}/${decision.database}`;
  return decision.trail.map((step) => step.kind).join(", ");
}
