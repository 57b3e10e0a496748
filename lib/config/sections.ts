import * as v from "valibot";
import type { LongWork } from "../long_work.ts";
import { explain, saysUnknown } from "./explain_issue.ts";
import type { Problems } from "./problem.ts";
import { knownKeys, type Schema } from "./schema_guide.ts";
import type { ConfigurationDocument, KeyPath } from "./toml_document.ts";

/** Reads the file's tables one by one through the rooms' schemas; what is wrong becomes problems, the rest is read on. */
export class Sections {
  readonly #document: ConfigurationDocument;
  readonly #problems: Problems;
  readonly #known: string[] = [];

  constructor(document: ConfigurationDocument, problems: Problems) {
    this.#document = document;
    this.#problems = problems;
  }

  /** The table `[name]`, empty if it is not there; undefined if something in it is wrong. */
  table<S extends Schema>(name: string, schema: S): v.InferOutput<S> | undefined {
    return this.#read([name], { schema, value: this.#take(name) ?? {} });
  }

  /**
   * The tables `[[name]]`, of which there may be many: in each one's place what it says, or undefined if something in it is
   * wrong. With a purpose there must be at least one.
   */
  *tables<S extends Schema>(
    name: string,
    { schema, purpose }: { schema: S; purpose?: string },
  ): LongWork<readonly (v.InferOutput<S> | undefined)[]> {
    const value = this.#take(name) ?? [];
    if (!Array.isArray(value)) {
      this.#problems.add([name], `must be an array of tables: write [[${name}]] above each`);
      return [];
    }
    if (value.length === 0 && purpose !== undefined) {
      this.#problems.add([name], `is required: add a [[${name}]] table ${purpose}`);
    }
    const read: (v.InferOutput<S> | undefined)[] = [];
    for (const [index, element] of value.entries()) {
      yield;
      read.push(this.#read([name, index], { schema, value: element }));
    }
    return read;
  }

  /** Whatever at the top of the file nobody has read is a mistake. */
  end(): void {
    for (const name of Object.keys(this.#document.value)) {
      if (!this.#known.includes(name)) this.#problems.add([name], saysUnknown(name, this.#known));
    }
  }

  #take(name: string): unknown {
    this.#known.push(name);
    return Object.hasOwn(this.#document.value, name) ? this.#document.value[name] : undefined;
  }

  #read<S extends Schema>(
    at: KeyPath,
    { schema, value }: { schema: S; value: unknown },
  ): v.InferOutput<S> | undefined {
    const result = v.safeParse(schema, value);
    const explanations = explain(value, { schema, issues: result.issues ?? [] });
    for (const { path, says } of explanations) this.#problems.add([...at, ...path], says);
    if (explanations.length === 0) return result.output as v.InferOutput<S>;
    // Keys that nobody knows hide nothing: the files that the others name are looked at all the same.
    const again = v.safeParse(schema, withKeys(value, knownKeys(schema, [])));
    return again.success ? again.output : undefined;
  }
}

/** The value without keys that are not among these. */
function withKeys(value: unknown, keys: readonly string[] | undefined): unknown {
  if (keys === undefined || typeof value !== "object" || value === null || Array.isArray(value)) return value;
  return Object.fromEntries(Object.entries(value).filter(([key]) => keys.includes(key)));
}
