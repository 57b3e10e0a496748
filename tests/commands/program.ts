import assert from "node:assert/strict";
import { waitUntil } from "../support/wait_until.ts";

const MAIN = new URL("../../main.ts", import.meta.url).pathname;

/** How the program is run. */
export interface RunOptions {
  /** Flags of Deno; default: to reach any host and read any file. */
  readonly permissions?: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
  readonly cwd?: string;
  readonly stdin?: string;
}

/** What a program that has ended has said. */
export interface RunResult {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs the program until it ends of its own accord. */
export async function run(args: readonly string[], options: RunOptions = {}): Promise<RunResult> {
  await using child = command(args, options).spawn();
  const writer = child.stdin.getWriter();
  // It may have ended without reading.
  const written = writer.write(new TextEncoder().encode(options.stdin ?? "")).then(() => writer.close());
  await written.catch(() => {});
  const deadline = setTimeout(() => child.kill("SIGKILL"), 20_000);
  const [{ code }, stdout, stderr] = await Promise.all([
    child.status,
    child.stdout.text(),
    child.stderr.text(),
  ]);
  clearTimeout(deadline);
  return { code, stdout, stderr };
}

/** The program while it serves, ended when it goes out of scope. */
export class Serving implements AsyncDisposable {
  readonly #child: Deno.ChildProcess;
  readonly #following: Promise<unknown>;
  #stderr = "";
  #isEnded = false;

  private constructor(child: Deno.ChildProcess) {
    this.#child = child;
    const decoder = new TextDecoder();
    const follow = async () => {
      for await (const chunk of child.stderr) this.#stderr += decoder.decode(chunk, { stream: true });
      await child.status;
      this.#isEnded = true;
    };
    this.#following = Promise.all([follow(), child.stdout.cancel(), child.stdin.close()]);
  }

  static start(args: readonly string[], options: RunOptions = {}): Serving {
    return new Serving(command(args, options).spawn());
  }

  /** All that it has logged to standard error so far. */
  get stderr(): string {
    return this.#stderr;
  }

  /** Settles when its log, or what `read` gives, holds this; with what was found. */
  until(
    pattern: RegExp,
    read: () => string | Promise<string> = () => this.#stderr,
  ): Promise<RegExpExecArray> {
    return waitUntil(async () => {
      const found = pattern.exec(await read());
      assert(found !== null || !this.#isEnded, `the program ended: ${this.#stderr}`);
      return found;
    }, { what: `${pattern} in the log`, timeoutMs: 15_000 });
  }

  kill(signal: Deno.Signal): void {
    this.#child.kill(signal);
  }

  /** Settles with its exit code when it has ended. */
  async ended(): Promise<number> {
    await this.#following;
    return (await this.#child.status).code;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (!this.#isEnded) this.#child.kill("SIGKILL");
    await this.#following;
  }
}

function command(args: readonly string[], { permissions, env, cwd }: RunOptions): Deno.Command {
  const allowed = permissions ?? ["--allow-net", "--allow-read"];
  return new Deno.Command(Deno.execPath(), {
    args: ["run", "--no-prompt", ...allowed, MAIN, ...args],
    env: { NO_COLOR: "1", ...env },
    cwd,
    stdin: "piped",
    stdout: "piped",
    stderr: "piped",
  });
}
