/** A psql on this machine. */
export interface Psql {
  readonly program: string;
}

/** How psql is run. */
export interface PsqlOptions {
  /** All the environment that psql sees, besides PATH: nothing of ours leaks in. */
  readonly env?: Readonly<Record<string, string>>;
  readonly stdin?: string;
  /** Called with all that psql has written to standard error so far, each time it writes. */
  readonly onStderr?: (text: string) => void;
  /** Then psql is killed. Default 20 000 ms. */
  readonly timeoutMs?: number;
}

/** What psql did. */
export interface PsqlResult {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** Registers a test that needs a psql of any version; without one it is ignored, and its name says what is missing. */
export function testWithPsql(name: string, test: (psql: Psql) => void | Promise<void>): void {
  register(name, {
    test,
    psql: findPsql(),
    missing: "needs psql: install it, or set PSQL_BIN to its directory",
  });
}

/** Registers a test that needs psql 18: direct TLS, protocol 3.2, OAUTHBEARER. */
export function testWithPsql18(name: string, test: (psql: Psql) => void | Promise<void>): void {
  register(name, {
    test,
    psql: findPsql18(),
    missing:
      "needs psql 18: set PSQL18_BIN to the directory of one, from Debian 14 (forky) or apt.postgresql.org",
  });
}

/** The psql in the directory that `PSQL_BIN` names, else the one in /usr/bin. */
export function findPsql(): Psql | undefined {
  return psqlIn("PSQL_BIN") ?? (isFile("/usr/bin/psql") ? { program: "/usr/bin/psql" } : undefined);
}

/** The psql in the directory that `PSQL18_BIN` names. */
export function findPsql18(): Psql | undefined {
  return psqlIn("PSQL18_BIN");
}

/** Runs psql without its start-up file and prompts; a failed statement ends it with code 3, a failed login with 2. */
export async function runPsql(
  psql: Psql,
  args: readonly string[],
  options: PsqlOptions = {},
): Promise<PsqlResult> {
  const { env, stdin = "", onStderr, timeoutMs = 20_000 } = options;
  await using child = new Deno.Command(psql.program, {
    args: ["--no-psqlrc", "--no-password", "--set=ON_ERROR_STOP=1", ...args],
    // Without a home there is no .pgpass and no ~/.postgresql to find certificates in.
    env: { PATH: "/usr/bin:/bin", HOME: "/nonexistent", LC_ALL: "C.UTF-8", PGCONNECT_TIMEOUT: "10", ...env },
    clearEnv: true,
    stdin: "piped",
    stdout: "piped",
    stderr: "piped",
  }).spawn();
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
      writeText(child.stdin, stdin),
    ]);
    if (isLate) throw new Error(`psql did not end within ${timeoutMs} ms\n${stdout}${stderr}`);
    return { code, stdout, stderr };
  } finally {
    clearTimeout(timer);
  }
}

interface Registration {
  readonly test: (psql: Psql) => void | Promise<void>;
  readonly psql: Psql | undefined;
  readonly missing: string;
}

function register(name: string, { test, psql, missing }: Registration): void {
  if (psql === undefined) Deno.test({ name: `${name} (${missing})`, ignore: true, fn() {} });
  else Deno.test(name, () => test(psql));
}

function psqlIn(variable: string): Psql | undefined {
  const directory = Deno.env.get(variable);
  if (!directory) return undefined;
  const program = `${directory}/psql`;
  if (!isFile(program)) throw new Error(`${variable} is ${directory}, where there is no psql`);
  return { program };
}

function isFile(path: string): boolean {
  try {
    return Deno.statSync(path).isFile;
  } catch {
    return false;
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
    // psql went before it had read everything: its exit code tells more than this.
  }
}
