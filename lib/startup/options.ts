import { PgError } from "../errors.ts";
import { SQLSTATE } from "../sqlstate.ts";

/**
 * Takes the startup parameter `options` apart into the settings it makes, as `-c name=value` or `--name=value`.
 *
 * Words are split as PostgreSQL does (pg_split_opts): at white space, a backslash keeps the next character. Any other
 * command-line switch is refused: it could change what a setting by name would not.
 *
 * @see https://www.postgresql.org/docs/18/libpq-connect.html#LIBPQ-CONNECT-OPTIONS
 * @throws {PgError} 28000 when there is anything but settings in it
 */
export function parseOptions(options: string): [name: string, value: string][] {
  const words = splitWords(options);
  const settings: [string, string][] = [];
  for (let at = 0; at < words.length; at++) {
    const word = words[at];
    if (word === "-c") settings.push(parseSetting(words[++at] ?? ""));
    else if (word.startsWith("-c")) settings.push(parseSetting(word.slice(2)));
    else if (word.startsWith("--")) settings.push(parseSetting(word.slice(2)));
    else throw notASetting();
  }
  return settings;
}

function parseSetting(text: string): [string, string] {
  const equals = text.indexOf("=");
  if (equals <= 0) throw notASetting();
  // PostgreSQL reads a dash in the name of such a setting as an underscore.
  return [text.slice(0, equals).replaceAll("-", "_"), text.slice(equals + 1)];
}

function splitWords(options: string): string[] {
  const words: string[] = [];
  let word: string | null = null;
  for (let at = 0; at < options.length; at++) {
    const character = options[at];
    if (/[ \t\n\v\f\r]/.test(character)) {
      if (word !== null) words.push(word);
      word = null;
      continue;
    }
    if (character === "\\") at++;
    word = (word ?? "") + (character === "\\" ? options[at] ?? "" : character);
  }
  if (word !== null) words.push(word);
  return words;
}

function notASetting(): PgError {
  return new PgError(
    SQLSTATE.invalidAuthorizationSpecification,
    'startup parameter "options" may hold only settings, as -c name=value or --name=value',
  );
}
