import { Mistake } from "../mistake.ts";
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
export function mistakesOfPolicy({ rules, backends, reservedRoles }: Policy): readonly PolicyMistake[] {
  return rules.flatMap((rule, index) => {
    const backend = backends.get(rule.backend);
    if (backend === undefined) return [];
    const key = rule.loginAs === undefined ? "backend" as const : "login_as" as const;
    const role = rule.loginAs ?? backend.user;
    const messages = role === undefined
      ? [{ key, message: "has no user in its URL: give one there, or login_as here" }]
      : mistakeOfRole(role, rule.match, reservedRoles).map((message) => ({ key, message }));
    const unknown = [backend.user, backend.database, ...backend.parameters?.values() ?? []]
      .flatMap((template) => template === undefined ? [] : unknownCapture(template, rule.match) ?? [])
      .map((message) => ({ key: "backend" as const, message: `has a URL that ${message}` }));
    return [...messages, ...unknown].map((mistake) => ({ rule: index, ...mistake }));
  });
}

/**
 * Whether a rule may log in as this role. A reserved role must have been written out by the operator, in `login_as` or
 * as the URL's user, without captures, in a rule whose match is text: no other identity can then ever carry it.
 */
export function mayBeRole(
  role: string,
  { written, match, reservedRoles }: { written: Template; match: Pattern; reservedRoles: readonly string[] },
): boolean {
  if (!isReservedRole(role, reservedRoles)) return true;
  return match.kind === "text" && literalOf(written) !== undefined;
}

function mistakeOfRole(
  written: Template,
  match: Pattern,
  reservedRoles: readonly string[],
): readonly string[] {
  const role = literalOf(written);
  if (role === undefined) return [];
  if (!isName(role)) return ["is no name of a role: PostgreSQL takes 1 to 63 bytes without NUL"];
  if (mayBeRole(role, { written, match, reservedRoles })) return [];
  return [`would log in as the reserved role ${role}: only a rule whose match is text may`];
}
