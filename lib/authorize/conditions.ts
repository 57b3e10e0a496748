import { isEmail, valuesAt } from "../claims/claim_path.ts";
import { CLOCK_SKEW_SECONDS } from "../claims/clock_skew.ts";
import { holds } from "../claims/requirement.ts";
import type { LongWork } from "../long_work.ts";
import { isWithin } from "../network.ts";
import type { DecisionRequest, VerifiedToken } from "./decision_request.ts";
import { type Captures, matchWhole, MAX_MATCHED_LENGTH, type Pattern } from "./pattern.ts";
import { isRepresentable } from "./reserved.ts";
import { rolesListed } from "./role_list.ts";
import type { Rule } from "./schema.ts";
import { substitute, type Template } from "./template.ts";
import type { Obstacle } from "./trail.ts";

/** All conditions of a rule hold. */
export interface Matched {
  readonly kind: "matched";
  /** The claim's value; undefined where the rule asks nobody's name. */
  readonly matched?: string;
  readonly captures: Captures;
}

/** The conditions: a rule of which one fails is passed over, and the next is asked, unless it is that a claim is too long. */
export function* considering(rule: Rule, request: DecisionRequest): LongWork<Matched | Obstacle> {
  return obstacleInToken(rule, request.token, request.nowMs) ??
    obstacleInNetwork(rule, request) ??
    obstacleInLength(rule, request.token) ??
    (yield* obstacleInRoles(rule, request)) ??
    (yield* identify(rule, request));
}

function obstacleInToken(rule: Rule, token: VerifiedToken, nowMs: number): Obstacle | undefined {
  if (rule.issuer !== token.issuer) return { kind: "issuer_differs", issuer: rule.issuer };

  if (rule.maxTokenAgeMs !== undefined) {
    if (token.issuedAtMs === undefined) return { kind: "token_without_time" };
    const oldestMs = nowMs - rule.maxTokenAgeMs - CLOCK_SKEW_SECONDS * 1000;
    if (token.issuedAtMs < oldestMs) return { kind: "token_too_old" };
  }

  const used = [
    ...(rule.match === undefined ? [] : [rule.claim]),
    ...(rule.roles === undefined ? [] : [rule.roles.claim]),
    ...rule.require.map((requirement) => requirement.claim),
  ];
  if (token.requireEmailVerified && used.some(isEmail) && !isEmailVerified(token.claims)) {
    return { kind: "email_not_verified" };
  }

  const unmet = rule.require.find((requirement) => !holds(requirement, token.claims));
  return unmet && { kind: "requirement_not_held", claim: unmet.claim.text };
}

function obstacleInNetwork({ networks }: Rule, { clientAddress }: DecisionRequest): Obstacle | undefined {
  const isAllowed = networks === undefined || isWithin(clientAddress, networks);
  return isAllowed ? undefined : { kind: "network_not_allowed" };
}

/** What is too long to be tried refuses: passed over, a rule that would have kept its bearer out could be passed by. */
function obstacleInLength(rule: Rule, { claims }: VerifiedToken): Obstacle | undefined {
  for (const { claim, match } of [rule, ...rule.roles === undefined ? [] : [rule.roles]]) {
    if (match?.kind !== "expression") continue;
    const isTooLong = (value: unknown) => typeof value === "string" && value.length > MAX_MATCHED_LENGTH;
    if (valuesAt(claims, claim).some(isTooLong)) return { kind: "claim_too_long", claim: claim.text };
  }
  return undefined;
}

function* obstacleInRoles(
  { roles }: Rule,
  { token, user }: DecisionRequest,
): LongWork<Obstacle | undefined> {
  if (roles === undefined) return undefined;
  const { text } = roles.claim;
  const listed = yield* rolesListed(token.claims, roles);
  if (listed === undefined) return { kind: "claim_missing", claim: text };
  return listed.has(user) ? undefined : { kind: "role_not_listed", claim: text };
}

function* identify(rule: Rule, request: DecisionRequest): LongWork<Matched | Obstacle> {
  const { match } = rule;
  if (match === undefined) return obstacleInNames(rule, [], request) ?? { kind: "matched", captures: [] };
  const values = valuesAt(request.token.claims, rule.claim).filter((value) => typeof value === "string");
  if (values.length === 0) return { kind: "claim_missing", claim: rule.claim.text };

  // Of several values the first that satisfies the whole rule is the identity, so that a member of several groups may ask
  // for the role of any of them. What is reported is the obstacle of the one that came furthest.
  let furthest: Obstacle = { kind: "claim_does_not_match", claim: rule.claim.text };
  for (const value of values) {
    yield;
    const outcome = compare(value, { rule, match, request });
    if (outcome.kind === "matched") return outcome;
    if (outcome.kind !== "claim_does_not_match") furthest = outcome;
  }
  return furthest;
}

function compare(
  value: string,
  { rule, match, request }: { rule: Rule; match: Pattern; request: DecisionRequest },
): Matched | Obstacle {
  const claim = rule.claim.text;
  const captures = matchWhole(match, value);
  if (captures === undefined) return { kind: "claim_does_not_match", claim };
  if (!isRepresentable(value)) return { kind: "identity_not_representable", claim };
  return obstacleInNames(rule, captures, request) ?? { kind: "matched", matched: value, captures };
}

function obstacleInNames(
  rule: Rule,
  captures: Captures,
  { user, database }: DecisionRequest,
): Obstacle | undefined {
  const allows = (names: readonly Template[] | undefined, asked: string) =>
    names === undefined ||
    names.some((template) => substitute(template, { pattern: rule.match, captures }) === asked);
  if (!allows(rule.users, user)) return { kind: "user_not_allowed" };
  if (!allows(rule.databases, database)) return { kind: "database_not_allowed" };
  return undefined;
}

function isEmailVerified(claims: Readonly<Record<string, unknown>>): boolean {
  return Object.hasOwn(claims, "email_verified") && claims.email_verified === true;
}
