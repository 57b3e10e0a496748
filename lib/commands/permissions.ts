import { type ConfigurationSource, loadConfiguration, THIS_MACHINE } from "../config/load.ts";
import { flagsOf, requiredPermissions } from "../config/permissions.ts";

/** What `permissions` is told. */
export interface PermissionsOptions {
  readonly source: ConfigurationSource;
  /** The command line that starts the program by the same configuration: `start` and its flags. */
  readonly startArgs: readonly string[];
}

/**
 * The command lines that start the program, and that compile it, with as much permission as the configuration needs.
 *
 * @throws {ConfigurationError} when it cannot be used
 */
export async function permissions({ source, startArgs }: PermissionsOptions): Promise<string> {
  // What a variable holds is nothing to this: it is asked for without permission to read it.
  const getEnv = () => "not read";
  const configuration = await loadConfiguration(source, { ...THIS_MACHINE, getEnv });
  const flags = ["--no-prompt", ...flagsOf(requiredPermissions(configuration))];
  return [
    commandLine(["deno", "run", ...flags, "main.ts", ...startArgs]),
    commandLine(["deno", "compile", ...flags, "--output", "pg-auth-proxy", "main.ts"]),
  ].join("\n\n");
}

/** Words as a shell takes them, one on a line. */
function commandLine(words: readonly string[]): string {
  const [program, command, ...rest] = words.map(quoted);
  return [`${program} ${command}`, ...rest].join(" \\\n  ");
}

function quoted(word: string): string {
  return /^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", `'\\''`)}'`;
}
