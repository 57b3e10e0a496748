// Compiles the program into one executable, dist/pg-auth-proxy, that runs without Deno.
//
// `deno compile` sets the program into `denort`, which it downloads, or finds where DENORT_BIN says. With the wrong file
// there it succeeds as well, and given deno itself it makes an executable that is a Deno with every permission: so what
// comes out is run once, and thrown away if it is not our program.
import { basename, dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import config from "../deno.json" with { type: "json" };

/** What may differ from one compilation to another. */
export interface CompileOptions {
  /** The module compiled. */
  readonly entry: string;
  /** Where the executable goes. */
  readonly output: string;
  /** Flags of `deno compile` besides those of `deno task start`, such as a permission to run a validator. */
  readonly flags?: readonly string[];
  /** The program that is called as `deno compile`: this Deno, unless a test says otherwise. */
  readonly deno?: string;
  /** Set besides what is in the environment. */
  readonly env?: Readonly<Record<string, string>>;
  /** How long `--version` may take, in milliseconds. */
  readonly versionTimeoutMs?: number;
}

/** An executable, or one sentence that says why there is none. */
export type Compiled = { readonly ok: true } | { readonly ok: false; readonly why: string };

/** What the executable must print when asked for its version. */
export const VERSION_TEXT = `pg-auth-proxy ${config.version}\n`;

/** The flags of `deno task start`: its permissions, and those of V8. */
const FLAGS = config.tasks.start.command.split(" ").filter((word) => word.startsWith("--"));
const THE_RIGHT_DENORT = `set DENORT_BIN to the path of the denort that belongs to Deno ${Deno.version.deno}`;

/** Compiles `entry` into `output`; nothing is written there unless the executable has shown to be our program. */
export async function compile({ entry, output, ...options }: CompileOptions): Promise<Compiled> {
  const directory = await Deno.makeTempDir({ prefix: "pg-auth-proxy-compile-" });
  try {
    const executable = join(directory, basename(output));
    const compiled = await callCompiler(
      [...FLAGS, ...options.flags ?? [], "--output", executable, entry],
      options,
    );
    if (!compiled.ok) return compiled;
    if (!await printsVersion(executable, options.versionTimeoutMs)) {
      return {
        ok: false,
        why: `the executable made is not ${VERSION_TEXT.trim()} and was deleted; ${THE_RIGHT_DENORT}`,
      };
    }
    await Deno.mkdir(dirname(output), { recursive: true });
    await Deno.copyFile(executable, output);
    return { ok: true };
  } finally {
    await Deno.remove(directory, { recursive: true });
  }
}

/** Whether an executable prints {@link VERSION_TEXT} for `--version`, and nothing else, within `timeoutMs`. */
export async function printsVersion(executable: string, timeoutMs = 10_000): Promise<boolean> {
  try {
    const { success, stdout } = await new Deno.Command(executable, {
      args: ["--version"],
      stdin: "null",
      stderr: "null",
      signal: AbortSignal.timeout(timeoutMs),
    }).output();
    return success && new TextDecoder().decode(stdout) === VERSION_TEXT;
  } catch {
    return false; // it is not even executable here
  }
}

async function callCompiler(
  args: readonly string[],
  options: Pick<CompileOptions, "deno" | "env">,
): Promise<Compiled> {
  const env: Record<string, string> = { ...Deno.env.toObject(), NO_COLOR: "1", ...options.env };
  if (env.DENORT_BIN === "") delete env.DENORT_BIN; // deno would look for a file of no name
  const { success, stderr } = await new Deno.Command(options.deno ?? Deno.execPath(), {
    args: ["compile", ...args],
    clearEnv: true,
    env,
    stdin: "null",
  }).output();
  return success ? { ok: true } : { ok: false, why: whyNotCompiled(new TextDecoder().decode(stderr)) };
}

function whyNotCompiled(stderr: string): string {
  if (/error sending request|denort.*\.zip/s.test(stderr)) {
    return `denort cannot be downloaded from here; ${THE_RIGHT_DENORT}`;
  }
  if (stderr.includes("Could not find denort")) {
    return `there is no file where DENORT_BIN says; ${THE_RIGHT_DENORT}`;
  }
  if (stderr.includes("Invalid object")) {
    return `the file where DENORT_BIN says is no program; ${THE_RIGHT_DENORT}`;
  }
  return stderr.trim();
}

if (import.meta.main) {
  const root = join(dirname(fileURLToPath(import.meta.url)), "..");
  const output = join(root, "dist", "pg-auth-proxy");
  const compiled = await compile({ entry: join(root, "main.ts"), output, flags: Deno.args });
  if (!compiled.ok) {
    console.error(`Cannot compile: ${compiled.why}`);
    Deno.exit(1);
  }
  console.log(`Compiled ${output}`);
}
