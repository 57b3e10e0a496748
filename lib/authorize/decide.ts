// In: a verified token's claims and what the client asked for at startup. Out: the backend and role, or why none.
// The rules are asked in order; the first whose conditions all hold decides, also when what it decides is a refusal.
// PostgreSQL documentation: Client Authentication, User Name Maps, whose ordered, anchored rules these resemble.

import { PgError } from "../errors.ts";
import { SQLSTATE } from "../sqlstate.ts";
import { claimAt, isEmail } from "../claims/claim_path.ts";
import { type Captures, matchWhole, type Pattern } from "./pattern.ts";
import { type BackendNames, mayBeRole, type Policy } from "./policy.ts";
import { holds } from "../claims/requirement.ts";
import type { Lifetime } from "./lifetime.ts";
import { isName, isRepresentable } from "./reserved.ts";
import type { Rule } from "./schema.ts";
import { parseTemplate, substitute, type Template } from "./template.ts";
import type { Obstacle, TrailStep } from "./trail.ts";

/** Who asks for what. */
export interface DecisionRequest {
  readonly token: VerifiedToken;
  /** The startup message's user. */
  readonly user: string;
  /** The startup message's database, or the user if it named none. */
  readonly database: string;
  /** Whether the startup message asked for replication. */
  readonly replication: boolean;
}

/** What authorisation needs of a token that was found good. */
export interface VerifiedToken {
  /** The configured name of the issuer. */
  readonly issuer: string;
  readonly claims: Readonly<Record<string, unknown>>;
  /** Whether `email` counts only beside `email_verified: true`. */
  readonly requireEmailVerified: boolean;
}

/** Where a client is let in, and as whom. */
export interface Granted {
  readonly outcome: "granted";
  /** The rule that decided: its place in the file, from 0, and its name. */
  readonly rule: { readonly index: number; readonly name?: string };
  readonly backend: string;
  /** The role to log in as. */
  readonly role: string;
  /** The database to ask the backend for. */
  readonly database: string;
  /** The claim's value that matched. */
  readonly identity: string;
  readonly captures: Captures;
  /** What captured them; see {@link fill}. */
  readonly match: Pattern;
  /** How long the session may last. */
  readonly lifetime: Lifetime;
  /** Whether log and backend may learn who the client is; otherwise they learn a pseudonym. */
  readonly recordsIdentity: boolean;
  readonly trail: readonly TrailStep[];
}

/** No rule lets this client in; the trail says why, for the log alone. */
export interface Refused {
  readonly outcome: "refused";
  readonly trail: readonly TrailStep[];
}

/** What {@link decide} answers. */
export type Decision = Granted | Refused;

/** May this identity be that role in that database, and where? Pure: equal input gives an equal answer. */
export function decide(policy: Policy, request: DecisionRequest): Decision {
  const trail: TrailStep[] = [];
  for (const [index, rule] of policy.rules.entries()) {
    const place = { index, name: rule.name };
    const considered = consider(rule, request);
    if (considered.kind !== "matched") {
      trail.push({ rule: place, ...considered });
      continue;
    }
    const route = routeOf(rule, policy, { ...considered, request });
    trail.push({ rule: place, ...(route.kind === "routed" ? { kind: "granted" as const } : route) });
    if (route.kind !== "routed") return { outcome: "refused", trail };
    const { identity, captures } = considered;
    const { role, database } = route;
    const { backend, match, lifetime, recordsIdentity } = rule;
    return {
      ...{ outcome: "granted", rule: place, backend, role, database, identity, captures, match },
      ...{ lifetime, recordsIdentity, trail },
    };
  }
  return { outcome: "refused", trail };
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

interface Matched {
  readonly kind: "matched";
  readonly identity: string;
  readonly captures: Captures;
}

interface Routed {
  readonly kind: "routed";
  readonly role: string;
  readonly database: string;
}

/** The conditions: a rule of which one fails is passed over, and the next is asked. */
function consider(rule: Rule, request: DecisionRequest): Matched | Obstacle {
  const { claims, issuer, requireEmailVerified } = request.token;
  if (rule.issuer !== issuer) return { kind: "issuer_differs", issuer: rule.issuer };

  const used = [rule.claim, ...rule.require.map((requirement) => requirement.claim)];
  if (requireEmailVerified && used.some(isEmail) && !isEmailVerified(claims)) {
    return { kind: "email_not_verified" };
  }

  const unmet = rule.require.find((requirement) => !holds(requirement, claims));
  if (unmet !== undefined) return { kind: "requirement_not_held", claim: unmet.claim.text };

  const value = claimAt(claims, rule.claim);
  const identities = (Array.isArray(value) ? value : [value]).filter((one) => typeof one === "string");
  if (identities.length === 0) return { kind: "claim_missing", claim: rule.claim.text };

  // Of an array's elements the first that satisfies the whole rule is the identity, so that a member of several groups
  // may ask for the role of any of them. What is reported is the obstacle of the one that came furthest.
  let furthest: Obstacle = { kind: "claim_does_not_match", claim: rule.claim.text };
  for (const identity of identities) {
    const outcome = compare(rule, identity, request);
    if (outcome.kind === "matched") return outcome;
    if (outcome.kind !== "claim_does_not_match") furthest = outcome;
  }
  return furthest;
}

function compare(rule: Rule, identity: string, { user, database }: DecisionRequest): Matched | Obstacle {
  const captures = matchWhole(rule.match, identity);
  if (captures === undefined) return { kind: "claim_does_not_match", claim: rule.claim.text };
  if (!isRepresentable(identity)) return { kind: "identity_not_representable", claim: rule.claim.text };
  const allows = (names: readonly Template[] | undefined, asked: string) =>
    names === undefined ||
    names.some((template) => substitute(template, { pattern: rule.match, captures }) === asked);
  if (!allows(rule.users, user)) return { kind: "user_not_allowed" };
  if (!allows(rule.databases, database)) return { kind: "database_not_allowed" };
  return { kind: "matched", identity, captures };
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

  const written = rule.loginAs ?? backend.user;
  const role = written && filled(written);
  if (written === undefined || role === undefined || !isName(role)) return { kind: "role_is_no_name" };
  const { reservedRoles } = policy;
  if (!mayBeRole(role, { written, match: rule.match, reservedRoles })) return { kind: "reserved_role", role };

  const database = backend.database === undefined ? request.database : filled(backend.database);
  if (database === undefined || !isName(database)) return { kind: "database_is_no_name" };

  for (const [parameter, template] of backend.parameters ?? []) {
    if (filled(template) === undefined) return { kind: "parameter_not_captured", parameter };
  }
  return { kind: "routed", role, database };
}

function isEmailVerified(claims: Readonly<Record<string, unknown>>): boolean {
  return Object.hasOwn(claims, "email_verified") && claims.email_verified === true;
}
