import { waitUntil } from "../support/wait_until.ts";

const DEMO = new URL("demo.ts", import.meta.url).pathname;
const TIMEOUT_MS = 60_000; // the first one downloads PostgreSQL

/** `deno task demo` in a process of its own, and what it prints. */
export class DemoProcess implements AsyncDisposable {
  /** Settled with the exit code. */
  readonly ended: Promise<number>;
  readonly #child: Deno.ChildProcess;
  readonly #timer: ReturnType<typeof setTimeout>;
  #said = "";
  #complaints = "";
  #hasEnded = false;

  constructor(args: readonly string[]) {
    this.#child = new Deno.Command(Deno.execPath(), {
      args: ["run", "--no-prompt", "--allow-all", DEMO, ...args],
      stdin: "null",
      stdout: "piped",
      stderr: "piped",
    }).spawn();
    this.#timer = setTimeout(() => this.kill("SIGTERM"), TIMEOUT_MS);
    this.ended = this.#follow();
  }

  /** All of standard output so far. */
  get said(): string {
    return this.#said;
  }

  /** All of standard error so far. */
  get complaints(): string {
    return this.#complaints;
  }

  /** Where the demo has its files. */
  get directory(): string {
    return /^ +its configuration +(.+)\/config\.toml$/m.exec(this.#said)![1];
  }

  /** Settles when the demo has printed the text. */
  async saying(text: string): Promise<void> {
    await waitUntil(() => this.#said.includes(text) || this.#hasEnded, {
      what: `the demo to say ${text}`,
      timeoutMs: TIMEOUT_MS,
    });
    if (!this.#said.includes(text)) throw new Error(`The demo has ended\n${this.#said}${this.#complaints}`);
  }

  kill(signal: Deno.Signal): void {
    this.#child.kill(signal);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (!this.#hasEnded) this.kill("SIGTERM");
    await this.ended;
    clearTimeout(this.#timer);
  }

  async #follow(): Promise<number> {
    const [{ code }] = await Promise.all([
      this.#child.status,
      eachText(this.#child.stdout, (text) => this.#said += text),
      eachText(this.#child.stderr, (text) => this.#complaints += text),
    ]);
    this.#hasEnded = true;
    return code;
  }
}

async function eachText(
  stream: ReadableStream<Uint8Array<ArrayBuffer>>,
  onText: (text: string) => void,
): Promise<void> {
  for await (const text of stream.pipeThrough(new TextDecoderStream())) onText(text);
}
