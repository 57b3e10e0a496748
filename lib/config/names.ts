import type { Problems } from "./problem.ts";
import { nearest } from "./suggestion.ts";
import type { ConfigurationDocument } from "./toml_document.ts";

/** Notes every name that two tables of one kind share. */
export function checkUnique(
  kind: string,
  { document, problems }: { document: ConfigurationDocument; problems: Problems },
): void {
  const first = new Map<string, number>();
  for (const [index, name] of namesOf(kind, document).entries()) {
    if (name === undefined) continue;
    const before = first.get(name);
    if (before === undefined) first.set(name, index);
    else {problems.add(
        [kind, index, "name"],
        `is ${JSON.stringify(name)}, as ${kind}[${before}].name is: choose another`,
      );}
  }
}

/** Notes every table of `of` whose `key` names a table of `kind` that is not there; also one with other mistakes. */
export function checkNamed(
  { of, key, kind }: { of: string; key: string; kind: string },
  { document, problems }: { document: ConfigurationDocument; problems: Problems },
): void {
  const known = new Set(namesOf(kind, document).filter((name) => name !== undefined));
  // That there is none at all is told once, not for every name.
  if (known.size === 0) return;
  for (const [index, table] of tablesOf(of, document).entries()) {
    const name = textAt(table, key);
    if (name === undefined || known.has(name)) continue;
    const near = nearest(name, [...known]);
    const advice = near === undefined ? "" : `: did you mean ${near}?`;
    problems.add(
      [of, index, key],
      `is ${JSON.stringify(name)}, which no [[${kind}]] table is named${advice}`,
    );
  }
}

/** As written, so that a table with another mistake still counts as there. */
function namesOf(kind: string, document: ConfigurationDocument): readonly (string | undefined)[] {
  return tablesOf(kind, document).map((table) => textAt(table, "name"));
}

function tablesOf(kind: string, document: ConfigurationDocument): readonly unknown[] {
  const tables = Object.hasOwn(document.value, kind) ? document.value[kind] : undefined;
  return Array.isArray(tables) ? tables : [];
}

function textAt(table: unknown, key: string): string | undefined {
  if (typeof table !== "object" || table === null || !Object.hasOwn(table, key)) return undefined;
  const value = (table as Record<string, unknown>)[key];
  return typeof value === "string" && value !== "" ? value : undefined;
}
