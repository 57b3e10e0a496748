import type { DenyList } from "./deny_list.ts";
import { discoverKeySetUrl } from "./discovery.ts";
import { fetchDocument } from "./fetch_document.ts";
import type { Introspector } from "./introspection/introspector.ts";
import { fixedKeySource, type KeySource } from "./key_source.ts";
import { RemoteKeySet } from "./remote_key_set.ts";
import type { IssuerSettings } from "./schema.ts";
import { type KeyFiles, keyFilesOfDisk, readSigningKeys } from "./signing_keys.ts";
import type { Validator } from "./validator/validator.ts";
import { type IssuerProblem, IssuersMisconfigured, type TokenEvent } from "./token_event.ts";

/** An issuer with its keys. */
export interface KnownIssuer {
  readonly settings: IssuerSettings;
  /** The `iss` of its tokens. */
  readonly iss: string;
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
  /** What relative paths of `signing_keys` are relative to; the working directory unless given. */
  readonly baseDirectory?: string;
  readonly readTextFile?: KeyFiles["readTextFile"];
  readonly listDirectory?: KeyFiles["listDirectory"];
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
    const opened = await openKeys(settings, outside);
    switch (opened.kind) {
      case "source":
        known.push({
          settings,
          iss: issOf(settings),
          keys: opened.source,
          close: () => opened.source.close(),
        });
        break;
      case "problems":
        problems.push(...opened.problems.map((message) => ({ issuer: settings.name, message })));
    }
  }
  if (problems.length > 0) throw new IssuersMisconfigured(problems);
  return known;
}

type OpenedKeys =
  | { readonly kind: "source"; readonly source: KeySource }
  | { readonly kind: "problems"; readonly problems: readonly string[] };

async function openKeys(settings: IssuerSettings, outside: IssuersOutside): Promise<OpenedKeys> {
  const { name, algorithms, signing_keys } = settings;
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

function issOf({ url, issuer }: IssuerSettings): string {
  return url ?? issuer!;
}

/** A token belongs to one issuer, and rules name one: neither may be a matter of order. */
function* doubles(issuers: readonly IssuerSettings[]): Generator<IssuerProblem> {
  const seen = { names: new Set<string>(), iss: new Set<string>() };
  for (const settings of issuers) {
    const { name } = settings;
    if (seen.names.has(name)) yield { issuer: name, message: "Two issuers have this name; rename one" };
    if (seen.iss.has(issOf(settings))) {
      yield {
        issuer: name,
        message: "Another issuer expects the same iss; make them one, audience takes several",
      };
    }
    seen.names.add(name);
    seen.iss.add(issOf(settings));
  }
}
