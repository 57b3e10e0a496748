import pg from "pg";
import { freePort } from "./free_port.ts";
import { type PostgresBinaries, postgresBinaries, type PostgresMajor } from "./postgres_binaries.ts";
import { type ServerPlaces, type ServerProcess, startServer } from "./postgres_process.ts";
import { everyMethodHba } from "./postgres_roles.ts";
import { postgresqlConf, type Settings } from "./postgres_settings.ts";
import { copyTemplate } from "./postgres_template.ts";
import { giveToServerUser } from "./server_user.ts";
import { waitUntil } from "./wait_until.ts";

/** What a cluster is made with. */
export interface ClusterOptions {
  readonly major: PostgresMajor;
  /** Turns `ssl` on. With `caPem`, client certificates signed by it are accepted. */
  readonly tls?: { readonly certificatePem: string; readonly keyPem: string; readonly caPem?: string };
  /** Lines of `pg_hba.conf`; default {@link everyMethodHba}. The superuser always comes in by the socket. */
  readonly hba?: readonly string[];
  /** Settings of `postgresql.conf`. */
  readonly settings?: Settings;
}

/** A row of a result. */
export type Row = Record<string, unknown>;

/** How a server is asked to end: at once, after disconnecting everyone, or when everyone has left. */
export type StopMode = "immediate" | "fast" | "smart";

const STOP_SIGNALS: Readonly<Record<StopMode, Deno.Signal>> = {
  immediate: "SIGQUIT",
  fast: "SIGINT",
  smart: "SIGTERM",
};

/** A real PostgreSQL of the test's own on 127.0.0.1 and ::1, gone with all its files when it goes out of scope. */
export class PostgresCluster implements AsyncDisposable {
  /** TCP port on loopback; it stays the same over {@link PostgresCluster.restart}. */
  port = 0;
  /** Where the superuser comes in without a password: the directory above is closed to other users. */
  readonly socketDirectory: string;
  readonly dataDirectory: string;
  readonly #binaries: PostgresBinaries;
  readonly #places: ServerPlaces;
  readonly #options: ClusterOptions;
  #settings: Settings;
  #process?: ServerProcess;

  private constructor(binaries: PostgresBinaries, directory: string, options: ClusterOptions) {
    this.#binaries = binaries;
    this.#options = options;
    this.#settings = options.settings ?? {};
    this.dataDirectory = `${directory}/data`;
    this.socketDirectory = directory;
    this.#places = { directory, dataDirectory: this.dataDirectory, logFile: `${directory}/log` };
  }

  /** Starts a cluster; the first of a major downloads it and runs `initdb`, later ones copy what that made. */
  static async start(options: ClusterOptions): Promise<PostgresCluster> {
    const binaries = await postgresBinaries(options.major);
    const directory = await Deno.makeTempDir({ prefix: `pg${options.major}-` });
    await giveToServerUser(directory);
    const cluster = new PostgresCluster(binaries, directory, options);
    try {
      await copyTemplate(binaries, cluster.dataDirectory);
      await cluster.#writeTlsFiles();
      await cluster.#writeHba(options.hba ?? everyMethodHba());
      await cluster.#startOnFreePort();
    } catch (thrown) {
      await cluster.stop();
      throw thrown;
    }
    return cluster;
  }

  /** Runs a statement as the superuser, through the socket. */
  async sql(statement: string, values: readonly unknown[] = []): Promise<Row[]> {
    const client = new pg.Client({
      host: this.socketDirectory,
      port: this.port,
      user: "postgres",
      database: "postgres",
    });
    await client.connect();
    try {
      return (await client.query(statement, [...values])).rows as Row[];
    } finally {
      await client.end();
    }
  }

