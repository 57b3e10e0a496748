import { resolve } from "node:path";
import { formatDuration } from "../duration.ts";
import { type BackendsEntry, BadBackendsFile, matchOfKey, parseBackendsFile } from "./backends_file.ts";
import { type Flags, nameOfFlag } from "./flags.ts";
import { type Outside, reasonOf } from "./named_file.ts";
import { OverlaidDocument } from "./overlaid_document.ts";
import type { Problem } from "./problem.ts";
import type { ConfigurationDocument, KeyPath, Place } from "./toml_document.ts";

/** A configuration with what the command line says over it. */
export interface Overlaid {
  readonly document: ConfigurationDocument;
  /** What was read for it, absolute. */
  readonly files: readonly string[];
  readonly problems: readonly Problem[];
  /** There is a backends file, which cannot be used: that there are no backends need not be told as well. */
  readonly lacksBackends: boolean;
}

/** Puts what the command line says over a configuration's file: the same keys, so that the same checks see it. */
export async function overlay(
  under: ConfigurationDocument,
  { flags, readTextFile }: { readonly flags: Flags } & Pick<Outside, "readTextFile">,
): Promise<Overlaid> {
  const document = new OverlaidDocument(under);
  const problems: Problem[] = [];
  const tell = (flag: keyof Flags, says: string) =>
    problems.push({ file: "", path: nameOfFlag(flag), message: `${nameOfFlag(flag)} ${says}` });
  overlaySettings(document, flags);
  const issuers = overlayIssuers(document, { flags, tell });
  const files: string[] = [];
  let lacksBackends = false;
  if (flags.backends !== undefined) {
    files.push(resolve(flags.backends));
    const read = await readBackends(flags.backends, readTextFile);
    lacksBackends = read.kind === "problem" || issuers === undefined;
    if (read.kind === "problem") problems.push(read.problem);
    else if (issuers !== undefined) overlayBackends(document, { ...read, flags, issuers });
  }
  overlayEach(document, flags);
  return { document, files, problems, lacksBackends };
}

/** Notes a mistake of the command line. */
type Tell = (flag: keyof Flags, says: string) => void;

/** The flags that are one key each. */
function overlaySettings(document: OverlaidDocument, flags: Flags): void {
  const set = <Flag extends keyof Flags>(
    flag: Flag,
    path: KeyPath,
    written: (value: NonNullable<Flags[Flag]>) => unknown = (value) => value,
  ) => {
    const value = flags[flag];
    if (value !== undefined) document.set(path, written(value), placeOfFlag(flag));
  };
  set("bindAddr", ["listen", "address"], addressOf);
  set("bindCert", ["listen", "certificate"], (path) => resolve(path));
  set("bindKey", ["listen", "private_key"], (path) => resolve(path));
  set("insecure", ["listen", "insecure_plaintext"]);
  set("gracePeriod", ["service", "grace_period"], durationText);
  set("refresh", ["service", "refresh"], durationText);
  set("metricsAddr", ["admin", "address"], addressOf);
  set("logDestination", ["log", "file"], (path) => resolve(path));
  set("logFormat", ["log", "format"]);
  set("verbose", ["log", "level"], (times) => times === 1 ? "debug" : "trace");
}

/** Flags that are a key of every table there is by then. */
function overlayEach(document: OverlaidDocument, { jwtField, reportRemoteAddr }: Flags): void {
  if (jwtField !== undefined) {
    for (const [index, rule] of document.tables("rules").entries()) {
      // A rule that asks nobody's name looks at no claim.
      if (Object.hasOwn(rule, "match")) {
        document.set(["rules", index, "claim"], jwtField, placeOfFlag("jwtField"));
      }
    }
  }
  if (reportRemoteAddr === undefined) return;
  for (const index of document.tables("backends").keys()) {
    const path = ["backends", index, "report_remote_addr"];
    document.set(path, reportRemoteAddr, placeOfFlag("reportRemoteAddr"));
  }
}

const ISSUER_FLAGS = ["oidcDiscovery", "signingKeys", "audience", "issuer"] as const;

/**
 * What the flags say of the issuer: they make one where the file has none, or change the only one that it has.
 *
 * @returns the names of all issuers, for the rules of a backends file; undefined where it cannot be told whom they are for
 */
function overlayIssuers(
  document: OverlaidDocument,
  { flags, tell }: { readonly flags: Flags; readonly tell: Tell },
): readonly string[] | undefined {
  const written = document.tables("issuers");
  const [first] = ISSUER_FLAGS.filter((flag) => flags[flag] !== undefined);
  if (written.length > 1) {
    const says = `is for a file with one [[issuers]] table, and there are ${written.length}`;
    if (first !== undefined) tell(first, `${says}: change that table in the file`);
    if (flags.backends === undefined) return undefined;
    tell("backends", `${says}: write [[backends]] and [[rules]], which say whose tokens they are for`);
    return undefined;
  }
  if (written.length === 0) return first === undefined ? undefined : addIssuers(document, { flags, tell });
  changeIssuer(document, { flags, tell });
  const { name } = written[0];
  return typeof name === "string" ? [name] : undefined;
}

