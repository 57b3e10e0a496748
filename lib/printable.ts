/**
 * Untrusted text as it may stand in a log or a message (W16): control characters, line and paragraph separators, bidi
 * marks, invisible characters, lone surrogates and the backslash are escaped; what is longer than `maxLength`
 * characters is cut, and says so.
 */
export function printable(value: string, maxLength = 128): string {
  // Cut before escaping, so that a 10 MB name costs no more than a short one; a surrogate pair is never cut in two.
  const isLong = value.length > maxLength;
  const kept = isLong ? value.slice(0, maxLength).replace(/[\ud800-\udbff]$/, "") : value;
  const escaped = kept.replace(UNPRINTABLE, escape);
  return isLong ? `${escaped}… (${value.length} characters)` : escaped;
}

// Cc control, Cf format (bidi, zero width, soft hyphen, tags), Cs lone surrogate, Co private, Cn unassigned,
// Zl and Zp separators, and every space but the ordinary one.
const UNPRINTABLE = /[\p{C}\p{Zl}\p{Zp}\\]|(?! )\p{Zs}/gu;

const SHORT: Readonly<Record<string, string>> = { "\n": "\\n", "\r": "\\r", "\t": "\\t", "\\": "\\\\" };

function escape(character: string): string {
  const short = SHORT[character];
  if (short !== undefined) return short;
  const hex = character.codePointAt(0)!.toString(16);
  return hex.length > 4 ? `\\u{${hex}}` : `\\u${hex.padStart(4, "0")}`;
}
