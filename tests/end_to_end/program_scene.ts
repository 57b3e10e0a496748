// In: what the program's table [service] says. Out: the program itself in a process of its own, before a real PostgreSQL, with
// a real issuer, clients of it, and signals for it.
// Chapter: what is tested of the program's own life: how it ends, how it goes on by another configuration.
import assert from "node:assert/strict";
import { connect as connectTcp, type Socket } from "node:net";
import { join } from "node:path";
import pg from "pg";
import { type Authority, createAuthority } from "../support/certificates.ts";
import { OidcIssuer } from "../support/oidc_issuer.ts";
import { PostgresCluster } from "../support/postgres_cluster.ts";
import { everyMethodHba, PASSWORDS } from "../support/postgres_roles.ts";
import { RawConnection } from "../support/raw_connection.ts";
import { passwordMessage, SSL_REQUEST, startupMessage } from "../support/raw_messages.ts";
import { type TempDirectory, tempDirectory } from "../support/temp_directory.ts";
import { waitUntil } from "../support/wait_until.ts";

const MAIN = new URL("../../main.ts", import.meta.url).pathname;

/** What a {@link ProgramStage} is made with. */
export interface StageOptions {
  /** TOML behind the backend `main` and the rule that lets everybody at example.com in as `app_scram`. */
  readonly toml?: string;
}

/** What a configuration on a {@link ProgramStage} says; what is left out is the ordinary. */
export interface ProgramOptions {
  /** Lines of `[service]`. */
  readonly service?: string;
  /** Default: one the system chooses. */
  readonly port?: number;
  /** Where `/ready` is asked for; default: nowhere. */
  readonly adminPort?: number;
  /** TOML behind everything else. */
  readonly more?: string;
}

/** How the program is run; what is left out is as in production. */
export interface RunOptions {
  /** Default: `main.ts`. */
  readonly main?: string;
  /** Flags of Deno that permit what it does. */
  readonly permissions?: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
}

/** A PostgreSQL with a table `done (what text)` that everybody may write to, an issuer, and the files of a configuration. */
export class ProgramStage implements AsyncDisposable {
  readonly #resources: AsyncDisposableStack;
  readonly authority: Authority;
  readonly cluster: PostgresCluster;
  readonly issuer: OidcIssuer;
  readonly directory: TempDirectory;
  readonly #toml: string;
  /** Alice's. */
  readonly token: string;

  private constructor(
    resources: AsyncDisposableStack,
    parts: Pick<ProgramStage, "authority" | "cluster" | "issuer" | "directory" | "token"> & { toml: string },
  ) {
    this.#resources = resources;
    this.authority = parts.authority;
    this.cluster = parts.cluster;
    this.issuer = parts.issuer;
    this.directory = parts.directory;
    this.token = parts.token;
    this.#toml = parts.toml;
  }

  static async open({ toml = "" }: StageOptions = {}): Promise<ProgramStage> {
    await using resources = new AsyncDisposableStack();
    const authority = await createAuthority("program");
    const { certificatePem, keyPem } = await authority.issueForLoopback();
    const hba = ["127.0.0.1/32", "::1/128"].map((from) => `host replication app_scram ${from} scram-sha-256`);
    const cluster = resources.use(
      await PostgresCluster.start({
        major: 18,
        tls: { certificatePem, keyPem, caPem: authority.certificatePem },
        hba: [...everyMethodHba(), ...hba],
      }),
    );
    await cluster.sql("alter role app_scram replication");
    await cluster.sql("create table done (what text)");
    await cluster.sql("grant all on done to public");
    const issuer = resources.use(await OidcIssuer.start({ authority }));
    const directory = resources.use(await tempDirectory());
    const files = {
      "ca.crt": authority.certificatePem,
      "server.crt": certificatePem,
      "server.key": keyPem,
      "password": PASSWORDS.app_scram,
    };
    for (const [name, content] of Object.entries(files)) await directory.write(name, content);
    const token = await issuer.mint({ sub: "alice@example.com" });
    return new ProgramStage(resources.move(), { authority, cluster, issuer, directory, token, toml });
  }

