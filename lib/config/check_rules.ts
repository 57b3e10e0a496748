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
    if (rule.lifetime.reintrospectMs !== undefined && issuer !== undefined && !issuer.introspection) {
      add("reintrospect", `needs introspection, which the issuer ${rule.issuer} does not have`);
    }
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
