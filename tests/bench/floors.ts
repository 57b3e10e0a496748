import { fileURLToPath } from "node:url";
import { freePort } from "../support/free_port.ts";
import type { Contender, Transport } from "./contender.ts";
import { TRUST_LOGIN } from "./peers.ts";
import { Program } from "./program.ts";
import type { Stage } from "./stage.ts";
import type { Variant } from "./variant.ts";

/** Programs in Deno that carry bytes and do nothing else, and how clients come to them. */
const FLOORS: Readonly<Record<string, Transport>> = {
  conn_relay: "plain",
  node_relay: "plain",
  tls_relay: "TLS",
  direct_tls_relay: "sslnegotiation=direct",
};

/** The program that holds idle TLS sessions in as little memory as Deno can. */
export const IDLE_FLOOR = "idle_tls_relay";

/** What is the least in Deno: each with the flags and the environment of `deno task start`. */
export function floors(stage: Stage, variant: Variant): Contender[] {
  return Object.entries(FLOORS).map(([name, transport]) => floor(stage, { name, transport, variant }));
}

/** The floor of idle sessions; undefined where there is no such program. */
export function idleFloor(stage: Stage, variant: Variant): Contender | undefined {
  if (!isFile(fileOf(IDLE_FLOOR))) return undefined;
  return floor(stage, { name: IDLE_FLOOR, transport: "TLS", variant });
}

function floor(
  { cluster, certificateFile, privateKeyFile, directory }: Stage,
  { name, transport, variant }: { name: string; transport: Transport; variant: Variant },
): Contender {
  return {
    name: `floor ${name}`,
    kind: "floor",
    loops: 1,
    transports: [transport],
    launch(_transport, resources) {
      const port = freePort();
      const certificate = ["--cert", certificateFile, "--key", privateKeyFile];
      const program = resources.use(Program.start({
        command: Deno.execPath(),
        args: [
          ...runtimeArgs(variant),
          fileOf(name),
          ...["--listen", String(port), "--backend", `127.0.0.1:${cluster.port}`],
          ...(transport === "plain" ? [] : certificate),
        ],
        cwd: variant.directory,
        logFile: `${directory}/${name}.log`,
        env: variant.env,
      }));
      return Promise.resolve({
        port,
        programs: [program],
        credentials: TRUST_LOGIN,
        simpleCredentials: TRUST_LOGIN,
      });
    },
  };
}

/** What stands before the program's name in the arguments of the proxy's own task. */
function runtimeArgs({ args }: Variant): readonly string[] {
  return args.slice(0, args.findIndex((word) => word.endsWith(".ts")));
}

function fileOf(name: string): string {
  return fileURLToPath(new URL(`floor/${name}.ts`, import.meta.url));
}

function isFile(path: string): boolean {
  try {
    return Deno.statSync(path).isFile;
  } catch {
    return false;
  }
}
