import type { LongWork } from "../long_work.ts";
import type { TokenNames } from "./verified_token.ts";

/** Tokens and bearers by what names them. */
export interface Denied {
  readonly tokenIds: ReadonlySet<string>;
  readonly subjects: ReadonlySet<string>;
}

/** One line of a deny list that cannot be meant: its number, from 1, and what it must be, as a clause. */
export interface DenyMistake {
  readonly line: number;
  readonly says: string;
}

/** A deny list as read, or every mistake in it. */
export type ParsedDenyList =
  | { readonly kind: "denied"; readonly denied: Denied }
  | { readonly kind: "mistakes"; readonly mistakes: readonly DenyMistake[] };

/** So many lines are read in about a millisecond: a list of a hundred thousand takes a tenth of a second. */
const LINES_A_STEP = 1_000;

/**
 * Reads lines of `jti <value>` and `sub <value>`; lines that begin with `#` and empty ones say nothing.
 *
 * A line that could be understood in two ways is a mistake: an entry that never matches would deny nobody, silently.
 */
export function* parseDenyList(text: string): LongWork<ParsedDenyList> {
  const tokenIds = new Set<string>();
  const subjects = new Set<string>();
  const mistakes: DenyMistake[] = [];
  let number = 0;
  for (const written of linesOf(text.replace(/^\uFEFF/, ""))) {
    number++;
    if (number % LINES_A_STEP === 0) yield;
    // Looked for only where blanks begin: a name full of them would hold everybody up.
    const line = written.replace(/(?<![ \t\r])[ \t\r]+$/, "").replace(/^[ \t]+/, "");
    if (line === "" || line.startsWith("#")) continue;
    const [, key, value] = /^(jti|sub)[ \t]+(.+)$/.exec(line) ?? [];
    const says = value === undefined ? 'must be "jti" or "sub", a blank and its value' : mistakeOf(value);
    if (says !== undefined) mistakes.push({ line: number, says });
    else (key === "jti" ? tokenIds : subjects).add(value);
  }
  return mistakes.length === 0
    ? { kind: "denied", denied: { tokenIds, subjects } }
    : { kind: "mistakes", mistakes };
}

/** Whether a token is denied by its `jti` or its `sub`: the very same text, nothing folded. */
export function isDenied(
  denied: Denied,
  { tokenId, subject }: Pick<TokenNames, "tokenId" | "subject">,
): boolean {
  return (tokenId !== undefined && denied.tokenIds.has(tokenId)) ||
    (subject !== undefined && denied.subjects.has(subject));
}

/** How many entries there are. */
export function countDenied({ tokenIds, subjects }: Denied): number {
  return tokenIds.size + subjects.size;
}

/** One at a time: to cut them all apart at once would take its time. */
function* linesOf(text: string): Generator<string> {
  for (let from = 0; from <= text.length;) {
    const end = text.indexOf("\n", from);
    yield end < 0 ? text.slice(from) : text.slice(from, end);
    from = end < 0 ? Infinity : end + 1;
  }
}

function mistakeOf(value: string): string | undefined {
  if (/[ \t]#/.test(value)) return "has a # behind its value: a comment needs a line of its own";
  if (/^"|"$/.test(value)) return "has quotes around its value: leave them out";
  // What cannot be decoded comes as U+FFFD, and no claim would ever be equal to it.
  if (value.includes("\uFFFD")) return "is not UTF-8";
  // deno-lint-ignore no-control-regex
  if (/[\0-\x1f\x7f]/.test(value)) return "has a control character in its value";
}