  /** A configuration. */
  configuration({ service = "", port = 0, adminPort, more = "" }: ProgramOptions = {}): string {
    return `
[listen]
address = "127.0.0.1:${port}"
certificate = "server.crt"
private_key = "server.key"

[service]
${service}

[admin]
${adminPort === undefined ? "" : `address = "127.0.0.1:${adminPort}"`}

[[issuers]]
name = "corp"
url = "${this.issuer.url}"
audience = ["pg-auth-proxy"]

[[backends]]
name = "main"
url = "postgres://app_scram@localhost:${this.cluster.port}/postgres?sslrootcert=ca.crt"
password_file = "password"

[[rules]]
issuer = "corp"
match = '/(.*)@example\\.com/'
users = ['\\1']
backend = "main"
${this.#toml}
${more}
`;
  }

  /** Writes a configuration of this name, and starts the program by it. */
  async start(options: ProgramOptions & RunOptions = {}, name = "config.toml"): Promise<Program> {
    await this.directory.write(name, this.configuration(options));
    const env = { DENO_CERT: join(this.directory.path, "ca.crt"), ...options.env };
    return await Program.start(join(this.directory.path, name), { ...options, env });
  }

  /** What a driver needs to log in. */
  driverOptions(port: number): pg.ClientConfig {
    const ssl = { ca: this.authority.certificatePem };
    return { host: "localhost", port, user: "alice", database: "postgres", password: this.token, ssl };
  }

  /** A client of the driver `pg`, logged in. */
  async client(port: number): Promise<DrainedClient> {
    return await DrainedClient.connect(this.driverOptions(port));
  }

  /** A connection that has sent nothing. It keeps its own end open whatever the other does. */
  async rawSocket(port: number): Promise<{ readonly connection: RawConnection; readonly socket: Socket }> {
    const socket = connectTcp({ host: "127.0.0.1", port, allowHalfOpen: true, noDelay: true });
    await new Promise<void>((resolve, reject) => socket.once("connect", resolve).once("error", reject));
    return { socket, connection: new RawConnection(socket, { timeoutMs: 10_000 }) };
  }

  /** The same, inside TLS. */
  async rawTls(port: number): Promise<{ readonly connection: RawConnection; readonly socket: Socket }> {
    const raw = await this.rawSocket(port);
    await raw.connection.send(SSL_REQUEST);
    assert.equal(String.fromCharCode(...await raw.connection.receive(1)), "S");
    await raw.connection.startTls({ ca: this.authority.certificatePem });
    return raw;
  }

  /** The same, logged in and idle. */
  async rawClient(
    port: number,
    startup: Readonly<Record<string, string>> = { user: "alice", database: "postgres" },
  ): Promise<{ readonly connection: RawConnection; readonly socket: Socket }> {
    const raw = await this.rawTls(port);
    await raw.connection.send(startupMessage(startup));
    await raw.connection.receiveMessagesUntil("R");
    await raw.connection.send(passwordMessage(this.token));
    await raw.connection.receiveMessagesUntil("Z");
    return raw;
  }

  /** What has been written for good that begins so, in order. */
  async done(prefix: string): Promise<unknown[]> {
    const rows = await this.cluster.sql("select what from done where what like $1 order by what", [
      `${prefix}%`,
    ]);
    return rows.map(({ what }) => what);
  }

  /** Waits until a statement that holds `text` runs at the backend. */
  async isRunning(text: string): Promise<void> {
    await waitUntil(() => this.#runs(text), { what: `the backend to run ${text}` });
  }

  /** Waits until none does. */
  async isNotRunning(text: string): Promise<void> {
    await waitUntil(async () => !await this.#runs(text), { what: `the backend not to run ${text}` });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#resources.disposeAsync();
  }

  async #runs(text: string): Promise<boolean> {
    const running = await this.cluster.sql(
      "select 1 from pg_stat_activity where state = 'active' and pid <> pg_backend_pid() and query like $1",
      [`%${text}%`],
    );
    return running.length > 0;
  }
}

/** The program, with the permissions it has in production. */
export class Program implements AsyncDisposable {
  readonly #child: Deno.ChildProcess;
  readonly #reading: Promise<void>;
  readonly #code: Promise<number>;
  #hasEnded = false;
  #log = "";

