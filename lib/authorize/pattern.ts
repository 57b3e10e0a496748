import { RE2JS, RE2JSException } from "re2js";
import { Mistake } from "../mistake.ts";

/** What an identity is compared with: text, byte for byte, or a regular expression of RE2 for the whole of it. */
export type Pattern =
  | { readonly kind: "text"; readonly text: string }
  | { readonly kind: "expression"; readonly text: string; readonly expression: RE2JS };

/**
 * No expression is tried on a longer value, in UTF-16 units. A match takes as long as the value is long times the steps of the
 * expression, at worst, and whoever chooses the value may wish it to take long.
 */
export const MAX_MATCHED_LENGTH = 1024;

/** Of an expression whose repetitions are written out: `(a{1,50}){10}` has a thousand, and takes milliseconds. */
const MAX_STEPS = 1000;

/** What a match captured: [0] is the whole value; a group that took no part is undefined. */
export type Captures = readonly (string | undefined)[];

/**
 * `/…/` is an expression, anything else is text.
 *
 * @throws {Mistake} when the text is empty, or the expression is not one of RE2, or too large
 * @see https://github.com/google/re2/wiki/Syntax
 */
export function parsePattern(text: string): Pattern {
  if (text === "") {
    throw new Mistake("must not be empty: give the value itself, or /an expression/ for all of it");
  }
  // An expression with flags behind it would otherwise pass as a text that never matches.
  if (/^\/.*\/[a-zA-Z]{1,3}$/s.test(text)) {
    throw new Mistake("has flags behind its last slash: write them inside, as in /(?i)…/");
  }
  if (text.length < 2 || !text.startsWith("/") || !text.endsWith("/")) return { kind: "text", text };
  return { kind: "expression", text, expression: compile(text.slice(1, -1)) };
}

/** What the value's match captured, or undefined if the pattern does not match the whole of it; linear in its length. */
export function matchWhole(pattern: Pattern, value: string): Captures | undefined {
  if (pattern.kind === "text") return pattern.text === value ? [value] : undefined;
  const matcher = pattern.expression.matcher(value);
  if (!matcher.matches()) return undefined;
  const captures: (string | undefined)[] = [value];
  for (let group = 1; group <= pattern.expression.groupCount(); group++) {
    captures.push(matcher.group(group) ?? undefined);
  }
  return captures;
}

/** How many groups a match captures besides the whole. */
export function groupCount(pattern: Pattern): number {
  return pattern.kind === "text" ? 0 : pattern.expression.groupCount();
}

/** The number of a named group, `(?P<name>…)`, or undefined. */
export function groupNamed(pattern: Pattern, name: string): number | undefined {
  if (pattern.kind === "text") return undefined;
  const groups = pattern.expression.namedGroups();
  return Object.hasOwn(groups, name) ? groups[name] : undefined;
}

function compile(source: string): RE2JS {
  if (source === "") {
    throw new Mistake("must not be empty: give the value itself, or /an expression/ for all of it");
  }
  try {
    const expression = RE2JS.compile(source);
    const steps = expression.programSize();
    if (steps <= MAX_STEPS) return expression;
    throw new Mistake(
      `is too large an expression: with its repetitions written out it takes ${steps} steps, where ${MAX_STEPS} are allowed`,
    );
  } catch (thrown) {
    if (!(thrown instanceof RE2JSException)) throw thrown;
    const reason = thrown.message.replace(/^error parsing regexp: /, "");
    throw new Mistake(`is not a regular expression of RE2: ${reason}`);
  }
}
