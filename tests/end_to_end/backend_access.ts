// In: the name of a backend, which is the `sub` of whoever is let in there. Out: what a client of the proxy sees of it.
// Chapter: the client's side of the tests in backend_*_test.ts. A token in, and through the proxy to the backend.

import pg from "pg";
import type { SessionEvent } from "../../lib/observe/events.ts";
import { RawClient } from "../support/hostile_peer.ts";
import type { Row } from "../support/postgres_cluster.ts";
import { RawConnection } from "../support/raw_connection.ts";
import {
  concat,
  passwordMessage,
  query,
  type RawMessage,
  readFields,
  SSL_REQUEST,
  startupMessage,
} from "../support/raw_messages.ts";
import type { RunningProxy } from "../support/running_proxy.ts";
import { waitUntil } from "../support/wait_until.ts";

/** URLs by the names of backends; or the URL with more lines of the backend's table. */
export type BackendUrls = Readonly<Record<string, string | readonly [url: string, ...lines: string[]]>>;

/** TOML of the backends, and of a rule for each that lets in whose `sub` is the backend's name. */
export function backendsToml(backends: BackendUrls): string {
  return Object.entries(backends).map(([name, written]) => {
    const [url, ...lines] = [written].flat();
    return `
[[backends]]
name = "${name}"
url = "${url}"
${lines.join("\n")}

[[rules]]
issuer = "corp"
match = "${name}"
backend = "${name}"
`;
  }).join("");
}

/** What a client asks for when it comes in. */
export interface ClientWish {
  readonly database?: string;
  /** 196608 is 3.0, 196610 is 3.2. */
  readonly version?: number;
}

/** Rows of a query at a backend, by the driver `pg`. */
export async function rowsThrough(proxy: RunningProxy, backend: string, statement: string): Promise<Row[]> {
  const before = proxy.connectionCount;
  const token = await proxy.issuer.mint({ sub: backend });
  const client = new pg.Client({ ...proxy.driverOptions(token), user: backend, database: "postgres" });
  try {
    await client.connect();
    return (await client.query(statement)).rows;
  } finally {
    await client.end();
    await noMoreThan(before, proxy);
  }
}

/** A client that has just sent its token: what comes next is the proxy's verdict. */
export async function tokenSent(
  proxy: RunningProxy,
  backend: string,
  { database = "postgres", version }: ClientWish = {},
): Promise<RawConnection> {
  const before = proxy.connectionCount;
  const token = await proxy.issuer.mint({ sub: backend });
  const client = await RawClient.connect(proxy.port, { timeoutMs: 10_000 });
  try {
    await client.send(SSL_REQUEST);
    await client.receive(1);
    await client.startTls({ ca: proxy.authority.certificatePem });
    await client.send(startupMessage({ user: backend, database }, version));
    await client.receiveMessage(); // AuthenticationCleartextPassword
    await client.send(passwordMessage(token));
    return Object.assign(client, {
      async [Symbol.asyncDispose]() {
        await RawConnection.prototype[Symbol.asyncDispose].call(client);
        await noMoreThan(before, proxy);
      },
    });
  } catch (thrown) {
    await client[Symbol.asyncDispose]();
    throw thrown;
  }
}

/** A client that is in, and all that it was told from AuthenticationOk to ReadyForQuery. */
export async function letIn(
  proxy: RunningProxy,
  backend: string,
  wish?: ClientWish,
): Promise<RawConnection & { readonly told: readonly RawMessage[] }> {
  const client = await tokenSent(proxy, backend, wish);
  try {
    const told = [await client.receiveMessage()];
    if (told[0].type === "E") throw new Error(`Refused: ${JSON.stringify(readFields(told[0]))}`);
    told.push(...await client.receiveMessagesUntil("Z"));
    return Object.assign(client, { told });
  } catch (thrown) {
    await client[Symbol.asyncDispose]();
    throw thrown;
  }
}

/** The columns of a query's last row, as text. */
export async function rowOf(client: RawConnection, statement: string): Promise<string[]> {
  await client.send(query(statement));
  const messages = await client.receiveMessagesUntil("Z");
  const error = messages.find(({ type }) => type === "E");
  if (error !== undefined) throw new Error(JSON.stringify(readFields(error)));
  const row = messages.findLast(({ type }) => type === "D");
  return row === undefined ? [] : columnsOf(row);
}

/** How a login came to nothing. */
export interface Refusal {
  /** The fields of the one ErrorResponse. */
  readonly told: Readonly<Record<string, string>>;
  /** What was observed, the reason among it. */
  readonly event: Extract<SessionEvent, { kind: "login_refused" }>;
  readonly durationMs: number;
}

/** The refusal of a client, from its token to the end of its connection. */
export async function refusalThrough(
  proxy: RunningProxy,
  backend: string,
  wish?: ClientWish,
): Promise<Refusal> {
  await using client = await tokenSent(proxy, backend, wish);
  const startedMs = performance.now();
  const answer = await client.receiveMessage();
  const durationMs = performance.now() - startedMs;
  if (answer.type !== "E") {
    throw new Error(`Not refused: ${answer.type} ${new TextDecoder().decode(answer.body)}`);
  }
  const rest = await client.receiveToEnd();
  if (rest.length > 0) throw new Error(`Bytes behind the refusal: ${rest.toHex()}`);
  const event = proxy.events.findLast((event) => event.kind === "login_refused");
  if (event?.asked.user !== backend) throw new Error("The refusal was not observed");
  return { told: readFields(answer), event, durationMs };
}

/** The fields of an ErrorResponse of the proxy's own that tells this and no more. */
export function fatal(sqlstate: string, message: string): Record<string, string> {
  return { S: "FATAL", V: "FATAL", C: sqlstate, M: message };
}

/** A session ends a moment after its client has left: the next test must not inherit it. */
async function noMoreThan(count: number, proxy: RunningProxy): Promise<void> {
  await waitUntil(() => proxy.connectionCount <= count, { what: "the session to end" });
}

/** DataRow (B): an Int16, and for each column its Int32 length and bytes. */
function columnsOf({ body }: RawMessage): string[] {
  const view = new DataView(concat(body).buffer);
  const columns: string[] = [];
  for (let at = 2; columns.length < view.getInt16(0);) {
    const length = Math.max(view.getInt32(at), 0);
    columns.push(new TextDecoder().decode(body.subarray(at + 4, at + 4 + length)));
    at += 4 + length;
  }
  return columns;
}