  private constructor(child: Deno.ChildProcess) {
    this.#child = child;
    this.#reading = this.#read(child.stderr);
    this.#code = child.status.then(({ code }) => {
      this.#hasEnded = true;
      return code;
    });
  }

  /** Starts it, and waits until it listens. */
  static async start(
    config: string,
    { main = MAIN, permissions = ["--allow-net", "--allow-read"], env }: RunOptions,
  ): Promise<Program> {
    const child = new Deno.Command(Deno.execPath(), {
      args: ["run", "--no-prompt", ...permissions, main, "start", "--config", config],
      env: { NO_COLOR: "1", ...env },
      stdin: "null",
      stdout: "null",
      stderr: "piped",
    }).spawn();
    const program = new Program(child);
    try {
      await waitUntil(() => program.#hasEnded || program.#port() !== undefined, {
        what: "the program to listen",
      });
      assert(!program.#hasEnded, `the program did not start: ${program.#log}`);
      return program;
    } catch (thrown) {
      await program[Symbol.asyncDispose]();
      throw thrown;
    }
  }

  get pid(): number {
    return this.#child.pid;
  }

  get port(): number {
    return this.#port()!;
  }

  /** What it has logged so far. */
  get log(): string {
    return this.#log;
  }

  signal(signal: Deno.Signal): void {
    this.#child.kill(signal);
  }

  /** Waits until it has logged something that is this, and begins behind what was there. */
  async logged(pattern: RegExp, from = 0): Promise<RegExpExecArray> {
    return await waitUntil(() => pattern.exec(this.#log.slice(from)), {
      what: `the log to say ${pattern}`,
      timeoutMs: 10_000,
    });
  }

  /** Its exit code, and how long it took from now on, in milliseconds. */
  async ended(): Promise<{ readonly code: number; readonly ms: number }> {
    const begun = performance.now();
    await waitUntil(() => this.#hasEnded, { what: "the program to end", timeoutMs: 20_000 });
    return { code: await this.#code, ms: performance.now() - begun };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (!this.#hasEnded) this.#child.kill("SIGKILL");
    await Promise.all([this.#code, this.#reading]);
  }

  #port(): number | undefined {
    const found = / listening address=127\.0\.0\.1:(\d+)/.exec(this.#log);
    return found === null ? undefined : Number(found[1]);
  }

  async #read(stderr: ReadableStream<Uint8Array<ArrayBuffer>>): Promise<void> {
    for await (const text of stderr.pipeThrough(new TextDecoderStream())) this.#log += text;
  }
}

/** A client of the driver `pg` that writes down what it is told at its end. */
export class DrainedClient implements AsyncDisposable {
  readonly client: pg.Client;
  #told: string | undefined;
  #isConnected = true;

  private constructor(client: pg.Client) {
    this.client = client;
    client.on("error", (error: Error & { code?: string }) => this.#told ??= `${error.code} ${error.message}`);
    client.on("end", () => this.#isConnected = false);
  }

  static async connect(options: pg.ClientConfig): Promise<DrainedClient> {
    const client = new pg.Client(options);
    const drained = new DrainedClient(client);
    await client.connect();
    return drained;
  }

  /** Runs a statement. */
  async ask(statement: string): Promise<void> {
    await this.client.query(statement);
  }

  /** Waits until it is over, and gives the SQLSTATE and the message. */
  async isOver(): Promise<string | undefined> {
    await waitUntil(() => !this.#isConnected, { what: "the session to be over" });
    return this.#told;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#isConnected) await this.client.end();
  }
}
