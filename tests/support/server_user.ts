/** The operating-system user that `postgres` runs as, when it is not the one who runs the tests. */
export interface ServerUser {
  readonly uid: number;
  readonly gid: number;
}

const NOBODY: ServerUser = { uid: 65534, gid: 65534 };

/**
 * Who runs `postgres`: undefined for "as ourselves". Only root needs another user, since PostgreSQL refuses to run as
 * root; it is `postgres` where that user exists, else nobody.
 */
export function serverUser(): ServerUser | undefined {
  if (Deno.uid() !== 0) return undefined;
  const entry = readPasswd().find((line) => line.startsWith("postgres:"));
  if (entry === undefined) return NOBODY;
  const [, , uid, gid] = entry.split(":");
  return { uid: Number(uid), gid: Number(gid) };
}

/** Gives files or directories to the user that `postgres` runs as. */
export async function giveToServerUser(...paths: readonly string[]): Promise<void> {
  const user = serverUser();
  if (user === undefined) return;
  for (const path of paths) await Deno.chown(path, user.uid, user.gid);
}

function readPasswd(): string[] {
  try {
    return Deno.readTextFileSync("/etc/passwd").split("\n");
  } catch {
    return [];
  }
}
