// In: a program that logs in by libpq, psql or another. Out: what it wrote and how it ended.
// Chapter: clients that were written by others.

/** How a program is run. */
export interface ProgramOptions {
  /** All the environment that it sees, besides PATH: nothing of ours leaks in. */
  readonly env?: Readonly<Record<string, string>>;
  /** Without it there is nothing to read. */
  readonly stdin?: string;
  /** Called with all that it has written to standard error so far, each time it writes. */
  readonly onStderr?: (text: string) => void;
  /** Then it is killed. Default 20 000 ms. */
  readonly timeoutMs?: number;
}

/** What a program did. */
export interface ProgramResult {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** A program on its way, ended when it goes out of scope. */
export interface RunningProgram extends AsyncDisposable {
  readonly ended: Promise<ProgramResult>;
  /** What Ctrl-C does. */
  interrupt(): void;
}

/** Runs a program to its end. */
export async function runProgram(
  path: string,
  args: readonly string[],
  options?: ProgramOptions,
): Promise<ProgramResult> {
  await using running = startProgram(path, args, options);
  return await running.ended;
}

/** Starts a program. */
export function startProgram(
  path: string,
  args: readonly string[],
  options: ProgramOptions = {},
): RunningProgram {
  const child = new Deno.Command(path, {
    args: [...args],
    // Without a home there is no .pgpass and no ~/.postgresql to find certificates in.
    env: {
      ...{ PATH: "/usr/bin:/bin", HOME: "/nonexistent", LC_ALL: "C.UTF-8", PGCONNECT_TIMEOUT: "10" },
      ...options.env,
    },
    clearEnv: true,
    stdin: options.stdin === undefined ? "null" : "piped",
    stdout: "piped",
    stderr: "piped",
  }).spawn();
  const ended = outcomeOf(child, options);
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
  { stdin, onStderr, timeoutMs = 20_000 }: ProgramOptions,
): Promise<ProgramResult> {
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
      stdin === undefined ? undefined : writeText(child.stdin, stdin),
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

async function writeText(stream: WritableStream<Uint8Array>, text: string): Promise<void> {
  const writer = stream.getWriter();
  try {
    await writer.write(new TextEncoder().encode(text));
    await writer.close();
  } catch {
    // It went before it had read everything: its exit code tells more than this.
  }
}
