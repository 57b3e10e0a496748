import type { LongWork } from "../long_work.ts";
import { Mistake } from "../mistake.ts";
import type { Secret } from "../secret.ts";
import type { Pattern } from "./pattern.ts";
import { isName, isReservedRole } from "./reserved.ts";
import type { Rule } from "./schema.ts";
import { literalOf, parseTemplate, type Template, unknownCapture } from "./template.ts";

/** Everything a decision is made from. */
export interface Policy {
  /** In order: the first whose conditions all hold decides. */
  readonly rules: readonly Rule[];
  /** By name. */
  readonly backends: ReadonlyMap<string, BackendNames>;
  readonly reservedRoles: readonly string[];
  /** What pseudonyms are made with; there where a rule records no identity. */
  readonly pseudonymKey?: Secret;
}

/** The parts of a backend's URL that may hold captures; never its host, its port or what governs TLS. */
export interface BackendNames {
  /** The login role where a rule has no `login_as`. */
  readonly user?: Template;
  /** The database; undefined: the one the client asks for. */
  readonly database?: Template;
  /** Startup parameters for the backend. */
  readonly parameters?: ReadonlyMap<string, Template>;
}

/** The same parts as they are written in the URL. */
export interface WrittenNames {
  readonly user?: string;
  readonly database?: string;
  readonly parameters: ReadonlyMap<string, string>;
}

/** A backend's names parsed; each backslash that is no capture is told to `onMistake` in words that follow "has". */
export function parseBackendNames(written: WrittenNames, onMistake: (message: string) => void): BackendNames {
  const parse = (text: string, where: string): Template => {
    try {
      return parseTemplate(text);
    } catch (thrown) {
      if (!(thrown instanceof Mistake)) throw thrown;
      onMistake(`${where} that ${thrown.message}`);
      return { text, parts: [text] };
    }
  };
  const { user, database, parameters } = written;
  return {
    user: user === undefined ? undefined : parse(user, "a user"),
    database: database === undefined ? undefined : parse(database, "a database"),
    parameters: new Map([...parameters].map(([name, text]) => [name, parse(text, `the parameter ${name}`)])),
  };
}

/** One mistake that shows only when a rule and its backend are seen together. */
export interface PolicyMistake {
  readonly rule: number;
  readonly key: "backend" | "login_as";
  /** Follows the key's name in a sentence. */
  readonly message: string;
}

/** What is wrong between the rules and the backends they name; a rule whose backend is unknown is not looked at. */
export function* mistakesOfPolicy(
  { rules, backends, reservedRoles }: Policy,
): LongWork<readonly PolicyMistake[]> {
  const found: PolicyMistake[] = [];
  for (const [index, rule] of rules.entries()) {
    yield;
    const backend = backends.get(rule.backend);
    if (backend === undefined) continue;
    const mistakes = [...mistakesOfRole(rule, backend, reservedRoles), ...mistakesOfUrl(rule, backend)];
    found.push(...mistakes.map((mistake) => ({ rule: index, ...mistake })));
  }
  return found;
}

/**
 * Whether a rule may log in as this role. A reserved role must have been written out by the operator, in `login_as` or
 * as the URL's user, without captures, in a rule whose match is text: no other identity can then ever carry it.
 */
export function mayBeRole(
  role: string,
  { written, match, reservedRoles }: {
    /** Undefined where the role is one that the token lists. */
    readonly written: Template | undefined;
    readonly match: Pattern | undefined;
    readonly reservedRoles: readonly string[];
  },
): boolean {
  if (!isReservedRole(role, reservedRoles)) return true;
  return match?.kind === "text" && written !== undefined && literalOf(written) !== undefined;
}

/** The role as it is written for a rule; undefined where that is the one its client asks for and the token lists. */
export function writtenRole({ loginAs, roles }: Rule, backend: BackendNames): Template | undefined {
  return loginAs ?? (roles === undefined ? backend.user : undefined);
}

type Found = Omit<PolicyMistake, "rule">;

function mistakesOfRole(
  rule: Rule,
  backend: BackendNames,
  reservedRoles: readonly string[],
): readonly Found[] {
  const key = rule.loginAs === undefined ? "backend" as const : "login_as" as const;
  const written = writtenRole(rule, backend);
  if (written !== undefined) {
    return mistakeOfRole(written, rule.match, reservedRoles).map((message) => ({ key, message }));
  }
  if (rule.roles !== undefined) return [];
  return [{ key, message: "has no user in its URL: give one there, or login_as here" }];
}

function mistakesOfUrl(rule: Rule, { user, database, parameters }: BackendNames): readonly Found[] {
  const templates = [user, database, ...parameters?.values() ?? []].filter((one) => one !== undefined);
  const says = (message: string): Found => ({ key: "backend", message: `has a URL that ${message}` });
  const unknown = templates.flatMap((template) => unknownCapture(template, rule.match) ?? []).map(says);
  if (rule.recordsIdentity || unknown.length > 0) return unknown;
  const telling = templates.find((template) => literalOf(template) === undefined);
  return telling === undefined
    ? []
    : [says("tells who the client is, which record_identity = false keeps to itself")];
}

function mistakeOfRole(
  written: Template,
  match: Pattern | undefined,
  reservedRoles: readonly string[],
): readonly string[] {
  const role = literalOf(written);
  if (role === undefined) return [];
  if (!isName(role)) return ["is no name of a role: PostgreSQL takes 1 to 63 bytes without NUL"];
  if (mayBeRole(role, { written, match, reservedRoles })) return [];
  return [`would log in as the reserved role ${role}: only a rule whose match is text may`];
}
