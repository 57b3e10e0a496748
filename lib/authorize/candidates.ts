import { atOnce } from "../long_work.ts";
import { considering } from "./conditions.ts";
import { decide, type Decision } from "./decide.ts";
import type { DecisionRequest } from "./decision_request.ts";
import type { Policy } from "./policy.ts";
import { rolesListed } from "./role_list.ts";
import type { Rule } from "./schema.ts";
import { substitute, type Template } from "./template.ts";

/** What is decided for a user and a database that nobody has named. */
export interface Candidate {
  readonly user: string;
  readonly database: string;
  readonly decision: Decision;
}

/** A decision's request of which user or database may be left open. */
export type OpenRequest = Omit<DecisionRequest, "user" | "database"> & {
  readonly user?: string;
  readonly database?: string;
};

/** More than this no person has asked for. */
const MAX_TRIED = 100;

/** The first user and database that a rule lets in, of those that the rules name; else what they say to the first. */
export function firstLetIn(policy: Policy, request: OpenRequest): Candidate {
  const named = policy.rules.map((rule) => namesOf(rule, request));
  const users = request.user === undefined
    ? [...named.flatMap(({ users }) => users), request.token.subject ?? "nobody"]
    : [request.user];
  let first: Candidate | undefined;
  let tried = 0;
  for (const user of new Set(users)) {
    const databases = request.database === undefined
      ? [...named.flatMap(({ databases }) => databases), user]
      : [request.database];
    for (const database of new Set(databases)) {
      const candidate = { user, database, decision: decide(policy, { ...request, user, database }) };
      if (candidate.decision.outcome === "granted" || ++tried === MAX_TRIED) return candidate;
      first ??= candidate;
    }
  }
  return first!;
}

/** The users and databases that a rule names for a token whose bearer it is for. */
function namesOf(
  rule: Rule,
  request: OpenRequest,
): { users: readonly string[]; databases: readonly string[] } {
  const forAnyone = { ...rule, users: undefined, databases: undefined, roles: undefined };
  const considered = atOnce(considering(forAnyone, { ...request, user: "", database: "" }));
  if (considered.kind !== "matched") return { users: [], databases: [] };
  const { captures } = considered;
  const filled = (templates: readonly Template[] = []) =>
    templates.flatMap((template) => substitute(template, { pattern: rule.match, captures }) ?? []);
  const listed = rule.roles === undefined ? [] : atOnce(rolesListed(request.token.claims, rule.roles)) ?? [];
  return { users: [...filled(rule.users), ...listed], databases: filled(rule.databases) };
}
