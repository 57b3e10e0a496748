// In: the path of a TOML file. Out: a `Configuration`, or every mistake in it at once, each with its line.
// The keys belong to the rooms: each has a schema of its own, and what two rooms share is checked here.
// TOML: https://toml.io/en/v1.0.0

import { dirname, resolve } from "node:path";
import { wayInSchema } from "../authenticate/schema.ts";
import { mistakesOfPolicy, type Policy } from "../authorize/policy.ts";
import { authorizeSchema, type Rule, ruleSchema } from "../authorize/schema.ts";
import { serviceSchema } from "../commands/schema.ts";
import { backendSchema } from "../connect/schema.ts";
import { limitsSchema } from "../limits/schema.ts";
import { atOnce, type LongWork } from "../long_work.ts";
import { adminSchema } from "../observe/admin_schema.ts";
import { auditSchema } from "../observe/audit_schema.ts";
import { logSchema } from "../observe/schema.ts";
import { startupSchema } from "../startup/schema.ts";
import { listenSchema } from "../stream/listen_schema.ts";
import { issuerSchema, type IssuerSettings } from "../token/schema.ts";
import { checkBindings } from "./check_bindings.ts";
import { checkAddresses, checkOutputs } from "./check_clashes.ts";
import { checkIssuers } from "./check_issuers.ts";
import { checkRules } from "./check_rules.ts";
import type { Configuration } from "./configuration.ts";
import type { Flags } from "./flags.ts";
import { loadAdmin } from "./load_admin.ts";
import { loadBackends } from "./load_backend.ts";
import { attempt, loadListen } from "./load_listen.ts";
import { loadWaysIn } from "./load_ways_in.ts";
import { NamedFiles, type Outside, reasonOf } from "./named_file.ts";
import { checkNamed, checkUnique } from "./names.ts";
import { overlay } from "./overlay.ts";
import { ConfigurationError, Problems } from "./problem.ts";
import { Sections } from "./sections.ts";
import { TomlDocument, TomlSyntaxError } from "./toml_document.ts";

/** The disk and the environment of this process. */
export const THIS_MACHINE: Outside = {
  readTextFile: (path) => Deno.readTextFile(path),
  getEnv: (name) => Deno.env.get(name),
};

/** Where a configuration comes from: a file, what the command line says over it, or both. */
export interface ConfigurationSource {
  readonly path?: string;
  readonly flags?: Flags;
}

/** What stands for the file's name in messages where there is none. */
const NO_FILE = "command line";

/**
 * Reads the configuration and everything it names, except what only the network knows.
 *
 * @throws {ConfigurationError} with every mistake found
 */
