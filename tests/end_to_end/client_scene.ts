// In: what a test file needs of its backend. Out: a proxy with a real issuer before a real PostgreSQL, TLS and SCRAM on the
// way in, and clients of every kind logged in by token.
// Chapter: what the `client_…_test.ts` files have in common.
import assert from "node:assert/strict";
import { connect as connectTcp, type Socket } from "node:net";
import pg from "pg";
import postgres from "postgres";
import { type Authority, createAuthority } from "../support/certificates.ts";
import type { PostgresMajor } from "../support/postgres_binaries.ts";
import { everyMethodHba, PASSWORDS } from "../support/postgres_roles.ts";
import { PostgresCluster, type Row } from "../support/postgres_cluster.ts";
import type { Settings } from "../support/postgres_settings.ts";
import { RawConnection } from "../support/raw_connection.ts";
import {
  passwordMessage,
  query,
  type RawMessage,
  SSL_REQUEST,
  startupMessage,
} from "../support/raw_messages.ts";
import { type ProxyScenario, RunningProxy } from "../support/running_proxy.ts";
import { waitUntil } from "../support/wait_until.ts";

/** What a {@link ClientScene} is made with; what is left out is the ordinary. */
export interface SceneOptions {
  readonly major?: PostgresMajor;
  readonly settings?: Settings;
  /** Lines of `pg_hba.conf` behind the usual ones. */
  readonly hba?: readonly string[];
  /** TOML behind the backend `main` and the rule that lets `alice@example.com` in as `app_scram`. */
  readonly toml?: string;
  /** What else the proxy is made of. */
  readonly proxy?: Omit<ProxyScenario, "toml" | "files">;
}

/** A session that says and hears exact bytes, logged in and idle. */
export interface RawSession extends AsyncDisposable {
  readonly connection: RawConnection;
  /** What a CancelRequest must show, as the proxy gave it. */
  readonly processId: number;
  readonly secretKey: Uint8Array;
  /** The process that serves it at the backend. */
  readonly backendPid: number;
  /** Leaves rudely (RST). */
  reset(): void;
  /** Takes nothing more from the network; `pause` of the connection would go on filling its own memory. */
  stopReading(): void;
}

/** A backend, the proxy before it, and Alice's token. */
export class ClientScene implements AsyncDisposable {
  readonly #resources: AsyncDisposableStack;
  readonly authority: Authority;
  readonly cluster: PostgresCluster;
  readonly proxy: RunningProxy;
  readonly token: string;

  private constructor(
    resources: AsyncDisposableStack,
    parts: { authority: Authority; cluster: PostgresCluster; proxy: RunningProxy; token: string },
  ) {
    this.#resources = resources;
    this.authority = parts.authority;
    this.cluster = parts.cluster;
    this.proxy = parts.proxy;
    this.token = parts.token;
  }

  /** Starts the backend, the issuer and the proxy. */
  static async start(
    { major = 18, settings, hba = [], toml = "", proxy: given }: SceneOptions = {},
  ): Promise<ClientScene> {
    await using resources = new AsyncDisposableStack();
    const authority = await createAuthority("pg-auth-proxy tests");
    const { certificatePem, keyPem } = await authority.issueForLoopback();
    const cluster = resources.use(
      await PostgresCluster.start({
        major,
        tls: { certificatePem, keyPem, caPem: authority.certificatePem },
        hba: [...everyMethodHba(), ...hba],
        settings,
      }),
    );
    const scenario = {
      ...given,
      toml: backendAndRule(cluster.port) + toml,
      files: { password: PASSWORDS.app_scram },
    };
    const proxy = resources.use(await RunningProxy.start(scenario, authority));
    const token = await proxy.issuer.mint({ sub: "alice@example.com" });
    return new ClientScene(resources.move(), { authority, cluster, proxy, token });
  }

  /** A client of the driver `pg`, logged in; it is ended by disposing it. */
  async pgClient(options: pg.ClientConfig = {}): Promise<pg.Client & AsyncDisposable> {
    const client = new pg.Client({
      ...this.proxy.driverOptions(this.token),
      user: "alice",
      database: "postgres",
      ...options,
    });
    await client.connect();
    return Object.assign(client, { [Symbol.asyncDispose]: () => client.end() });
  }

  /** A client of the driver `postgres`, which logs in when it is first asked something. */
  postgresJs(options: postgres.Options<Record<string, never>> = {}): postgres.Sql & AsyncDisposable {
    const sql = postgres({
      ...this.proxy.driverOptions(this.token),
      user: "alice",
      database: "postgres",
      max: 1,
      ...options,
    });
    return Object.assign(sql, { [Symbol.asyncDispose]: () => sql.end({ timeout: 5 }) });
  }

