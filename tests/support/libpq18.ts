// In: the directory that PSQL18_BIN names. Out: its programs run to their end, with what they wrote.
// Chapter: clients that speak OAUTHBEARER by themselves.

import { dirname } from "node:path";
import {
  type ProgramOptions,
  type ProgramResult,
  type RunningProgram,
  startProgram,
} from "./libpq_program.ts";
import { findPsql18 } from "./psql.ts";

/** A program of PostgreSQL 18 that logs in by libpq. */
export type Libpq18Name = "psql" | "pg_dump" | "pgbench";

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
): Promise<ProgramResult> {
  await using running = startLibpq18(program, args, options);
  return await running.ended;
}

/** Starts a program. */
export function startLibpq18(
  program: Libpq18Name,
  args: readonly string[],
  options?: ProgramOptions,
): RunningProgram {
  const path = pathOf(program);
  if (path === undefined) throw new Error("PSQL18_BIN is not set");
  return startProgram(path, args, options);
}

function pathOf(program: Libpq18Name): string | undefined {
  const psql = findPsql18();
  return psql && `${dirname(psql.program)}/${program}`;
}
