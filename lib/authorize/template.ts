import { Mistake } from "../mistake.ts";
import { type Captures, groupCount, groupNamed, type Pattern } from "./pattern.ts";

/** Text with captures in it: `\0` the whole identity, `\1`…`\9` its groups, `\{name}` a named one, `\\` a backslash. */
export interface Template {
  /** As it was written, for messages. */
  readonly text: string;
  readonly parts: readonly (string | Capture)[];
}

/** A capture in a {@link Template}: by number or by name. */
export interface Capture {
  readonly group: number | string;
}

/** @throws {Mistake} when a backslash is followed by neither a digit, a `{name}` nor a backslash */
export function parseTemplate(text: string): Template {
  const parts: (string | Capture)[] = [];
  let literal = "";
  for (const [token] of text.matchAll(/\\\d|\\\{\w+\}|\\\\|\\?[^\\]|\\$/gsu)) {
    if (token === "\\\\") literal += "\\";
    else if (!token.startsWith("\\")) literal += token;
    else {
      if (literal !== "") parts.push(literal);
      literal = "";
      parts.push({ group: groupOf(token) });
    }
  }
  if (literal !== "") parts.push(literal);
  return { text, parts };
}

/** The text of a template without captures, or undefined if it has any. */
export function literalOf(template: Template): string | undefined {
  return template.parts.every((part) => typeof part === "string") ? template.parts.join("") : undefined;
}

/**
 * The template's text for these captures, each passed through `encode`; undefined if a group took no part in the match,
 * because an empty stand-in could turn `app_\1` into a role that nobody meant.
 */
export function substitute(
  template: Template,
  { pattern, captures, encode = (text) => text }: Substitution,
): string | undefined {
  let result = "";
  for (const part of template.parts) {
    if (typeof part === "string") result += part;
    else {
      const captured = captures[numberOf(part, pattern) ?? -1];
      if (captured === undefined) return undefined;
      result += encode(captured);
    }
  }
  return result;
}

/** What {@link substitute} needs: a match, and how a capture is written where it goes (default: as it is). */
export interface Substitution {
  /** Undefined where nothing was compared: then there are no captures either. */
  readonly pattern: Pattern | undefined;
  readonly captures: Captures;
  readonly encode?: (captured: string) => string;
}

/** What is wrong with the template's captures for this pattern, or for none; undefined if nothing is. */
export function unknownCapture(template: Template, pattern: Pattern | undefined): string | undefined {
  for (const part of template.parts) {
    if (typeof part === "string" || numberOf(part, pattern) !== undefined) continue;
    const written = typeof part.group === "number" ? `\\${part.group}` : `\\{${part.group}}`;
    if (pattern === undefined) return `uses ${written}, but without match nothing is captured`;
    if (pattern.kind === "text") return `uses ${written}, but match is text, which captures only \\0`;
    return `uses ${written}, but match has no such group`;
  }
  return undefined;
}

function numberOf({ group }: Capture, pattern: Pattern | undefined): number | undefined {
  if (pattern === undefined) return undefined;
  if (typeof group === "string") return groupNamed(pattern, group);
  return group <= groupCount(pattern) ? group : undefined;
}

function groupOf(token: string): number | string {
  if (/^\\\d$/.test(token)) return Number(token[1]);
  if (/^\\\{\w+\}$/.test(token)) return token.slice(2, -1);
  throw new Mistake(
    "has a backslash that is no capture: write \\0 to \\9 or \\{name}, and \\\\ for a backslash",
  );
}
