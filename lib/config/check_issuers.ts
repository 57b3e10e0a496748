import type { IssuerSettings } from "../token/schema.ts";
import { asClause } from "./clause.ts";
import type { Outside } from "./named_file.ts";
import type { Problems } from "./problem.ts";

/** What {@link checkIssuers} needs besides the issuers. */
export interface IssuerChecks {
  readonly directory: string;
  readonly outside: Outside;
  readonly problems: Problems;
}

/** Notes what is wrong with the issuers' key files, and issuers that a token could belong to at once. */
export async function checkIssuers(
  issuers: readonly (IssuerSettings | undefined)[],
  { directory, outside, problems }: IssuerChecks,
): Promise<void> {
  const first = new Map<string, number>();
  for (const [index, issuer] of issuers.entries()) {
    if (issuer === undefined) continue;
    const iss = issuer.url ?? issuer.issuer!;
    const before = first.get(iss);
    if (before === undefined) first.set(iss, index);
    else {
      const key = issuer.url === undefined ? "issuer" : "url";
      problems.add(
        ["issuers", index, key],
        `is that of issuers[${before}]: make them one, audience takes several`,
      );
    }
    if (issuer.signing_keys === undefined) continue;
    for (const problem of await outside.checkSigningKeys?.(issuer, directory) ?? []) {
      problems.add(["issuers", index, "signing_keys"], `cannot be used: ${asClause(problem)}`);
    }
  }
}
