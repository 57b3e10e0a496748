import { fileURLToPath } from "node:url";
import { freePort } from "../support/free_port.ts";
import type { Contender, Transport } from "./contender.ts";
import { TRUST_LOGIN } from "./peers.ts";
import { Program } from "./program.ts";
import type { Stage } from "./stage.ts";
import type { Variant } from "./variant.ts";

type FloorKind = Pick<Contender, "loops"> & { readonly transport: Transport };

/** Programs in Deno that carry bytes and do nothing else, and how clients come to them. */
const FLOORS: Readonly<Record<string, FloorKind>> = {
  conn_relay: { transport: "plain", loops: 1 },
  node_relay: { transport: "plain", loops: 1 },
  tls_relay: { transport: "TLS", loops: 1 },
  tls_relay_of_two: { transport: "TLS", loops: 2 },
  direct_tls_relay: { transport: "sslnegotiation=direct", loops: 1 },
};

/** The program that holds idle TLS sessions in as little memory as Deno can. */
export const IDLE_FLOOR = "idle_tls_relay";

/** Whoever carries bytes as fast as they can: all but the one who is there to hold idle sessions. */
export function carriers(contenders: readonly Contender[]): readonly Contender[] {
  return contenders.filter(({ name }) => !name.endsWith(IDLE_FLOOR));
}

/** What is the least in Deno: each with the flags and the environment of `deno task start`. */
export function floors(stage: Stage, variant: Variant): Contender[] {
  return Object.entries(FLOORS).map(([name, kind]) => floor(stage, { name, ...kind, variant }));
}

/** The floor of idle sessions; undefined where there is no such program. */
export function idleFloor(stage: Stage, variant: Variant): Contender | undefined {
  if (!isFile(fileOf(IDLE_FLOOR))) return undefined;
  return floor(stage, { name: IDLE_FLOOR, transport: "TLS", loops: 1, variant });
}

function floor(
  { cluster, certificateFile, privateKeyFile, directory }: Stage,
  { name, transport, loops, variant }: FloorKind & { readonly name: string; readonly variant: Variant },
): Contender {
  return {
    name: `floor ${name}`,
    kind: "floor",
    loops,
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
