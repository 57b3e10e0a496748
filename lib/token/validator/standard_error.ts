import { printable } from "../../printable.ts";
import { linesOf } from "./lines.ts";

/** So many lines are reported in so many milliseconds; the rest are counted. */
const LINES_A_WINDOW = 20;
const WINDOW_MS = 10_000;

/** A line of standard error is reported up to here, in characters. */
const REPORTED_LENGTH = 256;

/** Read of a line: enough for the longest token, so that none is cut before it is looked for. */
const MAX_LINE_BYTES = 256 * 1024;

/** What {@link StandardError} needs from outside. */
export interface StandardErrorOutside {
  /** How many of the last tokens are looked for. */
  readonly remembers: number;
  /** Milliseconds since 1970. */
  readonly now: () => number;
  /** Told of a line, and how many were passed over before it. */
  readonly report: (line: string, passedOver: number) => void;
}

/** What a program writes for the log: always read, or it would block; reported in moderation, and never a token (T17). */
export class StandardError {
  readonly #outside: StandardErrorOutside;
  readonly #tokens: string[] = [];
  #windowBegan = -Infinity;
  #reported = 0;
  #passedOver = 0;

  constructor(outside: StandardErrorOutside) {
    this.#outside = outside;
  }

  /** The program is about to be shown this token: `set -x` or a stack trace may well write it here. */
  expect(token: string): void {
    this.#tokens.push(token);
    if (this.#tokens.length > this.#outside.remembers) this.#tokens.shift();
  }

  /** Reads until the end. */
  async read(reader: ReadableStreamDefaultReader<Uint8Array>): Promise<void> {
    const decoder = new TextDecoder();
    for await (const line of linesOf(reader, { maxBytes: MAX_LINE_BYTES })) {
      if (line.length > 0 && this.#mayReport()) this.#report(decoder.decode(line));
    }
  }

  #mayReport(): boolean {
    const now = this.#outside.now();
    // A clock that was set back begins a window too.
    if (Math.abs(now - this.#windowBegan) >= WINDOW_MS) {
      this.#windowBegan = now;
      this.#reported = 0;
    }
    if (this.#reported >= LINES_A_WINDOW) {
      this.#passedOver++;
      return false;
    }
    this.#reported++;
    return true;
  }

  #report(line: string): void {
    this.#outside.report(printable(withoutTokens(line, this.#tokens), REPORTED_LENGTH), this.#passedOver);
    this.#passedOver = 0;
  }
}

/**
 * The text with `[token]` wherever one of the tokens is, as it is or as JSON writes it.
 *
 * All are looked for in the text as it was. Anyone may present `o` as a token: put in one after the other, each `[token]`
 * would be found again by such tokens, until no memory held the line; and a stranger's `e` would cut a longer one in two,
 * which then nobody finds.
 */
export function withoutTokens(text: string, tokens: readonly string[]): string {
  const forms = new Set(tokens.flatMap((token) => [token, JSON.stringify(token).slice(1, -1)]));
  forms.delete("");
  const isOfToken = new Uint8Array(text.length);
  for (const form of forms) {
    for (let at = text.indexOf(form); at >= 0; at = text.indexOf(form, at + form.length)) {
      isOfToken.fill(1, at, at + form.length);
    }
  }
  let shown = "";
  for (let at = 0; at < text.length;) {
    const isHidden = isOfToken[at];
    const next = isOfToken.indexOf(isHidden ? 0 : 1, at);
    const end = next < 0 ? text.length : next;
    shown += isHidden ? "[token]" : text.slice(at, end);
    at = end;
  }
  return shown;
}
