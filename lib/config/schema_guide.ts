import * as v from "valibot";
import type { KeyPath } from "./toml_document.ts";

/** Any schema that a room may own. */
export type Schema = v.GenericSchema;

/** What valibot's schemas are made of, as far as a path can lead through them. */
interface Inside {
  readonly type: string;
  readonly entries?: Readonly<Record<string, Schema>>;
  readonly item?: Schema;
  readonly wrapped?: Schema;
  readonly options?: readonly Schema[];
}

/** The keys that the tables at this path may have; undefined where any are allowed. */
export function knownKeys(schema: Schema, path: KeyPath): readonly string[] | undefined {
  const tables = schemasAt(schema, path).map(inside).filter(({ type }) => type === "strict_object");
  if (tables.length === 0) return undefined;
  return [...new Set(tables.flatMap(({ entries = {} }) => Object.keys(entries)))];
}

/** What a room says a key is for, by `v.description`. */
export function descriptionOf(schema: Schema, path: KeyPath): string | undefined {
  return schemasAt(schema, path).map((found) => v.getDescription(found)).find((text) => text !== undefined);
}

/** The schemas a value at the path can have: several, where alternatives are allowed. */
function schemasAt(schema: Schema, path: KeyPath): readonly Schema[] {
  const { wrapped, options, entries, item } = inside(schema);
  if (wrapped !== undefined) return schemasAt(wrapped, path);
  if (options?.some(isSchema)) return options.filter(isSchema).flatMap((option) => schemasAt(option, path));
  if (path.length === 0) return [schema];
  const [key, ...rest] = path;
  if (typeof key === "number") return item === undefined ? [] : schemasAt(item, rest);
  return entries !== undefined && Object.hasOwn(entries, key) ? schemasAt(entries[key], rest) : [];
}

function inside(schema: Schema): Inside {
  return schema as unknown as Inside;
}

/** The options of a picklist are words, not schemas. */
function isSchema(option: unknown): option is Schema {
  return typeof option === "object" && option !== null && "kind" in option && option.kind === "schema";
}
