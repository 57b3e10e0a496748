// In: a verified token's claims and what the client asked for at startup. Out: the backend and role, or why none.
// The rules are asked in order; the first whose conditions all hold decides, also when what it decides is a refusal.
// PostgreSQL documentation: Client Authentication, User Name Maps, whose ordered, anchored rules these resemble.

import { PgError } from "../errors.ts";
import { atOnce, type LongWork } from "../long_work.ts";
import { SQLSTATE } from "../sqlstate.ts";
import { considering, type Matched } from "./conditions.ts";
import type { DecisionRequest, VerifiedToken } from "./decision_request.ts";
import type { Lifetime } from "./lifetime.ts";
import type { Captures, Pattern } from "./pattern.ts";
import { type BackendNames, mayBeRole, type Policy, writtenRole } from "./policy.ts";
import { type Recorded, recordedOf } from "./recorded.ts";
import { isName } from "./reserved.ts";
import type { Rule } from "./schema.ts";
import { parseTemplate, substitute, type Template } from "./template.ts";
import type { Obstacle, TrailStep } from "./trail.ts";

/** Where a client is let in, and as whom. */
export interface Granted extends Recorded {
  readonly outcome: "granted";
  /** The rule that decided: its place in the file, from 0, and its name. */
  readonly rule: { readonly index: number; readonly name?: string };
  /** How many connections that may have let in at a time; undefined: any number. */
  readonly maxConnections?: number;
  readonly backend: string;
  /** The role to log in as. */
  readonly role: string;
  /** The database to ask the backend for. */
  readonly database: string;
  readonly captures: Captures;
  /** What captured them, see {@link fill}; undefined where nobody's name was asked for. */
  readonly match?: Pattern;
  /** How long the session may last. */
  readonly lifetime: Lifetime;
  /** Whether `identity` and `tokenId` are what the token says; otherwise they are pseudonyms. */
  readonly recordsIdentity: boolean;
  readonly trail: readonly TrailStep[];
}

/** No rule lets this client in; the trail says why, for the log alone. */
export interface Refused {
  readonly outcome: "refused";
  /** Whether the log may learn who the client is: not where one rule for its issuer records nobody. */
  readonly recordsIdentity: boolean;
  readonly trail: readonly TrailStep[];
}

/** What {@link decide} answers. */
export type Decision = Granted | Refused;

/** May this identity be that role in that database, and where? Pure: equal input gives an equal answer. */
export function decide(policy: Policy, request: DecisionRequest): Decision {
  return atOnce(deciding(policy, request));
}

/** The same for where others are waiting: there may be many rules, and a token may have many values that they are held against. */
export function* deciding(policy: Policy, request: DecisionRequest): LongWork<Decision> {
  const trail: TrailStep[] = [];
  const refused = {
    outcome: "refused",
    recordsIdentity: recordsRefused(policy, request.token),
    trail,
  } as const;
  for (const [index, rule] of policy.rules.entries()) {
    yield;
    const place = { index, name: rule.name };
    const considered = yield* considering(rule, request);
    if (considered.kind !== "matched") {
      trail.push({ rule: place, ...considered });
      if (considered.kind === "claim_too_long") return refused;
      continue;
    }
    const route = routeOf(rule, policy, { ...considered, request });
    trail.push({ rule: place, ...(route.kind === "routed" ? { kind: "granted" as const } : route) });
    if (route.kind !== "routed") return refused;
    const { matched, captures } = considered;
    const { role, database } = route;
    const { backend, match, claim, maxConnections, lifetime, recordsIdentity } = rule;
    const { token, nowMs } = request;
    const { pseudonymKey } = policy;
    return {
      ...{ outcome: "granted", rule: place, backend, role, database },
      ...recordedOf({ token, claim, matched, recordsIdentity, pseudonymKey, nowMs }),
      // What is to stay unknown goes no further, whoever would fill it in somewhere.
      captures: recordsIdentity ? captures : [],
      ...{ match, maxConnections, lifetime, recordsIdentity, trail },
    };
  }
  return refused;
}

/** A text of the backend's URL with the captures of a granted request filled in, each passed through `encode`. */
export function fill(
  granted: Granted,
  { text, encode }: { text: string; encode: (captured: string) => string },
): string {
  const { match: pattern, captures } = granted;
  const filled = substitute(parseTemplate(text), { pattern, captures, encode });
  if (filled !== undefined) return filled;
  throw new PgError(SQLSTATE.invalidAuthorizationSpecification, "login refused", {
    reason: "a text of the backend's URL uses a capture that took no part in the match",
  });
}

interface Routed {
  readonly kind: "routed";
  readonly role: string;
  readonly database: string;
}

/** What the deciding rule leads to: anything that stands in the way here refuses, and no later rule is asked. */
function routeOf(
  rule: Rule,
  policy: Policy,
  matched: Matched & { request: DecisionRequest },
): Routed | Obstacle {
  const { captures, request } = matched;
  if (request.replication && !rule.replication) return { kind: "replication_not_allowed" };
  const backend: BackendNames = policy.backends.get(rule.backend) ?? {};
  const filled = (template: Template) => substitute(template, { pattern: rule.match, captures });

  const written = writtenRole(rule, backend);
  const role = written === undefined ? rule.roles && request.user : filled(written);
  if (role === undefined || !isName(role)) return { kind: "role_is_no_name" };
  const { reservedRoles } = policy;
  if (!mayBeRole(role, { written, match: rule.match, reservedRoles })) {
    return { kind: "reserved_role", role: recordsRefused(policy, request.token) ? role : undefined };
  }

  const database = backend.database === undefined ? request.database : filled(backend.database);
  if (database === undefined || !isName(database)) return { kind: "database_is_no_name" };

  for (const [parameter, template] of backend.parameters ?? []) {
    if (filled(template) === undefined) return { kind: "parameter_not_captured", parameter };
  }
  return { kind: "routed", role, database };
}

/** What a refusal says goes by the strictest rule for the issuer: the client may have been meant for that one. */
function recordsRefused({ rules }: Policy, { issuer }: VerifiedToken): boolean {
  return rules.every((rule) => rule.issuer !== issuer || rule.recordsIdentity);
}
