import type { KeyPath, Place } from "./toml_document.ts";

/** One mistake in the configuration. */
export interface Problem {
  /** Counts from 1; undefined where the mistake is something that is not there. */
  readonly line?: number;
  readonly column?: number;
  /** The key, as `issuers[0].audience`; empty for the file as a whole. */
  readonly path: string;
  /** One sentence, which begins with the path. */
  readonly message: string;
}

/** The configuration cannot be used; the message is every problem, one a line. */
export class ConfigurationError extends Error {
  override readonly name = "ConfigurationError";
  readonly problems: readonly Problem[];

  constructor(file: string, problems: readonly Problem[]) {
    super(
      problems.map(({ line, message }) => `${file}:${line === undefined ? "" : `${line}:`} ${message}`).join(
        "\n",
      ),
    );
    this.problems = problems;
  }
}

/** Collects problems, so that all are told at once, in the order of the file. */
export class Problems {
  readonly #found: Problem[] = [];
  readonly #placeOf: (path: KeyPath) => Place | undefined;

  constructor(placeOf: (path: KeyPath) => Place | undefined) {
    this.#placeOf = placeOf;
  }

  /** Notes a mistake; `says` follows the key's name: "must be …", "is required: …". */
  add(path: KeyPath, says: string): void {
    const key = formatKeyPath(path);
    this.#found.push({ ...this.#placeOf(path), path: key, message: `${key} ${says}` });
  }

  inOrder(): readonly Problem[] {
    return this.#found.toSorted((one, other) =>
      (one.line ?? Infinity) - (other.line ?? Infinity) || (one.column ?? 0) - (other.column ?? 0) || 0
    );
  }
}

/** A path as messages write it: `rules[0].require."a.b"`. */
export function formatKeyPath(path: KeyPath): string {
  return path.reduce<string>((text, key) => {
    if (typeof key === "number") return `${text}[${key}]`;
    const name = /^[\w-]+$/.test(key) ? key : JSON.stringify(key);
    return text === "" ? name : `${text}.${name}`;
  }, "");
}
