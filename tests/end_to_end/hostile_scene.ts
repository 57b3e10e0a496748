// In: a proxy's port. Out: connections as far along as a test needs them, and what the proxy said to the last of them.
// Chapter: how the hostile tests talk; nothing of it but RawClient touches a socket.

import assert from "node:assert/strict";
import type { Log } from "../../lib/observe/log.ts";
import { openLog } from "../../lib/observe/log.ts";
import { RawClient } from "../support/hostile_peer.ts";
import type { ClientTls, RawConnection } from "../support/raw_connection.ts";
import {
  passwordMessage,
  query,
  type RawMessage,
  readFields,
  SSL_REQUEST,
  startupMessage,
  text,
} from "../support/raw_messages.ts";
import type { RunningProxy } from "../support/running_proxy.ts";

/** What a well-behaved client sends first. */
export const STARTUP = startupMessage({ user: "alice", database: "postgres" });

/** TOML of one backend that anybody with a token of `example.com` reaches; its files are in {@link FILES}. */
export function oneBackend(url: string, more = ""): string {
  return `
[[backends]]
name = "main"
url = "${url}"
password_file = "password"
${more}

[[rules]]
issuer = "corp"
match = '/(.*)@example\\.com/'
backend = "main"
`;
}

/** A connection inside TLS that began with SSLRequest. */
export async function connectTls(port: number, tls?: ClientTls): Promise<RawConnection> {
  const client = await RawClient.connect(port);
  await client.send(SSL_REQUEST);
  assert.deepEqual(await client.receive(1), text("S"));
  await client.startTls(tls);
  return client;
}

/** A connection that has been asked for its password. */
export async function connectToPassword(port: number, startup = STARTUP): Promise<RawConnection> {
  const client = await connectTls(port);
  await client.send(startup);
  assert.deepEqual(await client.receiveMessage(), CLEARTEXT_PASSWORD);
  return client;
}

/** A connection that is logged in. */
export async function logIn(port: number, token: string, startup = STARTUP): Promise<RawConnection> {
  const client = await connectToPassword(port, startup);
  await client.send(passwordMessage(token));
  const messages = await client.receiveMessagesUntil("Z");
  assert.deepEqual(messages[0], AUTHENTICATION_OK);
  return client;
}

/** AuthenticationCleartextPassword (B). */
export const CLEARTEXT_PASSWORD: RawMessage = { type: "R", body: Uint8Array.of(0, 0, 0, 3) };

/** AuthenticationOk (B). */
export const AUTHENTICATION_OK: RawMessage = { type: "R", body: Uint8Array.of(0, 0, 0, 0) };

/** The fields of the one FATAL that the proxy says next, before it closes. */
export async function refusal(client: RawConnection): Promise<Record<string, string>> {
  const message = await client.receiveMessage();
  assert.equal(message.type, "E", `a message of type ${message.type} came instead of a refusal`);
  assert.deepEqual(await client.receiveToEnd(), new Uint8Array(), "something came behind the refusal");
  assert.equal(client.ending, "end");
  const fields = readFields(message);
  assert.equal(fields.S, "FATAL");
  return fields;
}

/** The first row that a query gives. */
export async function firstRow(client: RawConnection, statement: string): Promise<string[]> {
  await client.send(query(statement));
  const messages = await client.receiveMessagesUntil("Z");
  const row = messages.find(({ type }) => type === "D");
  if (row === undefined) throw new Error(JSON.stringify(messages.map(readFields)));
  return columns(row);
}

/** The lines of the log that a proxy's events make, in the most talkative setting. */
export function logLines({ events }: Pick<RunningProxy, "events">, format: "text" | "json"): string[] {
  const lines: string[] = [];
  using log: Log = openLog({ level: "trace", format }, (line) => lines.push(line));
  for (const event of events) log.observe(event);
  return lines;
}

function columns({ body }: RawMessage): string[] {
  const view = new DataView(body.buffer, body.byteOffset, body.length);
  const values: string[] = [];
  for (let column = 0, at = 2; column < view.getInt16(0); column++) {
    const length = view.getInt32(at);
    values.push(new TextDecoder().decode(body.subarray(at + 4, at + 4 + length)));
    at += 4 + length;
  }
  return values;
}
