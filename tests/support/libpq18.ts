// In: the directory that PSQL18_BIN names. Out: its programs run to their end, with what they wrote.
// Chapter: clients that speak OAUTHBEARER by themselves.

import { dirname } from "node:path";
import { findPsql18, type PsqlResult } from "./psql.ts";

/** A program of PostgreSQL 18 that logs in by libpq. */
export type Libpq18Name = "psql" | "pg_dump" | "pgbench";

/** How a program is run. */
export interface ProgramOptions {
  /** All the environment that it sees, besides PATH: nothing of ours leaks in. */
  readonly env?: Readonly<Record<string, string>>;
  /** Called with all that it has written to standard error so far, each time it writes. */
  readonly onStderr?: (text: string) => void;
  /** Then it is killed. Default 20 000 ms. */
  readonly timeoutMs?: number;
}

/** A program on its way, ended when it goes out of scope. */
export interface RunningProgram extends AsyncDisposable {
  readonly ended: Promise<PsqlResult>;
  /** What Ctrl-C does. */
  interrupt(): void;
}

/** Registers a test that needs a program of PostgreSQL 18; without it the test is ignored, and its name says so. */
export function testWithLibpq18(
  name: string,
  program: Libpq18Name,
  test: (context: Deno.TestContext) => Promise<void>,
): void {
  if (hasLibpq18(program)) Deno.test(name, test);
  else {
    const missing = `needs ${program} 18: set PSQL18_BIN to the directory of one`;
    Deno.test({ name: `${name} (${missing})`, ignore: true, fn() {} });
  }
}

/** Whether there is such a program. */
export function hasLibpq18(program: Libpq18Name): boolean {
  const path = pathOf(program);
  try {
    return path !== undefined && Deno.statSync(path).isFile;
  } catch {
    return false;
  }
}

/** Parameters of libpq by their names. */
export type ConnectionParameters = Readonly<Record<string, string | number>>;

/** A connection string. */
export function conninfo(parameters: ConnectionParameters): string {
  const quoted = (value: string | number) => String(value).replace(/['\\]/g, "\\$&");
  return Object.entries(parameters).map(([name, value]) => `${name}='${quoted(value)}'`).join(" ");
}

/** Runs a program to its end; psql's code is 2 when its login failed. */
export async function runLibpq18(
  program: Libpq18Name,
  args: readonly string[],
  options?: ProgramOptions,
): Promise<PsqlResult> {
  await using running = startLibpq18(program, args, options);
  return await running.ended;
}

/** Starts a program. */
export function startLibpq18(
  program: Libpq18Name,
  args: readonly string[],
  { env, onStderr, timeoutMs = 20_000 }: ProgramOptions = {},
): RunningProgram {
  const path = pathOf(program);
  if (path === undefined) throw new Error("PSQL18_BIN is not set");
  const child = new Deno.Command(path, {
    args: [...args],
    // Without a home there is no .pgpass and no ~/.postgresql to find certificates in.
    env: { PATH: "/usr/bin:/bin", HOME: "/nonexistent", LC_ALL: "C.UTF-8", PGCONNECT_TIMEOUT: "10", ...env },
    clearEnv: true,
    stdin: "null",
    stdout: "piped",
    stderr: "piped",
  }).spawn();
  const ended = outcomeOf(child, { onStderr, timeoutMs });
  return {
    ended,
    interrupt: () => child.kill("SIGINT"),
    async [Symbol.asyncDispose]() {
      await child[Symbol.asyncDispose]();
      await ended.catch(() => {}); // whoever wanted to know has awaited it
    },
  };
}

async function outcomeOf(
  child: Deno.ChildProcess,
  { onStderr, timeoutMs }: { readonly onStderr?: (text: string) => void; readonly timeoutMs: number },
): Promise<PsqlResult> {
  let isLate = false;
  const timer = setTimeout(() => {
    isLate = true;
    child.kill("SIGKILL");
  }, timeoutMs);
  try {
    const [{ code }, stdout, stderr] = await Promise.all([
      child.status,
      readText(child.stdout),
      readText(child.stderr, onStderr),
    ]);
    if (isLate) throw new Error(`A program did not end within ${timeoutMs} ms\n${stdout}${stderr}`);
    return { code, stdout, stderr };
  } finally {
    clearTimeout(timer);
  }
}

async function readText(
  stream: ReadableStream<Uint8Array<ArrayBuffer>>,
  onText?: (text: string) => void,
): Promise<string> {
  let text = "";
  for await (const chunk of stream.pipeThrough(new TextDecoderStream())) {
    text += chunk;
    onText?.(text);
  }
  return text;
}

function pathOf(program: Libpq18Name): string | undefined {
  const psql = findPsql18();
  return psql && `${dirname(psql.program)}/${program}`;
}
