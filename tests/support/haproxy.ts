import { join } from "node:path";
import { freePort } from "./free_port.ts";
import { tempDirectory } from "./temp_directory.ts";
import { waitUntil } from "./wait_until.ts";

const PROGRAM = "/usr/sbin/haproxy";

/** How an HAProxy balances. */
export interface HaproxyOptions {
  /** Where to, on 127.0.0.1. */
  readonly backendPort: number;
  /** Keywords of the `server` line, as `send-proxy-v2`. */
  readonly server: string;
  /** The address of loopback that it comes from. */
  readonly source: string;
}

/** Registers a test that needs HAProxy; without it the test is ignored, and its name says what is missing. */
export function testWithHaproxy(name: string, test: () => Promise<void>): void {
  if (hasHaproxy()) Deno.test(name, test);
  else {Deno.test({
      name: `${name} (needs ${PROGRAM}: install the package haproxy)`,
      ignore: true,
      fn() {},
    });}
}

/** A real HAProxy of the test's own, listening on loopback; it passes on TCP. */
export class Haproxy implements AsyncDisposable {
  readonly port: number;
  #resources = new AsyncDisposableStack();
  #log = "";

  private constructor(port: number) {
    this.port = port;
  }

  /** Starts one that passes on to one server. */
  static start({ backendPort, server, source }: HaproxyOptions): Promise<Haproxy> {
    return Haproxy.startWith([`source ${source}`, `server proxy 127.0.0.1:${backendPort} ${server}`]);
  }

  /** Starts one whose section `listen proxy` has these lines. */
  static async startWith(lines: readonly string[]): Promise<Haproxy> {
    await using resources = new AsyncDisposableStack();
    const directory = resources.use(await tempDirectory());
    const port = freePort();
    const file = join(directory.path, "haproxy.cfg");
    await Deno.writeTextFile(
      file,
      `
global
  log stdout format raw daemon

defaults
  mode tcp
  log global
  option log-health-checks
  timeout connect 5s
  timeout client 30s
  timeout server 30s

listen proxy
  bind 127.0.0.1:${port}
  ${lines.join("\n  ")}
`,
    );
    // In the foreground, one process: what a test starts, it ends.
    const child = new Deno.Command(PROGRAM, {
      args: ["-db", "-f", file],
      stdin: "null",
      stdout: "piped",
      stderr: "null",
    }).spawn();
    const haproxy = new Haproxy(port);
    const listening = haproxy.#listenTo(child.stdout);
    resources.defer(async () => {
      try {
        child.kill("SIGKILL");
      } catch {
        // It has ended by itself, which a test has noticed.
      }
      await Promise.all([child.status, listening]);
    });
    await waitUntil(() => isListenedTo(port), { what: "HAProxy to listen" });
    haproxy.#resources = resources.move();
    return haproxy;
  }

  /** All that it has logged so far. */
  get log(): string {
    return this.#log;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#resources.disposeAsync();
  }

  async #listenTo(stdout: ReadableStream<Uint8Array<ArrayBuffer>>): Promise<void> {
    for await (const text of stdout.pipeThrough(new TextDecoderStream())) this.#log += text;
  }
}

/**
 * Whether somebody listens on the port, by what the system says: a connection would be passed on, and a listener of our own, be
 * it for a moment, could be in the way.
 */
async function isListenedTo(port: number): Promise<boolean> {
  const address = `0100007F:${port.toString(16).toUpperCase().padStart(4, "0")} 00000000:0000 0A`;
  return (await Deno.readTextFile("/proc/net/tcp")).includes(address);
}

function hasHaproxy(): boolean {
  try {
    return Deno.statSync(PROGRAM).isFile;
  } catch {
    return false;
  }
}
