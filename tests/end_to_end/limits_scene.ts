// In: limits. Out: a proxy before a backend that does what the database asked for says, and connections at any stage of it.
// Chapter: the stage of the tests about how many connections there may be.

import assert from "node:assert/strict";
import { fakeBackend } from "../support/hostile_peer.ts";
import { RawClient } from "../support/hostile_peer.ts";
import type { ConnectOptions, RawConnection } from "../support/raw_connection.ts";
import {
  errorResponse,
  loginIsComplete,
  passwordMessage,
  query,
  readFields,
  readyForQuery,
  SSL_REQUEST,
  startupMessage,
  text,
} from "../support/raw_messages.ts";
import { ManualClock } from "../support/manual_clock.ts";
import { RunningProxy } from "../support/running_proxy.ts";
import { waitUntil } from "../support/wait_until.ts";

/** What a proxy of these tests is made of; what is left out is the ordinary. */
export interface LimitsScenario {
  readonly limits?: string;
  readonly listen?: string;
  /** Keys of the rule for everybody at example.com, which is named `everybody` and leads to the backend `main`. */
  readonly rule?: string;
  /** Keys of the backend `main`. */
  readonly backend?: string;
  /** How many workers there are; default: one, which goes by the scene's clock. */
  readonly workers?: number;
}

/** Who logs in, and what becomes of it. */
export interface Login extends Pick<ConnectOptions, "localAddress"> {
  readonly user?: string;
  /** What the backend does: `main` and `other` let in; `refuses`, `vanishes` and `silent` do that. */
  readonly database?: "main" | "other" | "refuses" | "vanishes" | "silent";
  readonly token?: string;
  /** What stands in front of all else. */
  readonly header?: Uint8Array;
}

/** A proxy with limits, and the way to it. */
export class LimitsScene implements AsyncDisposable {
  readonly proxy: RunningProxy;
  readonly clock: ManualClock;
  readonly #resources: AsyncDisposableStack;
  readonly #connections: AsyncDisposableStack;
  readonly #backendConnections: () => number;
  readonly #tokens = new Map<string, string>();
  readonly #backendPort: number;

  private constructor(parts: {
    proxy: RunningProxy;
    clock: ManualClock;
    resources: AsyncDisposableStack;
    backend: { readonly port: number; connectionCount(): number };
  }) {
    this.proxy = parts.proxy;
    this.clock = parts.clock;
    this.#resources = parts.resources;
    this.#connections = new AsyncDisposableStack();
    this.#backendConnections = () => parts.backend.connectionCount();
    this.#backendPort = parts.backend.port;
  }

  /** Starts it. */
  static async start(scenario: LimitsScenario = {}): Promise<LimitsScene> {
    await using resources = new AsyncDisposableStack();
    const backend = resources.use(await fakeBackend(playBackend, { timeoutMs: 60_000 }));
    const clock = new ManualClock();
    const proxy = resources.use(
      await RunningProxy.start({
        listen: scenario.listen,
        limits: limitsOf(scenario),
        toml: tomlOf(scenario, backend.port),
        now: clock.now,
        after: clock.after,
      }),
    );
    return new LimitsScene({ proxy, clock, resources: resources.move(), backend });
  }

