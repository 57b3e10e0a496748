import type * as v from "valibot";
import { asClause } from "./clause.ts";
import { descriptionOf, knownKeys, type Schema } from "./schema_guide.ts";
import { nearest } from "./suggestion.ts";
import type { KeyPath } from "./toml_document.ts";

/** What a schema found wrong, in words that follow the key's name. */
export interface Explanation {
  readonly path: KeyPath;
  readonly says: string;
}

/** All that a schema and {@link unknownKeys} find wrong with a value, each thing once. */
export function explain(value: unknown, { schema, issues }: Found): readonly Explanation[] {
  const unknown = unknownKeys(value, schema);
  // A required key that is only misspelt is told once, and so is an unknown key that the schema has found as well.
  const told = new Set(
    unknown.flatMap(({ path, meant = path }) => [path, meant]).map((path) => JSON.stringify(path)),
  );
  const others = issues.map((issue) => explainIssue(issue, schema))
    .filter(({ path }) => !told.has(JSON.stringify(path)));
  return [...unknown, ...others];
}

/** A schema, and the issues it has raised with a value. */
export interface Found {
  readonly schema: Schema;
  readonly issues: readonly v.BaseIssue<unknown>[];
}

/** Why a key is not one of those known, with the one that was probably meant. */
export function saysUnknown(key: string, known: readonly string[]): string {
  const near = nearest(key, known);
  if (near !== undefined) return `is not a known key: did you mean ${near}?`;
  return `is not a known key: there are ${known.join(", ")}`;
}

/** A key that its schema does not know, and the one that was probably meant, if that one is not there too. */
interface UnknownKey extends Explanation {
  readonly meant?: KeyPath;
}

/** Every key of the value that its schema does not know: valibot tells only of the first. */
function unknownKeys(value: unknown, schema: Schema, path: KeyPath = []): readonly UnknownKey[] {
  if (Array.isArray(value)) {
    return value.flatMap((element, index) => unknownKeys(element, schema, [...path, index]));
  }
  if (typeof value !== "object" || value === null) return [];
  const known = knownKeys(schema, path);
  return Object.entries(value).flatMap(([key, inner]) => {
    const at = [...path, key];
    if (known === undefined || known.includes(key)) return unknownKeys(inner, schema, at);
    const near = nearest(key, known);
    const meant = near === undefined || Object.hasOwn(value, near) ? undefined : [...path, near];
    return [{ path: at, says: saysUnknown(key, known), meant }];
  });
}

/** An issue in words that follow the key's name. */
function explainIssue(issue: v.BaseIssue<unknown>, schema: Schema): Explanation {
  const path = (issue.path ?? []).map(({ key }) => key as string | number);
  if (issue.type === "strict_object" && issue.expected === "never") {
    return { path, says: "is not a known key here" };
  }
  if (issue.type === "strict_object" && issue.expected === "Object") return { path, says: "must be a table" };
  if (issue.input === undefined && issue.kind === "schema") {
    const description = descriptionOf(schema, path);
    return { path, says: description === undefined ? "is required" : `is required: ${description}` };
  }
  return { path, says: predicateOf(issue, path) };
}

const WORDS: Readonly<Record<string, string>> = {
  string: "text in quotes",
  number: "a number",
  boolean: "true or false",
  Array: "an array",
  Object: "a table",
};

function predicateOf(issue: v.BaseIssue<unknown>, path: KeyPath): string {
  const { message, expected } = issue;
  // Valibot's own words, where a room gave none.
  if (message.startsWith("Invalid ")) {
    return `must be ${WORDS[expected ?? ""] ?? expected ?? "something else"}`;
  }
  const quotedKey = `${JSON.stringify(path.findLast((key) => typeof key === "string") ?? "")} `;
  if (message.startsWith(quotedKey)) return message.slice(quotedKey.length);
  return /^\p{Ll}/u.test(message) ? message : `is wrong: ${asClause(message)}`;
}
