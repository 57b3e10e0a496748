import { waitUntil } from "../support/wait_until.ts";
import { processMicros } from "./machine.ts";

/** How a program is started. */
export interface ProgramStart {
  readonly command: string;
  readonly args: readonly string[];
  readonly cwd: string;
  /** What it prints goes here. */
  readonly logFile: string;
  readonly env?: Readonly<Record<string, string>>;
  /** Whom it runs as; undefined: as ourselves. */
  readonly user?: { readonly uid: number; readonly gid: number };
}

/** What programs have used so far. */
export interface Usage {
  /** User and system time of all their threads, in microseconds, to the kernel's clock tick of 10 000. */
  readonly cpuMicros: number;
  /** Resident memory, in bytes. */
  readonly residentBytes: number;
}

/** A program that is measured, ended when it goes out of scope. */
export class Program implements AsyncDisposable {
  static readonly #running = new Set<Program>();
  readonly #child: Deno.ChildProcess;
  readonly #logFile: string;
  readonly #startedMs = performance.now();
  #hasEnded = false;

  private constructor(child: Deno.ChildProcess, logFile: string) {
    this.#child = child;
    this.#logFile = logFile;
    Program.#running.add(this);
    child.status.then(() => {
      this.#hasEnded = true;
      Program.#running.delete(this);
    });
  }

  /**
   * Starts the program, through a shell that lets it have as many files open as may be, sends what it prints to a file, and
   * then becomes the program.
   */
  static start({ command, args, cwd, logFile, env, user }: ProgramStart): Program {
    const child = new Deno.Command("/bin/sh", {
      args: [
        "-c",
        'ulimit -n "$(ulimit -H -n)"; log=$1; shift; exec "$@" >>"$log" 2>&1',
        "sh",
        logFile,
        command,
        ...args,
      ],
      cwd,
      env: { NO_COLOR: "1", ...env },
      ...user,
      stdin: "null",
      stdout: "null",
      stderr: "null",
    }).spawn();
    return new Program(child, logFile);
  }

  /** Ends all that were started and are still there: for a run that is broken off. */
  static async endAll(): Promise<void> {
    await Promise.all([...Program.#running].map((program) => program[Symbol.asyncDispose]()));
  }

  get pid(): number {
    return this.#child.pid;
  }

  /** Milliseconds since it was started. */
  get ageMs(): number {
    return performance.now() - this.#startedMs;
  }

  /**
   * Settles when `attempt` succeeds for the first time.
   *
   * @throws {Error} with what the program printed, when it ends first or takes too long
   */
  async ready(attempt: () => Promise<unknown>): Promise<void> {
    try {
      await waitUntil(async () => {
        if (this.#hasEnded) return true;
        await attempt();
        return true;
      }, { what: "the program to serve", timeoutMs: 20_000, intervalMs: 2 });
      if (this.#hasEnded) throw new Error("The program has ended");
    } catch (cause) {
      throw new Error(await Deno.readTextFile(this.#logFile).catch(() => "It has printed nothing"), {
        cause,
      });
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (!this.#hasEnded) this.#child.kill("SIGKILL");
    await this.#child.status;
  }
}

/** What programs have used so far, together. */
export async function usageOf(programs: readonly Pick<Program, "pid">[]): Promise<Usage> {
  const [cpuMicros, residentBytes] = await Promise.all([
    Promise.all(programs.map(({ pid }) => processMicros(pid))),
    Promise.all(programs.map(({ pid }) => residentBytesOf(pid))),
  ]);
  return { cpuMicros: sum(cpuMicros), residentBytes: sum(residentBytes) };
}

async function residentBytesOf(pid: number): Promise<number> {
  const status = await Deno.readTextFile(`/proc/${pid}/status`);
  return Number(/^VmRSS:\s+(\d+) kB$/m.exec(status)![1]) * 1024;
}

function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0);
}