export async function loadConfiguration(
  source: string | ConfigurationSource,
  outside: Outside = THIS_MACHINE,
): Promise<Configuration> {
  const { pace = atOnce } = outside;
  const { path, flags = {} } = typeof source === "string" ? { path: source } : source;
  const file = path === undefined
    ? TomlDocument.parse("")
    : await pace(parsing(path, await textOf(path, outside)));
  const overlaid = await overlay(file, { flags, readTextFile: outside.readTextFile });
  const { document } = overlaid;
  const problems = new Problems((keys) => document.placeOf(keys));
  for (const problem of overlaid.problems) problems.note(problem);
  const sections = new Sections(document, problems);
  const directory = path === undefined ? resolve(".") : dirname(resolve(path));
  const files = new NamedFiles(outside, directory);

  const listenSettings = sections.table("listen", listenSchema);
  const startup = sections.table("startup", startupSchema);
  const issuers = await pace(sections.tables("issuers", {
    schema: issuerSchema,
    purpose: "for whoever issues the tokens",
  }));
  const waysInTables = await pace(sections.tables("ways_in", { schema: wayInSchema }));
  const tables = await pace(sections.tables("backends", {
    schema: backendSchema,
    purpose: overlaid.lacksBackends ? undefined : "for each server to log in to",
  }));
  const rules = await pace(sections.tables("rules", {
    schema: ruleSchema,
    purpose: overlaid.lacksBackends ? undefined : "for those to be let in: all others are refused",
  }));
  const authorize = sections.table("authorize", authorizeSchema);
  const limits = sections.table("limits", limitsSchema);
  const service = sections.table("service", serviceSchema);
  const log = sections.table("log", logSchema);
  const audit = sections.table("audit", auditSchema);
  const adminSettings = sections.table("admin", adminSchema);
  sections.end();

  checkUnique("issuers", { document, problems });
  checkUnique("backends", { document, problems });
  checkUnique("rules", { document, problems });
  checkNamed({ of: "ways_in", key: "issuer", kind: "issuers" }, { document, problems });
  checkNamed({ of: "rules", key: "issuer", kind: "issuers" }, { document, problems });
  checkNamed({ of: "rules", key: "backend", kind: "backends" }, { document, problems });
  const maxTokenBytes = listenSettings?.max_token_bytes;
  checkBindings(issuers, { listen: listenSettings, problems });
  await checkIssuers(issuers, { directory, maxTokenBytes, outside, problems });

  const listen = listenSettings && await loadListen(listenSettings, { files, problems });
  const admin = adminSettings && await loadAdmin(adminSettings, { files, problems });
  const waysIn = loadWaysIn(waysInTables, { listen: listenSettings, issuers, problems });
  const { backends, names } = await loadBackends(tables, { files, pace, problems });
  const reservedRoles = authorize?.reservedRoles ?? [];
  const keyFile = authorize?.pseudonymKeyFile;
  const pseudonymKey = keyFile === undefined ? undefined : await attempt(() => files.pseudonymKey(keyFile), {
    otherwise: (says) => problems.add(["authorize", "pseudonym_key_file"], says),
  });
  const hasPseudonymKey = authorize === undefined || keyFile !== undefined;
  checkRules(rules, { issuers, backends, hasPseudonymKey, problems });
  const policy = await pace(linkPolicy({ rules, backends: names, reservedRoles, pseudonymKey }, problems));

  const own = path === undefined ? overlaid.files : [resolve(path), ...overlaid.files];
  const read = [...own, ...files.paths, ...keyPaths(issuers, files)];
  checkOutputs({ log: log?.file, audit: audit?.file }, { read, files, problems });
  checkAddresses({ listen: listenSettings?.address, admin: adminSettings?.address }, problems);

  const found = problems.inOrder();
  if (found.length > 0) throw new ConfigurationError(path ?? NO_FILE, found);
  return Object.freeze({
    path: path === undefined ? undefined : resolve(path),
    directory,
    files: read,
    variables: [
      ...files.variables,
      ...issuers.flatMap((issuer) => issuer?.introspection?.client_secret_env ?? []),
    ],
    listen: listen!,
    startup: startup!,
    issuers: issuers.filter((issuer) => issuer !== undefined),
    backends,
    policy,
    waysIn,
    limits: limits!,
    service: service!,
    log: withPath(log!, files),
    audit: withPath(audit!, files),
    admin: admin!,
  });
}

/** The file it names, absolute. */
function withPath<T extends { readonly file?: string }>(settings: T, files: NamedFiles): T {
  return settings.file === undefined ? settings : { ...settings, file: files.absolute(settings.file) };
}

async function textOf(path: string, { readTextFile }: Outside): Promise<string> {
  try {
    return await readTextFile(path);
  } catch (thrown) {
    const says = `is the configuration file, ${reasonOf(thrown, `--allow-read=${resolve(path)}`)}`;
    throw new ConfigurationError(path, [{ path: "", message: says }]);
  }
}

function* parsing(path: string, text: string): LongWork<TomlDocument> {
  try {
    return yield* TomlDocument.parsing(text);
  } catch (thrown) {
    if (!(thrown instanceof TomlSyntaxError)) throw thrown;
    throw new ConfigurationError(path, [{
      ...thrown.place,
      path: "",
      message: `this is not TOML: ${thrown.message}`,
    }]);
  }
}

/** What is read for the issuers; of a path with `*` or `?` in its file name, the directory: it is listed. */
function keyPaths(issuers: readonly (IssuerSettings | undefined)[], files: NamedFiles): readonly string[] {
  return issuers.flatMap((issuer) => {
    const { client_secret_file, private_key, certificate } = issuer?.introspection ?? {};
    const keys = issuer?.signing_keys?.map((path) => /[*?]/.test(path) ? dirname(path) : path) ?? [];
    return [...keys, issuer?.deny_list, client_secret_file, private_key, certificate];
  }).filter((path) => path !== undefined).map((path) => files.absolute(path));
}

/** Rules with other mistakes are left out, and keep their place: what is wrong with the others is told all the same. */
function* linkPolicy(
  { rules, ...rest }: Omit<Policy, "rules"> & { rules: readonly (Rule | undefined)[] },
  problems: Problems,
): LongWork<Policy> {
  const places = rules.flatMap((rule, index) => rule === undefined ? [] : [index]);
  const policy = { ...rest, rules: rules.filter((rule) => rule !== undefined) };
  for (const { rule, key, message } of yield* mistakesOfPolicy(policy)) {
    problems.add(["rules", places[rule], key], message);
  }
  return policy;
}
