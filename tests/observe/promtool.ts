/** Debian's `promtool`, of the package `prometheus`, where there is one: `PROMTOOL` names it, or the system has it. */
export const PROMTOOL = find([Deno.env.get("PROMTOOL"), "/usr/bin/promtool", "/usr/local/bin/promtool"]);

/** Goes behind the name of a test that is ignored without it. */
export const NEEDS_PROMTOOL = PROMTOOL === undefined
  ? " (needs promtool of Debian's prometheus: set PROMTOOL)"
  : "";

/** What `promtool` answers. */
export interface Answer {
  readonly code: number;
  /** What it has to say, a line each. */
  readonly says: readonly string[];
}

/** Runs it with `text` on its standard input. */
export async function promtool(args: readonly string[], text = ""): Promise<Answer> {
  const child = new Deno.Command(PROMTOOL!, {
    args: [...args],
    stdin: "piped",
    stdout: "piped",
    stderr: "piped",
  }).spawn();
  const writer = child.stdin.getWriter();
  await writer.write(new TextEncoder().encode(text));
  await writer.close();
  const { code, stdout, stderr } = await child.output();
  const said = new TextDecoder().decode(stdout) + new TextDecoder().decode(stderr);
  return { code, says: said.split("\n").filter((line) => line.trim() !== "") };
}

function find(paths: readonly (string | undefined)[]): string | undefined {
  return paths.find((path) => {
    try {
      return path !== undefined && Deno.statSync(path).isFile;
    } catch {
      return false;
    }
  });
}
