import { resolve } from "node:path";
import { type DenyList, type DenyListOutside, UnusableDenyList, WatchedDenyList } from "./deny_list.ts";
import { discoverKeySetUrl } from "./discovery.ts";
import { fetchDocument } from "./fetch_document.ts";
import type { Introspector } from "./introspection/introspector.ts";
import {
  certifiedFetchOfDeno,
  type IntrospectorOutside,
  type OpenedIntrospector,
  openIntrospector,
} from "./introspection/open_introspector.ts";
import type { SecretsOutside } from "./introspection/read_credentials.ts";
import { fixedKeySource, type KeySource } from "./key_source.ts";
import { RemoteKeySet } from "./remote_key_set.ts";
import type { IssuerSettings } from "./schema.ts";
import { type KeyFiles, keyFilesOfDisk, readSigningKeys } from "./signing_keys.ts";
import { CannotStart, CommandValidator } from "./validator/command_validator.ts";
import type { Validator } from "./validator/validator.ts";
import { type IssuerProblem, IssuersMisconfigured, type TokenEvent } from "./token_event.ts";

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

/** What issuers need from outside. */
export interface IssuersOutside {
  /** Must honour its abort signal. */
  readonly fetch: typeof fetch;
  /** Milliseconds since 1970. */
  readonly now: () => number;
  readonly report?: (event: TokenEvent) => void;
  /** What relative paths are relative to; the working directory unless given. */
  readonly baseDirectory?: string;
  readonly readTextFile?: KeyFiles["readTextFile"];
  readonly listDirectory?: KeyFiles["listDirectory"];
  readonly stat?: DenyListOutside["stat"];
  readonly getEnv?: SecretsOutside["getEnv"];
  /** Makes a `fetch` that shows a client certificate. */
  readonly certifiedFetch?: IntrospectorOutside["certifiedFetch"];
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
    if (opened.kind === "issuer") known.push(opened.issuer);
    else problems.push(...opened.problems.map((problem) => ({ issuer: settings.name, ...problem })));
  }
  if (problems.length === 0) return known;
  await Promise.all(known.map((issuer) => issuer.close()));
  throw new IssuersMisconfigured(problems);
}

type OpenedIssuer =
  | { readonly kind: "issuer"; readonly issuer: KnownIssuer }
  | { readonly kind: "problems"; readonly problems: readonly Omit<IssuerProblem, "issuer">[] };

async function openIssuer(settings: IssuerSettings, outside: IssuersOutside): Promise<OpenedIssuer> {
  const opened = await openJudgement(settings, outside);
  const list = settings.deny_list === undefined
    ? NONE
    : await openDenyList(settings.deny_list, { ...outside, issuer: settings.name });
  if (list.kind === "none") return opened;
  if (list.kind === "list" && opened.kind === "issuer") {
    const close = async () => void await Promise.all([opened.issuer.close(), list.list.close()]);
    return { kind: "issuer", issuer: { ...opened.issuer, denyList: list.list, close } };
  }
  await Promise.all([
    opened.kind === "issuer" && opened.issuer.close(),
    list.kind === "list" && list.list.close(),
  ]);
  const others = opened.kind === "problems" ? opened.problems : [];
  return { kind: "problems", problems: [...others, ...list.kind === "problems" ? list.problems : []] };
}

/** Who says whether the issuer's tokens are good. */
async function openJudgement(settings: IssuerSettings, outside: IssuersOutside): Promise<OpenedIssuer> {
  if (settings.validator !== undefined) return startValidator(settings, outside);
  const keys = await openKeys(settings, outside);
  const asking = await openIntrospection(settings, outside);
  const problems: Omit<IssuerProblem, "issuer">[] = [];
  if (keys.kind === "problems") problems.push(...keys.problems.map((message) => ({ message })));
  if (asking.kind === "problem") {
    const { key, message } = asking.problem;
    problems.push({ key: introspectionKey(key), message });
  }
  if (keys.kind === "problems" || asking.kind === "problem") {
    await Promise.all([closeKeys(keys), closeIntrospection(asking)]);
    return { kind: "problems", problems };
  }
  const issuer: KnownIssuer = {
    settings,
    iss: issOf(settings),
    keys: keys.kind === "source" ? keys.source : undefined,
    introspector: asking.kind === "introspector" ? asking.introspector : undefined,
    async close() {
      await Promise.all([closeKeys(keys), closeIntrospection(asking)]);
    },
  };
  return { kind: "issuer", issuer };
}

