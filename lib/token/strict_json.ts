/** How deep objects and arrays may nest: what walks a parsed value later may then recurse. */
const MAX_DEPTH = 64;

/**
 * Parses a JSON object from bytes, refusing whatever two parsers could read differently: invalid UTF-8, a byte order
 * mark, a member given twice, lone surrogates, nesting deeper than 64.
 *
 * @throws {SyntaxError} when the bytes are not such an object; its message never quotes them
 * @see RFC 7519 section 4, RFC 8259 section 8
 */
export function parseStrictJsonObject(bytes: Uint8Array): Record<string, unknown> {
  const text = decodeUtf8(bytes);
  const value = parse(text);
  if (typeof value !== "object" || value === null || Array.isArray(value)) {
    throw new SyntaxError("The JSON is not an object");
  }
  scan(text);
  return value as Record<string, unknown>;
}

function decodeUtf8(bytes: Uint8Array): string {
  try {
    // ignoreBOM keeps the mark in the text, where JSON.parse then refuses it.
    return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    throw new SyntaxError("The text is not UTF-8");
  }
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    // V8 quotes the text in its own message: that must not travel.
    throw new SyntaxError("The text is not JSON");
  }
}

/** Walks text that is known to be JSON and looks for what JSON.parse lets pass. */
function scan(text: string): void {
  const scopes: (Set<string> | undefined)[] = [];
  for (let at = 0; at < text.length; at++) {
    switch (text[at]) {
      case "{":
        scopes.push(new Set());
        break;
      case "[":
        scopes.push(undefined);
        break;
      case "}":
      case "]":
        scopes.pop();
        break;
      case '"': {
        const end = endOfString(text, at);
        // Decoded before comparing, or "\u0069ss" would pass as another name than "iss".
        const decoded = JSON.parse(text.slice(at, end)) as string;
        if (!decoded.isWellFormed()) throw new SyntaxError("A string holds half a surrogate pair");
        if (isName(text, end)) addName(scopes.at(-1), decoded);
        at = end - 1;
        break;
      }
    }
    if (scopes.length > MAX_DEPTH) throw new SyntaxError(`The JSON nests deeper than ${MAX_DEPTH}`);
  }
}

/** Index just behind the closing quote of the string that opens at `start`. */
function endOfString(text: string, start: number): number {
  let at = start + 1;
  while (text[at] !== '"') at += text[at] === "\\" ? 2 : 1;
  return at + 1;
}

/** In valid JSON only a member's name is followed by a colon. */
function isName(text: string, at: number): boolean {
  while (text[at] === " " || text[at] === "\t" || text[at] === "\n" || text[at] === "\r") at++;
  return text[at] === ":";
}

function addName(names: Set<string> | undefined, name: string): void {
  if (names?.has(name)) throw new SyntaxError("An object has a member twice");
  names?.add(name);
}
