import { delimiter, join } from "node:path";

/** Programs that a run uses, and the Debian package that has each. */
const PACKAGES = {
  pgbench: "postgresql-contrib",
  psql: "postgresql-client",
  pgbouncer: "pgbouncer",
  haproxy: "haproxy",
  stunnel: "stunnel4",
} as const;

/** A program that a run uses. */
export type Tool = keyof typeof PACKAGES;

/** Where the programs are; those that are missing have no entry. */
export type Toolbox = ReadonlyMap<Tool, string>;

// Daemons are in /usr/sbin, which only root has in PATH.
const ALWAYS_SEARCHED = ["/usr/bin", "/usr/sbin"];

/** Looks for every program: where PSQL18_BIN says, in PATH, and where Debian puts daemons. */
export function findTools(): Toolbox {
  const psql18 = Deno.env.get("PSQL18_BIN");
  const directories = [
    ...(psql18 === undefined ? [] : [psql18]),
    ...(Deno.env.get("PATH") ?? "").split(delimiter),
    ...ALWAYS_SEARCHED,
  ];
  const found = new Map<Tool, string>();
  for (const tool of Object.keys(PACKAGES) as Tool[]) {
    const path = directories.map((directory) => join(directory, tool)).find(isFile);
    if (path !== undefined) found.set(tool, path);
  }
  return found;
}

/** A sentence for each program that is missing. */
export function missingTools(toolbox: Toolbox): string[] {
  const missing = (Object.keys(PACKAGES) as Tool[]).filter((tool) => !toolbox.has(tool));
  return [
    ...missing.map((tool) =>
      `${tool} is missing and its rows are left out: install the Debian package ${PACKAGES[tool]}`
    ),
    ...(hasLibpq18() ? [] : [
      "PSQL18_BIN names no directory of psql and pgbench 18: the rows of sslnegotiation=direct and OAUTHBEARER are left out",
    ]),
  ];
}

/** Whether pgbench is of PostgreSQL 18, which knows sslnegotiation=direct and OAUTHBEARER. */
export function hasLibpq18(): boolean {
  const directory = Deno.env.get("PSQL18_BIN");
  return directory !== undefined && isFile(join(directory, "pgbench"));
}

function isFile(path: string): boolean {
  try {
    return Deno.statSync(path).isFile;
  } catch {
    return false;
  }
}
