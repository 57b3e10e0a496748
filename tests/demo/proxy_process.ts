import { waitUntil } from "../support/wait_until.ts";

const REPOSITORY = new URL("../..", import.meta.url);
const PERMISSIONS = ["--no-prompt", "--allow-net", "--allow-read"];

/** How a {@link ProxyProcess} is started. */
export interface ProxyProcessOptions {
  /** Path of the configuration. */
  readonly config: string;
  /** Path of the authority that has signed the issuer's certificate. */
  readonly caFile: string;
  /** Path of the file that the log goes to. */
  readonly logFile: string;
}

/** The program itself in a process of its own, with the permissions it has in production. */
export class ProxyProcess implements AsyncDisposable {
  /** Settled when the program has ended. */
  readonly ended: Promise<void>;
  readonly #child: Deno.ChildProcess;
  #hasEnded = false;
  #log = "";

  private constructor(child: Deno.ChildProcess, logFile: string) {
    this.#child = child;
    this.ended = this.#follow(logFile);
  }

  /**
   * Starts the program and waits until it listens.
   *
   * @throws {Error} with what the program has said, when it ends instead
   */
  static async start({ config, caFile, logFile }: ProxyProcessOptions): Promise<ProxyProcess> {
    const child = new Deno.Command(Deno.execPath(), {
      args: ["run", ...PERMISSIONS, "main.ts", "start", "--config", config],
      cwd: REPOSITORY,
      env: { DENO_CERT: caFile, NO_COLOR: "1" }, // fetch trusts that authority besides the usual ones
      detached: true, // Ctrl-C is for us: the proxy is told when the rest of the demo is
      stdin: "null",
      stdout: "null",
      stderr: "piped",
    }).spawn();
    const proxy = new ProxyProcess(child, logFile);
    try {
      await waitUntil(() => proxy.#hasEnded || proxy.#log.includes(" listening "), {
        what: "the proxy to listen",
        timeoutMs: 30_000,
      });
      if (proxy.#hasEnded) throw new Error(`The proxy did not start: ${proxy.#log.trim()}`);
      return proxy;
    } catch (thrown) {
      await proxy[Symbol.asyncDispose]();
      throw thrown;
    }
  }

  /** The command line, as a person would type it. */
  static commandLine({ config, caFile }: ProxyProcessOptions): string {
    return `DENO_CERT=${caFile} deno run ${PERMISSIONS.join(" ")} main.ts start --config ${config}`;
  }

  /** How much has been logged so far; {@link ProxyProcess.reasonSince} looks behind it. */
  get logLength(): number {
    return this.#log.length;
  }

  /** Why the proxy refused a login, in the log's words. */
  async reasonSince(logLength: number): Promise<string> {
    const find = () => /login refused .*? reason=("(?:\\"|[^"])*"|\S+)/.exec(this.#log.slice(logLength));
    const [, reason] = await waitUntil(find, { what: "the proxy to log why it refused a login" });
    return reason.replace(/^"|"$/g, "").replaceAll('\\"', '"');
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (!this.#hasEnded) this.#child.kill("SIGTERM");
    await this.ended;
  }

  async #follow(logFile: string): Promise<void> {
    using file = await Deno.open(logFile, { create: true, append: true, mode: 0o600 });
    for await (const text of this.#child.stderr.pipeThrough(new TextDecoderStream())) {
      this.#log += text;
      await file.write(new TextEncoder().encode(text));
    }
    await this.#child.status;
    this.#hasEnded = true;
  }
}