  /** Opens a connection and goes on inside TLS; `localAddress` is the address it comes from. */
  async rawTls({ localAddress = "127.0.0.1" } = {}): Promise<RawConnection> {
    return await this.#startTls(await this.#connect(localAddress));
  }

  /** Opens a connection and says nothing. */
  async rawPlain(): Promise<RawConnection> {
    return new RawConnection(await this.#connect());
  }

  /** Logs in over TLS, byte by byte. */
  async rawSession(): Promise<RawSession> {
    const socket = await this.#connect();
    const connection = await this.#startTls(socket);
    await connection.send(startupMessage({ user: "alice", database: "postgres" }));
    await connection.receiveMessagesUntil("R");
    await connection.send(passwordMessage(this.token));
    const welcome = await connection.receiveMessagesUntil("Z");
    const { body } = welcome.find(({ type }) => type === "K")!;
    return {
      connection,
      processId: new DataView(body.buffer).getInt32(0),
      secretKey: body.slice(4),
      backendPid: Number(await askOne(connection, "select pg_backend_pid()")),
      // To the socket under TLS: a TLS socket of Deno 2.9.6 has no reset, and its pause does not stop the one under it.
      reset: () => void socket.resetAndDestroy(),
      stopReading: () => (socket as unknown as { _handle: { readStop(): void } })._handle.readStop(),
      [Symbol.asyncDispose]: () => connection[Symbol.asyncDispose](),
    };
  }

  /** The one row of a backend process in `pg_stat_activity`; undefined when it is gone. */
  async backendActivity(pid: number): Promise<Row | undefined> {
    const [row] = await this.cluster.sql("select * from pg_stat_activity where pid = $1", [pid]);
    return row;
  }

  /** Waits until a backend process is running a statement that holds `text`. */
  async isRunning(pid: number, text: string): Promise<void> {
    await waitUntil(async () => {
      const row = await this.backendActivity(pid);
      return row?.state === "active" && String(row.query).includes(text);
    }, { what: `the backend to run ${text}`, intervalMs: 5 });
  }

  /** Waits until a backend process is gone, and returns how long that took, in milliseconds. */
  async isGone(pid: number): Promise<number> {
    const begun = performance.now();
    await waitUntil(async () => await this.backendActivity(pid) === undefined, {
      what: "the backend's session to be gone",
      intervalMs: 5,
    });
    return performance.now() - begun;
  }

  /** Waits until no client is connected: what a test began, it has ended. */
  async isQuiet(): Promise<void> {
    await waitUntil(() => this.proxy.connectionCount === 0, { what: "every client to be gone" });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#resources.disposeAsync();
  }

  async #connect(localAddress = "127.0.0.1"): Promise<Socket> {
    const { port } = this.proxy;
    const options = { host: "127.0.0.1", port, localAddress, allowHalfOpen: true, noDelay: true };
    const socket = connectTcp(options);
    await new Promise<void>((resolve, reject) => socket.once("connect", resolve).once("error", reject));
    return socket;
  }

  async #startTls(socket: Socket): Promise<RawConnection> {
    const connection = new RawConnection(socket, { timeoutMs: 10_000 });
    await connection.send(SSL_REQUEST);
    assert.equal(String.fromCharCode(...await connection.receive(1)), "S");
    await connection.startTls({ ca: this.authority.certificatePem });
    return connection;
  }
}

/** Asks for one value by a simple query, and returns it as text. */
export async function askOne(connection: RawConnection, statement: string): Promise<string> {
  await connection.send(query(statement));
  const messages = await connection.receiveMessagesUntil("Z");
  const row = messages.find(({ type }) => type === "D");
  assert.ok(row !== undefined, `${statement} gave ${typesOf(messages)}`);
  return new TextDecoder().decode(row.body.subarray(6)); // after the count of values and this one's length
}

/** The type characters of messages in a row. */
export function typesOf(messages: readonly RawMessage[]): string {
  return messages.map(({ type }) => type).join("");
}

/** Splits bytes into whole messages; what is left over is an error. */
export function messagesIn(bytes: Uint8Array): RawMessage[] {
  const messages: RawMessage[] = [];
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  let at = 0;
  while (at < bytes.length) {
    const end = at + 1 + view.getInt32(at + 1);
    assert.ok(end <= bytes.length, "the last message is cut");
    messages.push({ type: String.fromCharCode(bytes[at]), body: bytes.slice(at + 5, end) });
    at = end;
  }
  return messages;
}

function backendAndRule(port: number): string {
  return `
[[backends]]
name = "main"
url = "postgres://app_scram@localhost:${port}/postgres?sslmode=verify-full&sslrootcert=ca.crt"
password_file = "password"
require_auth = ["scram-sha-256", "scram-sha-256-plus"]

[[rules]]
issuer = "corp"
match = "alice@example.com"
backend = "main"
`;
}
