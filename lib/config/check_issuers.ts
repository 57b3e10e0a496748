import type { IssuerSettings } from "../token/schema.ts";
import { asClause } from "./clause.ts";
import type { Outside } from "./named_file.ts";
import type { Problems } from "./problem.ts";

/** What {@link checkIssuers} needs besides the issuers. */
export interface IssuerChecks {
  readonly directory: string;
  readonly maxTokenBytes?: number;
  readonly outside: Outside;
  readonly problems: Problems;
}

/** Notes issuers that a token could belong to at once, and those whose keys cannot be had. */
export async function checkIssuers(
  issuers: readonly (IssuerSettings | undefined)[],
  { directory: baseDirectory, maxTokenBytes, outside, problems }: IssuerChecks,
): Promise<void> {
  const good = new Map<string, { readonly index: number; readonly settings: IssuerSettings }>();
  const first = new Map<string, number>();
  for (const [index, settings] of issuers.entries()) {
    if (settings === undefined) continue;
    const iss = settings.url ?? settings.issuer;
    const before = iss === undefined ? undefined : first.get(iss);
    if (before === undefined) {
      if (iss !== undefined) first.set(iss, index);
      if (!good.has(settings.name)) good.set(settings.name, { index, settings });
      continue;
    }
    const key = settings.url === undefined ? "issuer" : "url";
    problems.add(
      ["issuers", index, key],
      `is that of issuers[${before}]: make them one, audience takes several`,
    );
  }
  const asked = [...good.values()].map(({ settings }) => settings);
  for (
    const { issuer, key, message } of await outside.checkIssuers?.(asked, { baseDirectory, maxTokenBytes }) ??
      []
  ) {
    const { index, settings } = good.get(issuer)!;
    problems.add(["issuers", index, ...key ?? [keyOfKeys(settings)]], `cannot be used: ${asClause(message)}`);
  }
}

/** Where the issuer's table says where its keys are. */
function keyOfKeys({ signing_keys, jwks_url }: IssuerSettings): string {
  if (signing_keys !== undefined) return "signing_keys";
  return jwks_url !== undefined ? "jwks_url" : "url";
}
