import { type ProgramOptions, type ProgramResult, runProgram } from "./libpq_program.ts";

/** A psql on this machine. */
export interface Psql {
  readonly program: string;
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
export function runPsql(
  psql: Psql,
  args: readonly string[],
  options: ProgramOptions = {},
): Promise<ProgramResult> {
  const settings = ["--no-psqlrc", "--no-password", "--set=ON_ERROR_STOP=1"];
  return runProgram(psql.program, [...settings, ...args], { stdin: "", ...options });
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