/** As with the ancestor both kinds of keys are good at once; here each says whose tokens it is for. */
function addIssuers(
  document: OverlaidDocument,
  { flags, tell }: { readonly flags: Flags; readonly tell: Tell },
): readonly string[] | undefined {
  const { oidcDiscovery, signingKeys, audience, issuer } = flags;
  const sources = (["oidcDiscovery", "signingKeys"] as const).filter((flag) => flags[flag] !== undefined);
  if (sources.length === 0) {
    tell(
      audience === undefined ? "issuer" : "audience",
      "needs --oidcDiscovery or --signingKeys: there is no issuer",
    );
    return undefined;
  }
  document.set(["issuers"], sources.map((name) => ({ name })), placeOfFlag(sources[0]));
  for (const [index, source] of sources.entries()) {
    document.place(["issuers", index], placeOfFlag(source));
    const set = (key: string, flag: keyof Flags, value: unknown) =>
      value === undefined || document.set(["issuers", index, key], value, placeOfFlag(flag));
    set("audience", "audience", audience);
    if (source === "oidcDiscovery") {
      // With both, the tokens of discovery are those of its own URL.
      const iss = signingKeys === undefined ? issuer : undefined;
      set("url", "oidcDiscovery", iss ?? issuerOf(oidcDiscovery!));
    } else {
      set("signing_keys", "signingKeys", signingKeys?.map((path) => resolve(path)));
      set("issuer", "issuer", issuer);
    }
  }
  return sources;
}

function changeIssuer(
  document: OverlaidDocument,
  { flags, tell }: { readonly flags: Flags; readonly tell: Tell },
): void {
  const { oidcDiscovery, signingKeys, audience, issuer } = flags;
  if (oidcDiscovery !== undefined && signingKeys !== undefined) {
    tell(
      "signingKeys",
      "and --oidcDiscovery cannot both be the keys of the file's one issuer: give one of them",
    );
    return;
  }
  const set = (key: string, flag: keyof Flags, value: unknown) =>
    document.set(["issuers", 0, key], value, placeOfFlag(flag));
  const table = document.tables("issuers")[0];
  if (oidcDiscovery !== undefined) {
    document.remove(["issuers", 0], ["issuer", "jwks_url", "signing_keys"]);
    set("url", "oidcDiscovery", issuer ?? issuerOf(oidcDiscovery));
  } else if (signingKeys !== undefined) {
    const iss = issuer ?? table.url ?? table.issuer;
    document.remove(["issuers", 0], ["url", "jwks_url", "jwks_hosts"]);
    set("signing_keys", "signingKeys", signingKeys.map((path) => resolve(path)));
    if (iss !== undefined) set("issuer", "issuer", iss);
  } else if (issuer !== undefined) set(table.url === undefined ? "issuer" : "url", "issuer", issuer);
  if (audience !== undefined) set("audience", "audience", audience);
}

/** The issuer's URL, which its discovery document stands below. */
function issuerOf(discovery: string): string {
  return discovery.replace(/\/\.well-known\/openid-configuration$/, "");
}

/** Each entry becomes a backend, and a rule for each issuer; they stand in the place of all that the file has. */
function overlayBackends(
  document: OverlaidDocument,
  { entries, file, flags, issuers }: {
    readonly entries: readonly BackendsEntry[];
    readonly file: string;
    readonly flags: Flags;
    readonly issuers: readonly string[];
  },
): void {
  const place = placeOfFlag("backends");
  const backendOf = (index: number) => `entry ${index + 1}`;
  const backends = entries.map(({ url }, index) => ({ name: backendOf(index), url }));
  const rules = issuers.flatMap((issuer) =>
    entries.map(({ key }, index) => ({
      name: issuers.length === 1 ? key : `${key} of ${issuer}`,
      issuer,
      claim: flags.jwtField ?? "sub",
      match: matchOfKey(key),
      backend: backendOf(index),
    }))
  );
  document.set(["backends"], backends, place);
  document.set(["rules"], rules, place);
  for (const [index, { key, place }] of entries.entries()) {
    const written = { ...place, file, name: JSON.stringify(key) };
    const at = (path: KeyPath) => document.place(path, written);
    at(["backends", index, "url"]);
    for (const nth of issuers.keys()) {
      for (const part of ["match", "backend"]) at(["rules", nth * entries.length + index, part]);
    }
  }
}

type ReadBackends =
  | { readonly kind: "entries"; readonly entries: readonly BackendsEntry[]; readonly file: string }
  | { readonly kind: "problem"; readonly problem: Problem };

async function readBackends(file: string, readTextFile: Outside["readTextFile"]): Promise<ReadBackends> {
  const path = resolve(file);
  try {
    const text = await readTextFile(path);
    return { kind: "entries", entries: parseBackendsFile(text.replace(/^\ufeff/, "")), file };
  } catch (error) {
    if (error instanceof BadBackendsFile) {
      const message = `this backends file ${error.message}`;
      return { kind: "problem", problem: { ...error.place, file, path: "", message } };
    }
    const message = `--backends names ${file}, ${reasonOf(error, `--allow-read=${path}`)}`;
    return { kind: "problem", problem: { file: "", path: "--backends", message } };
  }
}

/** As Go's `net.Listen`, which the ancestor used: no host is every address, and `localhost` is this machine. */
function addressOf(written: string): string {
  if (written.startsWith(":")) return `[::]${written}`;
  return written.replace(/^localhost:/, "127.0.0.1:");
}

/** Milliseconds in the words of the configuration. */
function durationText(milliseconds: number): string {
  return milliseconds === 0 ? "0" : formatDuration(milliseconds);
}

function placeOfFlag(flag: keyof Flags): Place {
  return { file: "", name: nameOfFlag(flag) };
}
