import type { KeyPath, Place } from "./toml_document.ts";

/** One mistake in the configuration. */
export interface Problem {
  /** The file, where it is another than the configuration's; empty: the command line. */
  readonly file?: string;
  /** Counts from 1; undefined where the mistake is something that is not there. */
  readonly line?: number;
  readonly column?: number;
  /** The key, as `issuers[0].audience`; empty for the file as a whole. */
  readonly path: string;
  /** One sentence, which begins with the path, or with the name of the flag. */
  readonly message: string;
}

/** The configuration cannot be used; the message is every problem, one a line. */
export class ConfigurationError extends Error {
  override readonly name = "ConfigurationError";
  readonly problems: readonly Problem[];

  constructor(file: string, problems: readonly Problem[]) {
    super(problems.map((problem) => `${placeOf(problem, file)}${problem.message}`).join("\n"));
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
    const { name = key, ...place } = this.#placeOf(path) ?? {};
    this.note({ ...place, path: key, message: `${name} ${says}` });
  }

  /** Notes a mistake that is no key's. */
  note(problem: Problem): void {
    // One flag, or one line of another file, may stand for several keys.
    const isTold = problem.file !== undefined &&
      this.#found.some(({ file, line, message }) =>
        file === problem.file && line === problem.line && message === problem.message
      );
    if (!isTold) this.#found.push(problem);
  }

  /** First those of the command line, then those of the file, then those of other files. */
  inOrder(): readonly Problem[] {
    return this.#found.toSorted((one, other) =>
      rankOf(one) - rankOf(other) || (one.line ?? Infinity) - (other.line ?? Infinity) ||
      (one.column ?? 0) - (other.column ?? 0) || 0
    );
  }
}

function rankOf({ file }: Problem): number {
  return file === undefined ? 1 : file === "" ? 0 : 2;
}

/** What stands before a message: nothing where it is about the command line. */
function placeOf({ file, line }: Problem, configuration: string): string {
  if (file === "") return "";
  return `${file ?? configuration}:${line === undefined ? "" : `${line}:`} `;
}

/** A path as messages write it: `rules[0].require."a.b"`. */
export function formatKeyPath(path: KeyPath): string {
  return path.reduce<string>((text, key) => {
    if (typeof key === "number") return `${text}[${key}]`;
    const name = /^[\w-]+$/.test(key) ? key : JSON.stringify(key);
    return text === "" ? name : `${text}.${name}`;
  }, "");
}