  /** Goes on by other limits and rules. */
  async reload(scenario: LimitsScenario): Promise<void> {
    await this.proxy.reload(tomlOf(scenario, this.#backendPort), limitsOf(scenario));
  }

  /** How many connections have come to the backend so far. */
  get backendConnections(): number {
    return this.#backendConnections();
  }

  /** A token of a user at example.com, good for an hour. */
  async token(user: string): Promise<string> {
    const known = this.#tokens.get(user) ??
      await this.proxy.issuer.mint({ sub: `${user}@example.com`, expiresInSeconds: 3600 });
    this.#tokens.set(user, known);
    return known;
  }

  /** A connection that says nothing. */
  async silent(options: ConnectOptions = {}): Promise<RawConnection> {
    return this.#connections.use(await RawClient.connect(this.proxy.port, options));
  }

  /** Goes on from silence to the first answer inside TLS: `asked` for its token, or what it was told. */
  async approach(client: RawConnection, { user = "alice", database = "main" }: Login = {}): Promise<string> {
    await client.send(SSL_REQUEST);
    assert.deepEqual(await client.receive(1), text("S"));
    await client.startTls();
    await client.send(startupMessage({ user, database }));
    return outcomeOf(await client.receiveMessage());
  }

  /** Logs in, and stays; `in`, or what it was told. */
  async logIn(login: Login = {}): Promise<{ readonly client: RawConnection; readonly outcome: string }> {
    const client = await this.silent(login);
    if (login.header !== undefined) await client.send(login.header);
    const asked = await this.approach(client, login);
    if (asked !== "asked") return { client, outcome: asked };
    await client.send(passwordMessage(login.token ?? await this.token(login.user ?? "alice")));
    const answer = await client.receiveMessage();
    if (answer.type !== "E") await client.receiveMessagesUntil("Z");
    return { client, outcome: outcomeOf(answer) };
  }

  /** Waits until so many connections count. */
  async counts(connections: number, unauthenticated = 0): Promise<void> {
    const wanted = { connections, unauthenticated };
    const isSo = () => JSON.stringify(this.proxy.counted) === JSON.stringify(wanted);
    await waitUntil(isSo, { what: `${JSON.stringify(wanted)}, not ${JSON.stringify(this.proxy.counted)}` });
  }

  /** Waits until nobody is there. */
  async isEmpty(): Promise<void> {
    const { proxy } = this;
    await waitUntil(() => proxy.connectionCount === 0, { what: "every connection to end" });
    assert.deepEqual(proxy.counted, { connections: 0, unauthenticated: 0 });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#connections.disposeAsync();
    await this.#resources.disposeAsync();
  }
}

/** Closes a client's end as soon as the proxy has closed its own, as clients do. */
export async function closeBehind(client: RawConnection): Promise<void> {
  await waitUntil(() => client.ending !== undefined, { what: "the proxy to close" });
  client.end();
}

/** `in`, `asked`, or SQLSTATE, message and detail. */
function outcomeOf(message: { readonly type: string; readonly body: Uint8Array }): string {
  if (message.type === "E") {
    const { C, M, D } = readFields(message);
    return [C, M, D].filter((field) => field !== undefined).join("; ");
  }
  assert.equal(message.type, "R");
  return message.body[3] === 0 ? "in" : "asked";
}

/** 1234.5678: a cancel has no answer but the end of its connection. */
const CANCEL_REQUEST = 80877102;

async function playBackend(connection: RawConnection): Promise<void> {
  const packet = await connection.receiveUntyped();
  if (new DataView(packet.buffer, packet.byteOffset).getInt32(0) === CANCEL_REQUEST) return;
  const startup = new TextDecoder().decode(packet).split("\0");
  switch (startup[startup.indexOf("database") + 1]) {
    case "refuses":
      await connection.send(errorResponse("28000", "not today"));
      return;
    case "vanishes":
      return connection.reset();
    case "silent":
      return void await connection.receiveToEnd();
  }
  await connection.send(loginIsComplete());
  for (;;) {
    const message = await connection.receiveMessage().catch(() => null);
    const said = message && new TextDecoder().decode(message.body.subarray(0, -1));
    if (message === null || message.type === "X" || said === "leave") return;
    if (said === "vanish") return connection.reset();
    await connection.send(
      said === "garble" ? Uint8Array.of(90, 0, 0, 0, 0) : readyForQuery(said === "begin" ? "T" : "I"),
    );
  }
}

/** Runs a statement of the fake backend: `begin`, `leave`, `vanish`, `garble`, or anything. */
export async function ask(client: RawConnection, statement: string): Promise<void> {
  await client.send(query(statement));
}

function limitsOf({ limits = "" }: LimitsScenario): string {
  return limits.includes("failed_logins") ? limits : `failed_logins = 0\n${limits}`;
}

function tomlOf({ rule = "", backend = "", workers = 1 }: LimitsScenario, port: number): string {
  return `
[service]
workers = ${workers}
refresh = "0"

[[backends]]
name = "main"
url = "postgres://app@localhost:${port}?sslmode=disable"
require_auth = ["none"]
${backend}

[[backends]]
name = "other"
url = "postgres://app@localhost:${port}?sslmode=disable"
require_auth = ["none"]

[[rules]]
issuer = "corp"
match = '/.*@example\\.com/'
databases = ["other"]
backend = "other"

[[rules]]
name = "everybody"
issuer = "corp"
match = '/.*@example\\.com/'
backend = "main"
${rule}
`;
}
