import type { Stage } from "./stage.ts";
import type { Visitor } from "./visitors.ts";

/** A line that logs a visitor in when it is pasted into a shell. */
export function psqlLine(
  { tokens, proxyPort, caFile }: Pick<Stage, "tokens" | "proxyPort" | "caFile">,
  visitor: Visitor,
): string {
  const where = `host=localhost port=${proxyPort} user=${visitor.user} dbname=shop`;
  return `PGPASSWORD=$(cat ${
    tokens.path(visitor)
  }) psql "${where} sslmode=verify-full sslrootcert=${caFile}"`;
}

/** The version of the psql that a shell finds, such as `15.18`; undefined if there is none. */
export async function psqlVersion(): Promise<string | undefined> {
  try {
    const { stdout } = await new Deno.Command("psql", { args: ["--version"] }).output();
    return /[\d.]+/.exec(new TextDecoder().decode(stdout))?.[0];
  } catch (thrown) {
    if (thrown instanceof Deno.errors.NotFound) return undefined;
    throw thrown;
  }
}

/**
 * Has a shell run a {@link psqlLine} with a statement behind it, and returns what that printed.
 *
 * @throws {Error} with psql's own words, when it fails
 */
export async function runPsqlLine(line: string, statement: string): Promise<string> {
  const { success, stdout, stderr } = await new Deno.Command("/bin/sh", {
    args: ["-c", `${line} -X -w -At -c "$1"`, "sh", statement],
    env: { PGCONNECT_TIMEOUT: "10" },
    stdin: "null",
  }).output();
  const decoder = new TextDecoder();
  if (!success) throw new Error(`psql failed: ${decoder.decode(stderr).trim()}`);
  return decoder.decode(stdout).trim();
}
