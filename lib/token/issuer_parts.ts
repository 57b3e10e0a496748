import { resolve } from "node:path";
import { type DenyList, type DenyListOutside, UnusableDenyList, WatchedDenyList } from "./deny_list.ts";
import { discoverKeySetUrl } from "./discovery.ts";
import { fetchDocument } from "./fetch_document.ts";
import type { Introspector } from "./introspection/introspector.ts";
import {
  certifiedFetchOfDeno,
  type IntrospectorOutside,
  openIntrospector,
} from "./introspection/open_introspector.ts";
import { type IntrospectionOutcome, ReportingIntrospector } from "./introspection/reporting_introspector.ts";
import type { SecretsOutside } from "./introspection/read_credentials.ts";
import { fixedKeySource, type KeySource } from "./key_source.ts";
import { RemoteKeySet } from "./remote_key_set.ts";
import type { IssuerSettings } from "./schema.ts";
import type { Opened } from "./shared_part.ts";
import { type KeyFiles, keyFilesOfDisk, readSigningKeys } from "./signing_keys.ts";
import type { TokenEvent } from "./token_event.ts";
import { CannotStart, CommandValidator } from "./validator/command_validator.ts";
import type { Validator } from "./validator/validator.ts";

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

/** Its keys: files are read now, key sets are fetched when first needed. */
export async function openKeys(
  settings: IssuerSettings,
  outside: IssuersOutside,
): Promise<Opened<KeySource>> {
  const { name: issuer, algorithms, signing_keys, url, jwks_url } = settings;
  const { now, report = () => {} } = outside;
  if (signing_keys === undefined) {
    if ((url ?? jwks_url) === undefined) return { problems: [] };
    const fetchKeySet = keySetFetcher(settings, outside);
    return { part: new RemoteKeySet({ issuer, algorithms, now, report, fetchKeySet }), problems: [] };
  }
  const { baseDirectory = ".", readTextFile, listDirectory } = outside;
  const disk = keyFilesOfDisk(baseDirectory);
  const files: KeyFiles = {
    baseDirectory,
    readTextFile: readTextFile ?? disk.readTextFile,
    listDirectory: listDirectory ?? disk.listDirectory,
  };
  const read = await readSigningKeys(signing_keys, { algorithms, files });
  return read.kind === "keys"
    ? { part: fixedKeySource(read.keys), problems: [] }
    : { problems: read.problems.map((message) => ({ message })) };
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

/** The way to ask it about its tokens; nothing is asked yet. */
export async function openIntrospection(
  settings: IssuerSettings,
  outside: IssuersOutside,
): Promise<Opened<Introspector>> {
  if (settings.introspection === undefined) return { problems: [] };
  const { fetch, now, report = () => {}, certifiedFetch = certifiedFetchOfDeno } = outside;
  const secrets = secretsOf(outside);
  const opened = await openIntrospector(settings, { fetch, certifiedFetch, secrets, now, report });
  if (opened.kind === "introspector") {
    const told = (outcome: IntrospectionOutcome) =>
      report({ kind: "introspected", issuer: settings.name, outcome });
    return { part: new ReportingIntrospector(opened.introspector, told), problems: [] };
  }
  const { key, message } = opened.problem;
  return { problems: [{ key: introspectionKey(key), message }] };
}

/** Where the secrets of an introspection are. */
export function secretsOf(outside: IssuersOutside): SecretsOutside {
  const {
    baseDirectory = ".",
    readTextFile = keyFilesOfDisk(baseDirectory).readTextFile,
    getEnv = (name) => Deno.env.get(name),
  } = outside;
  return { baseDirectory, readTextFile, getEnv };
}

/** Where in an issuer's table a key of its introspection is. */
export function introspectionKey(key: string | undefined): readonly string[] {
  return key === undefined ? ["introspection"] : ["introspection", key];
}

/** Its program, which runs from now on. */
export function startValidator(settings: IssuerSettings, outside: IssuersOutside): Opened<Validator> {
  if (settings.validator === undefined) return { problems: [] };
  const { now, report = () => {}, baseDirectory = "." } = outside;
  const directory = resolve(baseDirectory);
  try {
    const about = { issuer: settings.name, directory, now, report };
    return { part: new CommandValidator(settings.validator, about), problems: [] };
  } catch (error) {
    if (!(error instanceof CannotStart)) throw error;
    return { problems: [{ key: ["validator", "command"], message: error.message }] };
  }
}

/** Its deny list, read now and watched. */
export async function openDenyList(
  { name: issuer, deny_list }: IssuerSettings,
  outside: IssuersOutside,
): Promise<Opened<DenyList>> {
  if (deny_list === undefined) return { problems: [] };
  const { now, report = () => {}, baseDirectory = "." } = outside;
  const { readTextFile = Deno.readTextFile, stat = Deno.stat } = outside;
  try {
    const path = resolve(baseDirectory, deny_list);
    return {
      part: await WatchedDenyList.open(path, { issuer, readTextFile, stat, now, report }),
      problems: [],
    };
  } catch (error) {
    if (!(error instanceof UnusableDenyList)) throw error;
    return { problems: error.problems.map((message) => ({ key: ["deny_list"], message })) };
  }
}
