import { DEFAULT_LIFETIME } from "../authorize/lifetime.ts";
import type { Rule } from "../authorize/schema.ts";
import type { IssuerSettings } from "../token/schema.ts";
import type { LoadedBackend } from "./configuration.ts";
import type { Problems } from "./problem.ts";

/** What {@link checkRules} holds the rules against; tables with mistakes are undefined. */
export interface RuleChecks {
  readonly issuers: readonly (IssuerSettings | undefined)[];
  readonly backends: ReadonlyMap<string, LoadedBackend>;
  /** Whether `[authorize]` names the key of pseudonyms. */
  readonly hasPseudonymKey: boolean;
  readonly problems: Problems;
}

/** Notes what a rule asks of the issuer, the backend or the key of pseudonyms that these cannot give. */
export function checkRules(
  rules: readonly (Rule | undefined)[],
  { issuers, backends, hasPseudonymKey, problems }: RuleChecks,
): void {
  for (const [index, rule] of rules.entries()) {
    if (rule === undefined) continue;
    const add = (key: string, says: string) => problems.add(["rules", index, key], says);
    const issuer = issuers.find((one) => one?.name === rule.issuer);
    if (issuer !== undefined) checkAgainstIssuer(rule, { issuer, add });
    if (rule.recordsIdentity) continue;
    if (!hasPseudonymKey) {
      add(
        "record_identity",
        "is false, which needs pseudonym_key_file in [authorize]: make one with openssl rand -base64 48",
      );
    }
    if (backends.get(rule.backend)?.requireAuth.includes("oauth")) {
      add("record_identity", `is false, but the backend ${rule.backend} is handed the client's token`);
    }
  }
}

/** The claims of a token that a validator has judged, as far as rules look at them. */
const CLAIMS_OF_VALIDATOR = ["sub", "roles"];

function checkAgainstIssuer(
  rule: Rule,
  { issuer, add }: { readonly issuer: IssuerSettings; readonly add: (key: string, says: string) => void },
): void {
  const { reintrospectMs, atRevocation } = rule.lifetime;
  const isAskedAgain = reintrospectMs !== undefined;
  if (isAskedAgain && issuer.introspection === undefined) {
    add("reintrospect", `needs introspection, which the issuer ${issuer.name} does not have`);
  }
  // Whoever wrote it counts on a revocation that nobody would ever hear of.
  const isWritten = atRevocation !== DEFAULT_LIFETIME.atRevocation;
  if (isWritten && !isAskedAgain && issuer.deny_list === undefined) {
    const says = `has no effect: give the rule reintrospect, or the issuer ${issuer.name} a deny_list`;
    add("at_revocation", says);
  }
  if (issuer.validator === undefined) return;
  const only = `of a validator's tokens there are only ${CLAIMS_OF_VALIDATOR.join(" and ")}`;
  for (const [key, { text, segments: [name, ...deeper] }] of claimsLookedAt(rule)) {
    if (deeper.length > 0 || !CLAIMS_OF_VALIDATOR.includes(name)) {
      add(key, `looks at the claim ${text}: ${only}`);
    }
  }
  if (rule.maxTokenAgeMs !== undefined) add("max_token_age", `needs the claim iat: ${only}`);
}

function claimsLookedAt({ claim, match, roles, require }: Rule) {
  return [
    ...(match === undefined ? [] : [["claim", claim] as const]),
    ...(roles === undefined ? [] : [["roles", roles.claim] as const]),
    ...require.map((requirement) => ["require", requirement.claim] as const),
  ];
}
