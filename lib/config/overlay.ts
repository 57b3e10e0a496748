import { resolve } from "node:path";
import { formatDuration } from "../duration.ts";
import { type BackendsEntry, BadBackendsFile, matchOfKey, parseBackendsFile } from "./backends_file.ts";
import { type Flags, nameOfFlag, placeOfFlag } from "./flags.ts";
import { type Outside, reasonOf } from "./named_file.ts";
import { OverlaidDocument } from "./overlaid_document.ts";
import { overlayIssuers, type Tell } from "./overlay_issuers.ts";
import type { Problem } from "./problem.ts";
import type { ConfigurationDocument, KeyPath } from "./toml_document.ts";

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
  const tell: Tell = (flag, says) =>
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
