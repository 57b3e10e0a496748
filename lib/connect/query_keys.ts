import { nameOfKey, TargetError } from "./connection_uri.ts";

/** The keys of a URL's query, each to be read once; what nobody reads is a mistake. */
export class QueryKeys {
  readonly #unread: Map<string, string>;

  constructor(query: ReadonlyMap<string, string>) {
    this.#unread = new Map(query);
  }

  /**
   * A value that never holds a capture; an empty one counts as absent, as in libpq.
   *
   * @throws {TargetError} when it holds one
   */
  text(key: string): string | undefined {
    const value = this.#unread.get(key);
    this.#unread.delete(key);
    if (value !== undefined && /\\[\d{]/.test(value)) {
      throw new TargetError(`${key} cannot hold a capture: only the user, the database and parameters can`);
    }
    return value || undefined;
  }

  /**
   * One of `words`.
   *
   * @throws {TargetError} when it is another; of those in `refused` it says why
   */
  oneOf<W extends string>(
    key: string,
    { words, refused = [], because }: {
      readonly words: readonly W[];
      readonly refused?: readonly string[];
      readonly because?: string;
    },
  ): W | undefined {
    const value = this.text(key);
    if (value === undefined) return undefined;
    const word = words.find((word) => word === value);
    if (word !== undefined) return word;
    const why = refused.includes(value) ? `, because ${value} ${because}` : "";
    throw new TargetError(`${key} must be one of ${words.join(", ")}${why}`);
  }

  /** Those of `keys` that are written, in the order written; they may hold captures. */
  all(keys: readonly string[]): Map<string, string> {
    const found = [...this.#unread].filter(([key]) => keys.includes(key));
    for (const [key] of found) this.#unread.delete(key);
    return new Map(found);
  }

  /** @throws {TargetError} when a key is left that nobody has read */
  end(): void {
    for (const key of this.#unread.keys()) {
      throw new TargetError(`${nameOfKey(key)} is not known, or is not for the URL: remove it`);
    }
  }
}
