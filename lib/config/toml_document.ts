import { type AST, getStaticTOMLValue, ParseError, parseTOML } from "toml-eslint-parser";
import { atOnce, type LongWork } from "../long_work.ts";
import { asClause } from "./clause.ts";

/** Keys and indexes from the top of the file to a value. */
export type KeyPath = readonly (string | number)[];

/** Where a value was written; line and column count from 1. */
export interface Place {
  readonly line?: number;
  readonly column?: number;
  /** The file, where it is another than the configuration's; empty: the command line. */
  readonly file?: string;
  /** What messages call the value in place of its path: the name of a flag, or a key of another file. */
  readonly name?: string;
}

/** A configuration as a plain value, and where each part of it was written. */
export interface ConfigurationDocument {
  readonly value: Readonly<Record<string, unknown>>;
  /** Where the key or element was written; if it was not, where the nearest table around it begins. */
  placeOf(path: KeyPath): Place | undefined;
}

/** A TOML file as a plain value, and where in the file each part of it was written. */
export class TomlDocument implements ConfigurationDocument {
  readonly value: Readonly<Record<string, unknown>>;
  readonly #ast: AST.TOMLProgram;
  /** Nobody asks for them as long as there is no mistake. */
  #places: ReadonlyMap<string, Place> | null = null;

  private constructor(ast: AST.TOMLProgram) {
    this.value = getStaticTOMLValue(ast) as Record<string, unknown>;
    this.#ast = ast;
  }

  /** @throws {TomlSyntaxError} when the text is not TOML 1.0 */
  static parse(text: string): TomlDocument {
    return atOnce(TomlDocument.parsing(text));
  }

  /** As {@link parse}, in steps: of a long text each takes its time. */
  static *parsing(text: string): LongWork<TomlDocument> {
    try {
      // Editors of Windows begin a file with a byte order mark, which the parser takes for a key.
      const ast = parseTOML(text.replace(/^\ufeff/, ""), { tomlVersion: "1.0" });
      yield;
      return new TomlDocument(ast);
    } catch (thrown) {
      if (thrown instanceof ParseError) {
        const place = { line: thrown.lineNumber, column: thrown.column + 1 };
        throw new TomlSyntaxError(asClause(thrown.message), place);
      }
      if (thrown instanceof RangeError) throw new TomlSyntaxError("tables or arrays nest too deeply");
      throw thrown;
    }
  }

  placeOf(path: KeyPath): Place | undefined {
    this.#places ??= placesOf(this.#ast.body[0]);
    for (let length = path.length; length > 0; length--) {
      const place = this.#places.get(JSON.stringify(path.slice(0, length)));
      if (place !== undefined) return place;
    }
    return undefined;
  }
}

/** The text is not TOML: what is wrong, and where. */
export class TomlSyntaxError extends Error {
  override readonly name = "TomlSyntaxError";
  readonly place?: Place;

  constructor(message: string, place?: Place) {
    super(message);
    this.place = place;
  }
}

function placesOf(top: AST.TOMLTopLevelTable): ReadonlyMap<string, Place> {
  const places = new Map<string, Place>();

  // A table is also begun by its first longer header or dotted key, so every prefix of a path gets a place; the first stays.
  function note(path: KeyPath, { start }: AST.SourceLocation) {
    for (let length = 1; length <= path.length; length++) {
      const key = JSON.stringify(path.slice(0, length));
      if (!places.has(key)) places.set(key, { line: start.line, column: start.column + 1 });
    }
  }

  function visit(node: AST.TOMLKeyValue | AST.TOMLContentNode, path: KeyPath) {
    switch (node.type) {
      case "TOMLKeyValue": {
        const full = [...path, ...node.key.keys.map(nameOf)];
        note(full, node.loc);
        visit(node.value, full);
        return;
      }
      case "TOMLInlineTable":
        for (const entry of node.body) visit(entry, path);
        return;
      case "TOMLArray":
        for (const [index, element] of node.elements.entries()) {
          note([...path, index], element.loc);
          visit(element, [...path, index]);
        }
        return;
      case "TOMLValue":
        return;
    }
  }

  for (const node of top.body) {
    if (node.type === "TOMLKeyValue") visit(node, []);
    else {
      note(node.resolvedKey, node.loc);
      for (const entry of node.body) visit(entry, node.resolvedKey);
    }
  }
  return places;
}

function nameOf(key: AST.TOMLBare | AST.TOMLQuoted): string {
  return key.type === "TOMLBare" ? key.name : key.value;
}