  /** What the server has logged so far; every connection and disconnection is in it. */
  async log(): Promise<string> {
    return await Deno.readTextFile(this.#places.logFile).catch(() => "");
  }

  /** Changes `pg_hba.conf`, settings or both, and returns when new connections see them. */
  async reload(changes: { hba?: readonly string[]; settings?: Settings } = {}): Promise<void> {
    const loadTime = async () => (await this.sql("SELECT pg_conf_load_time()::text AS time"))[0].time;
    const before = await loadTime();
    if (changes.hba) await this.#writeHba(changes.hba);
    this.#settings = { ...this.#settings, ...changes.settings };
    await this.#writeSettings();
    await this.#signal("SIGHUP");
    await waitUntil(async () => await loadTime() !== before, { what: "the configuration to be loaded" });
  }

  /** Stops the server and starts it again on the same port. */
  async restart(mode: StopMode = "fast"): Promise<void> {
    await this.#end(STOP_SIGNALS[mode]);
    await this.start();
  }

  /** Starts a server that has been stopped or killed again, on the same port and with the same data. */
  async start(): Promise<void> {
    if (await this.#launch() === "port is taken") {
      throw new Error(`Port ${this.port} has been taken by someone else`);
    }
  }

  /** Ends the server and leaves its files, so that {@link PostgresCluster.start} can follow. */
  async shutDown(mode: StopMode = "fast"): Promise<void> {
    await this.#end(STOP_SIGNALS[mode]);
  }

  /** Kills the server as a machine that loses power does; its backends follow when they notice. */
  async kill(): Promise<void> {
    await this.#end("SIGKILL");
  }

  /** Kills one backend by SIGKILL. PostgreSQL answers by disconnecting everybody and recovering. */
  killBackend(pid: number): void {
    Deno.kill(pid, "SIGKILL");
  }

  /** Ends the server and removes its files. */
  async stop(): Promise<void> {
    await this.#end("SIGQUIT");
    await Deno.remove(this.#places.directory, { recursive: true }).catch(() => {});
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
  }

  async #startOnFreePort(): Promise<void> {
    for (let attempt = 0; attempt < 5; attempt++) {
      this.port = freePort();
      await this.#writeSettings();
      if (await this.#launch() === "ready") return;
    }
    throw new Error("No free port was found for PostgreSQL");
  }

  /** Starts the process and waits until it accepts connections. */
  async #launch(): Promise<"ready" | "port is taken"> {
    const pidFile = `${this.dataDirectory}/postmaster.pid`;
    await Deno.remove(pidFile).catch(() => {}); // one that a killed server has left says "ready" for ever
    const logLength = (await this.log()).length;
    const logSince = async () => (await this.log()).slice(logLength);
    const process = this.#process = startServer(this.#binaries, this.#places);
    await waitUntil(
      async () => process.hasEnded() || (await Deno.readTextFile(pidFile)).includes("\nready"),
      {
        what: `PostgreSQL ${this.#options.major} to accept connections`,
        timeoutMs: 30_000,
      },
    );
    // One address of two is enough for PostgreSQL to start; the other's owner would then answer our clients.
    if ((await logSince()).includes("Address already in use")) {
      await this.#end("SIGQUIT");
      return "port is taken";
    }
    if (process.hasEnded()) throw new Error(`PostgreSQL did not start\n${await logSince()}`);
    return "ready";
  }

  async #end(signal: Deno.Signal): Promise<void> {
    if (this.#process === undefined) return;
    await this.#signal(signal);
    await this.#process.ended;
    this.#process = undefined;
  }

  async #signal(signal: Deno.Signal): Promise<void> {
    if (this.#process?.hasEnded() !== false) return;
    const [pid] = (await Deno.readTextFile(`${this.dataDirectory}/postmaster.pid`)).split("\n");
    Deno.kill(Number(pid), signal);
  }

  async #writeTlsFiles(): Promise<void> {
    const { tls } = this.#options;
    if (tls === undefined) return;
    await this.#write("server.crt", tls.certificatePem);
    await this.#write("server.key", tls.keyPem);
    if (tls.caPem !== undefined) await this.#write("root.crt", tls.caPem);
  }

  async #writeHba(lines: readonly string[]): Promise<void> {
    await this.#write("pg_hba.conf", ["local all postgres trust", ...lines, ""].join("\n"));
  }

  async #writeSettings(): Promise<void> {
    const { tls, major } = this.#options;
    const places = { port: this.port, socketDirectory: this.socketDirectory };
    const hasTls = tls !== undefined;
    const hasAuthority = tls?.caPem !== undefined;
    const text = postgresqlConf({ major, ...places, hasTls, hasAuthority, settings: this.#settings });
    await this.#write("postgresql.conf", text);
  }

  async #write(name: string, content: string): Promise<void> {
    const path = `${this.dataDirectory}/${name}`;
    await Deno.writeTextFile(path, content, { mode: 0o600 });
    await giveToServerUser(path);
  }
}
