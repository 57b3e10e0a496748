// In: what a test file needs of its proxy. Out: one that takes PROXY headers from a balancer, before a backend that lets
// everybody in and keeps what it was told.
// Chapter: the stage of the tests about balancers in front.

import assert from "node:assert/strict";
import type { SessionEvent } from "../../lib/observe/events.ts";
import { fakeBackend, RawClient } from "../support/hostile_peer.ts";
import type { RawConnection } from "../support/raw_connection.ts";
import {
  loginIsComplete,
  passwordMessage,
  query,
  readFields,
  readyForQuery,
  SSL_REQUEST,
  startupMessage,
  text,
} from "../support/raw_messages.ts";
import { RunningProxy } from "../support/running_proxy.ts";
import { waitUntil } from "../support/wait_until.ts";

/** Whose connections begin with a header. */
export const BALANCER = "127.0.0.2";

/** Who the headers of these tests are about, and what they have connected to. */
export const CLIENT = { address: "192.0.2.1", port: 50000 };
export const SERVER = { address: "198.51.100.1", port: 5432 };

/** The same connection in both versions. */
export const HEADER_V1 = text("PROXY TCP4 192.0.2.1 198.51.100.1 50000 5432\r\n");
export const HEADER_V2 = Uint8Array.fromHex(
  "0d0a0d0a000d0a515549540a" + "2111000c" + "c0000201" + "c6336401" + "c350" + "1538",
);

/** As of a balancer's health check. */
export const HEADER_LOCAL = Uint8Array.fromHex("0d0a0d0a000d0a515549540a20000000");

export const STARTUP = startupMessage({ user: "alice", database: "postgres" });

/** What a {@link ProxyProtocolScene} is made with; what is left out is the ordinary. */
export interface SceneOptions {
  readonly listen?: string;
  readonly limits?: string;
  readonly isPlaintext?: boolean;
  /** Keys of the rule besides its issuer, match and backend. */
  readonly rule?: string;
  /** TOML in front of the backend. */
  readonly toml?: string;
}

/** The backend, the proxy and alice's token. */
export interface ProxyProtocolScene extends AsyncDisposable {
  readonly proxy: RunningProxy;
  readonly token: string;
  /** Parameters of the StartupMessages that came to the backend, and a word for each query and each CancelRequest. */
  readonly told: readonly (Record<string, string> | "cancel" | "query")[];
}

/** Starts them. The backend runs a query until it is cancelled. */
export async function startProxyProtocolScene(options: SceneOptions = {}): Promise<ProxyProtocolScene> {
  const { listen = `proxy_protocol = ["${BALANCER}"]`, limits, isPlaintext, rule = "", toml = "" } = options;
  await using resources = new AsyncDisposableStack();
  const told: (Record<string, string> | "cancel" | "query")[] = [];
  const backend = resources.use(
    await fakeBackend(async (connection) => {
      const body = await connection.receiveUntyped();
      const parameters = parametersIn(body);
      told.push(parameters);
      if (parameters === "cancel") return;
      await connection.send(loginIsComplete());
      await serve(connection, told);
    }),
  );
  const proxy = resources.use(
    await RunningProxy.start({
      ...{ listen, limits, isPlaintext },
      toml: `
${toml}
[[backends]]
name = "main"
url = "postgres://app@localhost:${backend.port}/postgres?sslmode=disable"
require_auth = ["none"]
report_remote_addr = true
set = { "app.client" = "{client_address}" }

[[rules]]
issuer = "corp"
match = "alice"
backend = "main"
${rule}
`,
    }),
  );
  const token = await proxy.issuer.mint({ sub: "alice" });
  const rest = resources.move();
  return {
    ...{ proxy, token, told },
    async [Symbol.asyncDispose]() {
      await waitUntil(() => proxy.connectionCount === 0, { what: "every session to end" });
      await rest.disposeAsync();
    },
  };
}

/** A connection from an address of loopback that has said these bytes. */
export async function connectSaying(
  port: number,
  { from = BALANCER, bytes }: { from?: string; bytes: Uint8Array },
): Promise<RawConnection> {
  const client = await RawClient.connect(port, { localAddress: from });
  await client.send(bytes);
  return client;
}

/** Goes on inside TLS by SSLRequest. */
export async function upgrade(client: RawConnection): Promise<void> {
  await client.send(SSL_REQUEST);
  assert.deepEqual(await client.receive(1), text("S"));
  await client.startTls();
}

/** Logs in, up to ReadyForQuery; what the client must show to cancel. */
export async function logIn(client: RawConnection, token: string): Promise<CancelCredentials> {
  await client.send(STARTUP);
  assert.equal((await client.receiveMessage()).type, "R");
  await client.send(passwordMessage(token));
  const messages = await client.receiveMessagesUntil("Z");
  const { body } = messages.find(({ type }) => type === "K")!;
  return { processId: new DataView(body.buffer).getInt32(0), secretKey: body.slice(4) };
}

/** What a CancelRequest must show. */
export interface CancelCredentials {
  readonly processId: number;
  readonly secretKey: Uint8Array;
}

/** Asks a query that the backend is not done with until it is cancelled; it has begun when this settles. */
export async function ask(client: RawConnection, { told }: ProxyProtocolScene): Promise<void> {
  const before = told.length;
  await client.send(query("select pg_sleep(60)"));
  await waitUntil(() => told.slice(before).includes("query"), { what: "the query to run", intervalMs: 1 });
}

/** Whose connection an event of this kind was about, the last one. */
export async function connectionOf(proxy: RunningProxy, kind: SessionEvent["kind"]) {
  const { connection } = await proxy.observed(kind) as SessionEvent;
  const { clientAddress, via } = connection;
  return { clientAddress, via };
}

/** The one FATAL that comes next, and the reason that the log has for it. */
export async function refusalOf(client: RawConnection, proxy: RunningProxy) {
  const message = await client.receiveMessage();
  assert.equal(message.type, "E");
  const { S: severity, C: sqlstate, M: told } = readFields(message);
  assert.equal(severity, "FATAL");
  assert.deepEqual(await client.receiveToEnd(), new Uint8Array());
  const { reason } = await proxy.observed("login_refused");
  return { sqlstate, told, reason };
}

/** Runs queries until they are cancelled, and ends with its client. */
async function serve(connection: RawConnection, told: unknown[]): Promise<void> {
  for (;;) {
    // Some clients of these tests leave without a word.
    const message = await connection.receiveMessage().catch(() => null);
    if (message === null || message.type === "X") return;
    const isCancelled = () => told.at(-1) === "cancel";
    told.push("query");
    await waitUntil(isCancelled, { what: "a cancel", timeoutMs: 4_000, intervalMs: 1 });
    await connection.send(readyForQuery());
  }
}

function parametersIn(body: Uint8Array): Record<string, string> | "cancel" {
  if (new DataView(body.buffer, body.byteOffset).getInt32(0) === 80877102) return "cancel";
  const texts = new TextDecoder().decode(body.subarray(4)).split("\0");
  const pairs: [string, string][] = [];
  for (let at = 0; texts[at] !== ""; at += 2) pairs.push([texts[at], texts[at + 1]]);
  return Object.fromEntries(pairs);
}
