import type { DenyList } from "./deny_list.ts";
import type { Introspector } from "./introspection/introspector.ts";
import {
  type IssuersOutside,
  openDenyList,
  openIntrospection,
  openKeys,
  startValidator,
} from "./issuer_parts.ts";
import type { KeySource } from "./key_source.ts";
import type { IssuerSettings } from "./schema.ts";
import { type IssuerProblem, IssuersMisconfigured } from "./token_event.ts";
import type { Validator } from "./validator/validator.ts";

/** An issuer with its keys. */
export interface KnownIssuer {
  readonly settings: IssuerSettings;
  /** The `iss` of its tokens, if they have one. */
  readonly iss?: string;
  /** What its tokens are signed by, if they are. */
  readonly keys?: KeySource;
  readonly introspector?: Introspector;
  readonly validator?: Validator;
  readonly denyList?: DenyList;
  close(): Promise<void>;
}

/**
 * Every issuer with its keys: key files are read now, key sets are fetched when first needed.
 *
 * @throws {IssuersMisconfigured} with every problem there is
 */
export async function openIssuers(
  issuers: readonly IssuerSettings[],
  outside: IssuersOutside,
): Promise<readonly KnownIssuer[]> {
  const known: KnownIssuer[] = [];
  const problems = [...doubles(issuers)];
  for (const settings of issuers) {
    const opened = await openIssuer(settings, outside);
    known.push(opened.issuer);
    problems.push(...opened.problems);
  }
  if (problems.length === 0) return known;
  await Promise.all(known.map((issuer) => issuer.close()));
  throw new IssuersMisconfigured(problems);
}

/** An issuer with those of its parts that can be had, and what is wrong with the others. */
async function openIssuer(
  settings: IssuerSettings,
  outside: IssuersOutside,
): Promise<{ readonly issuer: KnownIssuer; readonly problems: readonly IssuerProblem[] }> {
  const keys = await openKeys(settings, outside);
  const introspector = await openIntrospection(settings, outside);
  const denyList = await openDenyList(settings, outside);
  const validator = startValidator(settings, outside);
  const parts = [keys, introspector, denyList, validator];
  const issuer: KnownIssuer = {
    settings,
    iss: issOf(settings),
    keys: keys.part,
    introspector: introspector.part,
    validator: validator.part,
    denyList: denyList.part,
    async close() {
      await Promise.all(parts.map(({ part }) => part?.close()));
    },
  };
  const problems = parts.flatMap(({ problems }) => problems);
  return { issuer, problems: problems.map((problem) => ({ issuer: settings.name, ...problem })) };
}

function issOf({ url, issuer }: IssuerSettings): string | undefined {
  return url ?? issuer;
}

/** A token belongs to one issuer, and rules name one: neither may be a matter of order. */
function* doubles(issuers: readonly IssuerSettings[]): Generator<IssuerProblem> {
  const seen = { names: new Set<string>(), iss: new Set<string>() };
  for (const settings of issuers) {
    const { name } = settings;
    const iss = issOf(settings);
    if (seen.names.has(name)) yield { issuer: name, message: "Two issuers have this name; rename one" };
    if (iss !== undefined && seen.iss.has(iss)) {
      yield {
        issuer: name,
        message: "Another issuer expects the same iss; make them one, audience takes several",
      };
    }
    seen.names.add(name);
    if (iss !== undefined) seen.iss.add(iss);
  }
}
