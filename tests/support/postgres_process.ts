import type { PostgresBinaries } from "./postgres_binaries.ts";
import { serverUser } from "./server_user.ts";

/**
 * Runs a server and ends it when we are gone, however we went: the shell's standard input is a pipe that we hold, and the
 * kernel closes it. Then the cluster's directory is removed as well, since nobody is left to do so.
 */
const WATCHDOG = `
log=$1 directory=$2
shift 2
exec 3<&0
"$@" </dev/null >>"$log" 2>&1 3<&- &
server=$!
{ read -r _ <&3; : >"$directory/orphaned"; kill -QUIT "$server"; } 2>/dev/null &
watch=$!
wait "$server"
status=$?
if [ -e "$directory/orphaned" ]; then rm -rf "$directory"; else kill "$watch"; fi
exit "$status"
`;

/** Where a server finds and leaves its things. */
export interface ServerPlaces {
  /** Holds all the others. */
  readonly directory: string;
  readonly dataDirectory: string;
  readonly logFile: string;
}

/** A running `postgres`, seen from outside. */
export interface ServerProcess {
  /** Settled when the server has ended, with its exit code. */
  readonly ended: Promise<number>;
  hasEnded(): boolean;
}

/** Starts `postgres` as the server's user. */
export function startServer(binaries: PostgresBinaries, places: ServerPlaces): ServerProcess {
  const server = [binaries.postgres, "-D", places.dataDirectory];
  const child = new Deno.Command("/bin/sh", {
    ...serverUser(),
    args: ["-c", WATCHDOG, "postgres-watchdog", places.logFile, places.directory, ...server],
    env: binaries.env,
    clearEnv: true,
    cwd: places.directory,
    detached: true, // Ctrl-C is for us; the server learns of it when we end
    stdin: "piped",
    stdout: "null",
    stderr: "null",
  }).spawn();
  let hasEnded = false;
  const ended = child.status.then(async ({ code }) => {
    hasEnded = true;
    await child.stdin.close().catch(() => {}); // the reader has gone first
    return code;
  });
  return { ended, hasEnded: () => hasEnded };
}
