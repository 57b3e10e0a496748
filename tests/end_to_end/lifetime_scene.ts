// In: how long the sessions of a rule may last. Out: a proxy whose time the test lets pass, before a real PostgreSQL, and
// clients that write down what becomes of them.
// Chapter: what the `session_…_test.ts` files have in common.
import assert from "node:assert/strict";
import { connect as connectTcp } from "node:net";
import pg from "pg";
import { type Authority, createAuthority } from "../support/certificates.ts";
import { ManualClock } from "../support/manual_clock.ts";
import { PostgresCluster } from "../support/postgres_cluster.ts";
import { PASSWORDS } from "../support/postgres_roles.ts";
import { RawConnection } from "../support/raw_connection.ts";
import { passwordMessage, SSL_REQUEST, startupMessage } from "../support/raw_messages.ts";
import { type ProxyScenario, RunningProxy } from "../support/running_proxy.ts";
import { waitUntil } from "../support/wait_until.ts";

/** What tokens are good for where a test says nothing else, in seconds. */
export const TOKEN_SECONDS = 3_600;

/** A real PostgreSQL for a file of tests, with a table `done (what text)` that everybody may write to. */
export class LifetimeStage implements AsyncDisposable {
  readonly authority: Authority;
  readonly cluster: PostgresCluster;

  private constructor(authority: Authority, cluster: PostgresCluster) {
    this.authority = authority;
    this.cluster = cluster;
  }

  /** Starts it. */
  static async open(): Promise<LifetimeStage> {
    const authority = await createAuthority("lifetime");
    const { certificatePem, keyPem } = await authority.issueForLoopback();
    const tls = { certificatePem, keyPem, caPem: authority.certificatePem };
    const cluster = await PostgresCluster.start({ major: 18, tls });
    await cluster.sql("create table done (what text)");
    await cluster.sql("grant all on done to public");
    return new LifetimeStage(authority, cluster);
  }

  /** TOML of a rule for everybody at example.com, with these keys besides. */
  rule(keys: string): string {
    return `
[[backends]]
name = "main"
url = "postgres://app_scram@localhost:${this.cluster.port}/postgres?sslrootcert=ca.crt&connect_timeout=600"
password_file = "password"

[[rules]]
issuer = "corp"
match = '/(.*)@example\\.com/'
users = ['\\1']
backend = "main"
${keys}
`;
  }

  /** A proxy with this rule, and what else is given. */
  async proxy(keys: string, scenario: Partial<ProxyScenario> = {}): Promise<LifetimeScene> {
    const clock = new ManualClock();
    const files = { password: PASSWORDS.app_scram, ...scenario.files };
    const proxy = await RunningProxy.start({
      ...scenario,
      ...{ toml: this.rule(keys), files, now: clock.now, after: clock.after },
    }, this.authority);
    return new LifetimeScene(this, proxy, clock);
  }

  /** What has been done for good, in the order of the text. */
  async done(): Promise<unknown[]> {
    const rows = await this.cluster.sql("select what from done order by what");
    return rows.map(({ what }) => what);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.cluster[Symbol.asyncDispose]();
  }
}

/** A proxy on a {@link LifetimeStage}. */
export class LifetimeScene implements AsyncDisposable {
  readonly stage: LifetimeStage;
  readonly proxy: RunningProxy;
  readonly clock: ManualClock;

  constructor(stage: LifetimeStage, proxy: RunningProxy, clock: ManualClock) {
    this.stage = stage;
    this.proxy = proxy;
    this.clock = clock;
  }

  /** A client of the driver `pg`, logged in. */
  async client(user = "alice", order: Parameters<RunningProxy["issuer"]["mint"]>[0] = {}): Promise<Visitor> {
    const sub = `${user}@example.com`;
    const token = await this.proxy.issuer.mint({ sub, expiresInSeconds: TOKEN_SECONDS, ...order });
    return await Visitor.connect(this.proxy, user, token);
  }

  /** A client that says and hears exact bytes, logged in and idle. */
  async rawClient(token: string, user = "alice"): Promise<RawConnection> {
    const connection = await this.rawLogin(user);
    await connection.send(passwordMessage(token));
    await connection.receiveMessagesUntil("Z");
    return connection;
  }

  /** One that has been asked for its token. */
  async rawLogin(user = "alice"): Promise<RawConnection> {
    const socket = connectTcp({
      host: "127.0.0.1",
      port: this.proxy.port,
      allowHalfOpen: true,
      noDelay: true,
    });
    await new Promise<void>((resolve, reject) => socket.once("connect", resolve).once("error", reject));
    const connection = new RawConnection(socket, { timeoutMs: 10_000 });
    await connection.send(SSL_REQUEST);
    assert.equal(String.fromCharCode(...await connection.receive(1)), "S");
    await connection.startTls({ ca: this.stage.authority.certificatePem });
    await connection.send(startupMessage({ user, database: "postgres" }));
    await connection.receiveMessagesUntil("R");
    return connection;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.proxy[Symbol.asyncDispose]();
  }
}

/** A client of the driver `pg` that writes down what it is told. */
export class Visitor implements AsyncDisposable {
  readonly client: pg.Client;
  readonly notices: string[] = [];
  readonly errors: (Error & { code?: string })[] = [];
  isConnected = true;

  private constructor(client: pg.Client) {
    this.client = client;
    client.on("notice", ({ message }: Error) => this.notices.push(message));
    client.on("error", (error: Error) => this.errors.push(error));
    client.on("end", () => this.isConnected = false);
  }

  /** Logs in. */
  static async connect(proxy: RunningProxy, user: string, token: string): Promise<Visitor> {
    const client = new pg.Client({ ...proxy.driverOptions(token), user, database: "postgres" });
    const visitor = new Visitor(client);
    await client.connect();
    return visitor;
  }

  /** Runs a statement; settles with its first value. */
  async ask(statement: string): Promise<unknown> {
    const { rows } = await this.client.query({ text: statement, rowMode: "array" });
    return rows[0]?.[0];
  }

  /** Waits until the session is over, and gives the SQLSTATE and the message it was told. */
  async isOver(): Promise<string> {
    await waitUntil(() => !this.isConnected, { what: "the session to be over" });
    const told = this.errors.find(({ code }) => code !== undefined);
    return `${told?.code} ${told?.message}`;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.isConnected) await this.client.end();
  }
}