/** Its program decides alone: such an issuer has no keys and is asked nothing else. */
function startValidator(settings: IssuerSettings, outside: IssuersOutside): OpenedIssuer {
  const { now, report = () => {}, baseDirectory = "." } = outside;
  const directory = resolve(baseDirectory);
  try {
    const validator = new CommandValidator(settings.validator!, {
      ...{ issuer: settings.name, directory, now, report },
    });
    const issuer = { settings, iss: issOf(settings), validator, close: () => validator.close() };
    return { kind: "issuer", issuer };
  } catch (error) {
    if (!(error instanceof CannotStart)) throw error;
    return { kind: "problems", problems: [{ key: ["validator", "command"], message: error.message }] };
  }
}

/** Where in an issuer's table a key of its introspection is. */
export function introspectionKey(key: string | undefined): readonly string[] {
  return key === undefined ? ["introspection"] : ["introspection", key];
}

const NONE = { kind: "none" } as const;

async function openIntrospection(
  settings: IssuerSettings,
  outside: IssuersOutside,
): Promise<OpenedIntrospector | typeof NONE> {
  if (settings.introspection === undefined) return NONE;
  const {
    fetch,
    now,
    report = () => {},
    baseDirectory = ".",
    readTextFile = keyFilesOfDisk(baseDirectory).readTextFile,
    getEnv = (name) => Deno.env.get(name),
    certifiedFetch = certifiedFetchOfDeno,
  } = outside;
  const secrets = { baseDirectory, readTextFile, getEnv };
  return await openIntrospector(settings, { fetch, certifiedFetch, secrets, now, report });
}

type OpenedDenyList =
  | { readonly kind: "list"; readonly list: DenyList }
  | { readonly kind: "problems"; readonly problems: readonly Omit<IssuerProblem, "issuer">[] };

async function openDenyList(
  path: string,
  outside: IssuersOutside & { readonly issuer: string },
): Promise<OpenedDenyList> {
  const { issuer, now, report = () => {}, baseDirectory = "." } = outside;
  const { readTextFile = Deno.readTextFile, stat = Deno.stat } = outside;
  try {
    const list = await WatchedDenyList.open(resolve(baseDirectory, path), {
      ...{ issuer, readTextFile, stat, now, report },
    });
    return { kind: "list", list };
  } catch (error) {
    if (!(error instanceof UnusableDenyList)) throw error;
    return {
      kind: "problems",
      problems: error.problems.map((message) => ({ key: ["deny_list"], message })),
    };
  }
}

async function closeKeys(keys: OpenedKeys): Promise<void> {
  if (keys.kind === "source") await keys.source.close();
}

async function closeIntrospection(asking: OpenedIntrospector | typeof NONE): Promise<void> {
  if (asking.kind === "introspector") await asking.introspector.close();
}

type OpenedKeys =
  | typeof NONE
  | { readonly kind: "source"; readonly source: KeySource }
  | { readonly kind: "problems"; readonly problems: readonly string[] };

async function openKeys(settings: IssuerSettings, outside: IssuersOutside): Promise<OpenedKeys> {
  const { name, algorithms, signing_keys, url, jwks_url } = settings;
  if ((url ?? jwks_url ?? signing_keys) === undefined) return NONE;
  if (signing_keys === undefined) {
    const { now, report = () => {} } = outside;
    const fetchKeySet = keySetFetcher(settings, outside);
    return {
      kind: "source",
      source: new RemoteKeySet({ issuer: name, algorithms, now, report, fetchKeySet }),
    };
  }
  const { baseDirectory = ".", readTextFile, listDirectory } = outside;
  const disk = keyFilesOfDisk(baseDirectory);
  const files: KeyFiles = {
    baseDirectory,
    readTextFile: readTextFile ?? disk.readTextFile,
    listDirectory: listDirectory ?? disk.listDirectory,
  };
  const read = await readSigningKeys(signing_keys, { algorithms, files });
  return read.kind === "keys" ? { kind: "source", source: fixedKeySource(read.keys) } : read;
}

/** Discovery is asked each time: an issuer may move its key set. */
function keySetFetcher(settings: IssuerSettings, { fetch }: IssuersOutside) {
  return async (signal: AbortSignal): Promise<Record<string, unknown>> => {
    const { url, jwks_url } = settings;
    const options = { fetch, signal, insecureHttp: settings.insecure_http };
    const keySetUrl = url === undefined
      ? new URL(jwks_url!)
      : await discoverKeySetUrl({ ...settings, url }, options);
    return await fetchDocument(keySetUrl, options);
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
