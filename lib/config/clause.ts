/** A sentence as it stands behind a colon: with a small letter, unless it begins with an abbreviation. */
export function asClause(sentence: string): string {
  return /^\p{Lu}(?:\p{Ll}|\s)/u.test(sentence)
    ? sentence.charAt(0).toLowerCase() + sentence.slice(1)
    : sentence;
}
