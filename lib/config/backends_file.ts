import type { Place } from "./toml_document.ts";

/** One entry of a backends file: whose it is, and where they are let in. */
export interface BackendsEntry {
  /** The value of a claim, or an expression behind a slash. */
  readonly key: string;
  readonly url: string;
  readonly place: Required<Pick<Place, "line" | "column">>;
}

/** The file is no backends file: why, and where if that is known. */
export class BadBackendsFile extends Error {
  override readonly name = "BadBackendsFile";
  readonly place: Pick<Place, "line" | "column">;

  constructor(message: string, place: Pick<Place, "line" | "column"> = {}) {
    super(message);
    this.place = place;
  }
}

// Not one character at a time: each would take room on the stack, which a text of 10 MB has not.
const TEXTS = /"[^"\\]*(?:\\.[^"\\]*)*"/g;

const SHAPE = 'must be one JSON object from identities to URLs: { "alice": "postgres://…" }';

/**
 * Reads the backends file of the program's Go ancestor: JSON, one object from an identity, or an expression behind a slash,
 * to a connection URL.
 *
 * The entries keep the order of the file, which a parsed object does not: there `"42"` would come before `"/(.*)/"`
 * wherever it is written, and be asked first.
 *
 * @throws {BadBackendsFile}
 */
export function parseBackendsFile(text: string): readonly BackendsEntry[] {
  checkShape(text);
  // Nothing is left in it but texts, a key and its value by turns.
  const texts = [...text.matchAll(TEXTS)];
  const entries: BackendsEntry[] = [];
  const seen = new Set<string>();
  let place: BackendsEntry["place"] = { line: 1, column: 1 };
  let placedUpTo = 0;
  for (let index = 0; index < texts.length; index += 2) {
    const [key, url] = [texts[index], texts[index + 1]].map(([quoted]) => JSON.parse(quoted) as string);
    // Counted on from the entry before: from the start each time, a file of 10 000 entries would take seconds.
    place = placeBehind(place, text.slice(placedUpTo, texts[index].index));
    placedUpTo = texts[index].index;
    if (seen.has(key)) throw new BadBackendsFile(`has ${JSON.stringify(key)} twice: remove one`, place);
    seen.add(key);
    entries.push({ key, url, place });
  }
  if (entries.length > 0) return entries;
  throw new BadBackendsFile("lets nobody in: it has no entry");
}

/**
 * An entry's key as a rule's `match`: `/…/` around an expression, of which the last slash may be left out.
 *
 * The ancestor looked for the expression anywhere in the claim; as in every rule, it must match the whole of it here.
 */
export function matchOfKey(key: string): string {
  if (!key.startsWith("/")) return key;
  return key.length > 1 && key.endsWith("/") ? key : `${key}/`;
}

/** @throws {BadBackendsFile} when it is not one object whose values are texts */
function checkShape(text: string): void {
  try {
    JSON.parse(text);
  } catch (error) {
    // Of the parser's words only the place is told: it quotes what it reads, and there are passwords in it.
    const [, line, column] = /\(line (\d+) column (\d+)\)/.exec((error as Error).message) ?? [];
    const place = line === undefined ? {} : { line: Number(line), column: Number(column) };
    throw new BadBackendsFile("is not JSON", place);
  }
  if (!/^\{[:,]*\}$/.test(text.replaceAll(TEXTS, "").replaceAll(/\s/g, ""))) throw new BadBackendsFile(SHAPE);
}

function placeBehind({ line, column }: BackendsEntry["place"], text: string): BackendsEntry["place"] {
  const lines = text.split("\n");
  const onLast = lines.at(-1)!.length;
  return { line: line + lines.length - 1, column: lines.length === 1 ? column + onLast : onLast + 1 };
}
