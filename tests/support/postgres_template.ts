import { cacheDirectory, exists, type PostgresBinaries, publishDirectory } from "./postgres_binaries.ts";
import { ROLES_SQL } from "./postgres_roles.ts";
import { giveToServerUser, serverUser } from "./server_user.ts";

const INITDB_OPTIONS = [
  "--username=postgres",
  "--auth-local=trust",
  "--auth-host=reject",
  "--encoding=UTF8",
  "--locale=C",
  "--wal-segsize=1", // megabyte: the default makes every copy 16 MB larger
  "--no-sync",
];

/** Copies a data directory that `initdb` has made, with the tests' roles in it, to a place that must not exist yet. */
export async function copyTemplate(binaries: PostgresBinaries, dataDirectory: string): Promise<void> {
  const template = await preparedTemplate(binaries);
  await run("cp", ["-R", "-p", template, dataDirectory], { PATH: "/usr/bin:/bin" });
}

/** `initdb` takes a second and more: it runs once a version, and what it made is kept. */
async function preparedTemplate(binaries: PostgresBinaries): Promise<string> {
  const recipe = await digest(JSON.stringify([INITDB_OPTIONS, ROLES_SQL]));
  const template = `${await cacheDirectory()}/template-${binaries.version}-${recipe}`;
  if (await exists(template)) return template;

  const workplace = await Deno.makeTempDir({ dir: await cacheDirectory() });
  await giveToServerUser(workplace);
  await run(binaries.initdb, [...INITDB_OPTIONS, "-D", workplace], binaries.env);
  const singleUser = ["--single", "-D", workplace, "-c", "fsync=off", "postgres"];
  await run(binaries.postgres, singleUser, binaries.env, ROLES_SQL.join("\n") + "\n");
  await publishDirectory(workplace, template);
  return template;
}

/** Runs a program as the server's user and shows what it said if it fails. */
async function run(program: string, args: string[], env: Record<string, string>, input = ""): Promise<void> {
  const command = new Deno.Command(program, {
    ...serverUser(),
    args,
    env,
    clearEnv: true,
    cwd: "/", // ours may be closed to the server's user
    stdin: "piped",
    stdout: "piped",
    stderr: "piped",
  });
  await using child = command.spawn();
  const output = child.output();
  const writer = child.stdin.getWriter();
  await writer.write(new TextEncoder().encode(input));
  await writer.close();
  const { success, code, stdout, stderr } = await output;
  const decoder = new TextDecoder();
  const said = decoder.decode(stdout) + decoder.decode(stderr);
  // A single-user server reports a failed statement and goes on.
  if (!success || /^(ERROR|FATAL|PANIC)|\b(ERROR|FATAL|PANIC):/m.test(said)) {
    throw new Error(`${program} ${args.join(" ")} failed with code ${code}\n${said}`);
  }
}

async function digest(text: string): Promise<string> {
  const hash = await crypto.subtle.digest("SHA-256", new TextEncoder().encode(text));
  return new Uint8Array(hash).toHex().slice(0, 8);
}
