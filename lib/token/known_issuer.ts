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
import { termsOfIntrospection, termsOfKeys, termsOfValidator } from "./part_terms.ts";
import type { IssuerSettings } from "./schema.ts";
import { type SharedPart, type Taken, takeOver } from "./shared_part.ts";
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
  /** Those of its parts that a reload may take over. */
  readonly shared: SharedParts;
  /** Which of them were taken over. */
  readonly kept: { readonly keys: boolean; readonly introspector: boolean };
  close(): Promise<void>;
}

/** Parts that hold what cannot be had at any time: keys that were fetched, a program that runs. */
export interface SharedParts {
  readonly keys?: SharedPart<KeySource>;
  readonly introspector?: SharedPart<Introspector>;
  readonly validator?: SharedPart<Validator>;
}

/** What issuers are opened with. */
export interface OpeningOutside extends IssuersOutside {
  /** Those of the configuration before: what is the same is taken over, and closed when both have let go of it. */
  readonly issuersBefore?: readonly KnownIssuer[];
}

/**
 * Every issuer with its keys: key files are read now, key sets are fetched when first needed.
 *
 * @throws {IssuersMisconfigured} with every problem there is
 */
export async function openIssuers(
  issuers: readonly IssuerSettings[],
  outside: OpeningOutside,
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
  outside: OpeningOutside,
): Promise<{ readonly issuer: KnownIssuer; readonly problems: readonly IssuerProblem[] }> {
  const before = outside.issuersBefore?.find(({ settings: { name } }) => name === settings.name)?.shared;
  const keys = await takeOver(before?.keys, {
    terms: termsOfKeys(settings),
    open: () => openKeys(settings, outside),
  });
  const introspector = await takeOver(before?.introspector, {
    terms: await termsOfIntrospection(settings, outside),
    open: () => openIntrospection(settings, outside),
  });
  const validator = await takeOver(before?.validator, {
    terms: termsOfValidator(settings, outside),
    open: () => startValidator(settings, outside),
  });
  // A file that is read again in any case: one that cannot be used is a mistake like others.
  const denyList = await openDenyList(settings, outside);
  const issuer = knownIssuer(settings, { keys, introspector, validator, denyList: denyList.part });
  const problems = [keys, introspector, denyList, validator].flatMap(({ problems }) => problems);
  return { issuer, problems: problems.map((problem) => ({ issuer: settings.name, ...problem })) };
}

interface Parts {
  readonly keys: Taken<KeySource>;
  readonly introspector: Taken<Introspector>;
  readonly validator: Taken<Validator>;
  readonly denyList?: DenyList;
}

/** A function of its own, so that its closure keeps nothing else alive: else each issuer would keep the one before it. */
function knownIssuer(
  settings: IssuerSettings,
  { keys, introspector, validator, denyList }: Parts,
): KnownIssuer {
  const shared = { keys: keys.shared, introspector: introspector.shared, validator: validator.shared };
  return {
    settings,
    iss: issOf(settings),
    keys: keys.shared?.part,
    introspector: introspector.shared?.part,
    validator: validator.shared?.part,
    denyList,
    shared,
    kept: { keys: keys.isKept, introspector: introspector.isKept },
    async close() {
      await Promise.all([...Object.values(shared), denyList].map((part) => part?.close()));
    },
  };
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
