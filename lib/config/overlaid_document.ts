import { formatKeyPath } from "./problem.ts";
import type { ConfigurationDocument, KeyPath, Place } from "./toml_document.ts";

type Table = Record<string, unknown>;

/** A document in which some values have been replaced, each with the place where its new value was written. */
export class OverlaidDocument implements ConfigurationDocument {
  readonly value: Table;
  readonly #under: ConfigurationDocument;
  readonly #places = new Map<string, Place>();

  constructor(under: ConfigurationDocument) {
    this.#under = under;
    this.value = structuredClone(under.value) as Table;
  }

  /** The tables `[[name]]` as they are by now; none where it is something else. */
  tables(name: string): readonly Readonly<Table>[] {
    const tables = Object.hasOwn(this.value, name) ? this.value[name] : undefined;
    return Array.isArray(tables) && tables.every(isTable) ? tables : [];
  }

  /** Replaces or adds a value. Where something other than a table is in the way it stays: its schema tells of it. */
  set(path: KeyPath, value: unknown, place: Place): void {
    const inside = this.#tableAt(path.slice(0, -1));
    if (inside === undefined) return;
    inside[path.at(-1)!] = value;
    this.place(path, place);
  }

  /** Takes keys out of a table. */
  remove(path: KeyPath, keys: readonly string[]): void {
    const table = this.#tableAt(path);
    for (const key of keys) delete table?.[key];
  }

  /** Says where a value was written. */
  place(path: KeyPath, place: Place): void {
    this.#places.set(JSON.stringify(path), place);
  }

  placeOf(path: KeyPath): Place | undefined {
    for (let length = path.length; length > 0; length--) {
      const place = this.#places.get(JSON.stringify(path.slice(0, length)));
      if (place === undefined) continue;
      // Of what nobody has written the name of what is around it tells too little.
      const rest = length === path.length ? "" : `: ${formatKeyPath(path.slice(length))}`;
      return { ...place, name: `${place.name}${rest}` };
    }
    return this.#under.placeOf(path);
  }

  #tableAt(path: KeyPath): Record<string | number, unknown> | undefined {
    let table: unknown = this.value;
    for (const key of path) {
      if (!isTable(table) && !Array.isArray(table)) return undefined;
      const tables = table as Record<string | number, unknown>;
      if (!Object.hasOwn(tables, key)) tables[key] = {};
      table = tables[key];
    }
    return isTable(table) ? table : undefined;
  }
}

function isTable(value: unknown): value is Table {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
