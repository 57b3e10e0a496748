import assert from "node:assert/strict";
import { PostgresCluster } from "../support/postgres_cluster.ts";
import { PASSWORDS } from "../support/postgres_roles.ts";
import { RawClient } from "../support/hostile_peer.ts";
import type { RawConnection } from "../support/raw_connection.ts";
import { cString, int32, passwordMessage, query, startupMessage } from "../support/raw_messages.ts";
import { type ProxyScenario, RunningProxy } from "../support/running_proxy.ts";
import { waitUntil } from "../support/wait_until.ts";
import {
  AUTHENTICATION_OK,
  CLEARTEXT_PASSWORD,
  connectTls,
  firstRow,
  logIn,
  logLines,
  oneBackend,
  refusal,
  STARTUP,
} from "./hostile_scene.ts";
import {
  BOTH_WAYS_IN,
  byEveryWay,
  connectBy,
  expectLetIn,
  expectRefusal,
  PRESENTERS,
  type WayIn,
  WAYS_IN,
} from "./presenter.ts";

const resources = new AsyncDisposableStack();
let proxy: RunningProxy;
/** Drops role and session_authorization instead of refusing them, and sets two parameters itself. */
let dropping: RunningProxy;
let scenario: ProxyScenario;
let token: string;

Deno.test.beforeAll(async () => {
  const cluster = resources.use(await PostgresCluster.start({ major: 18 }));
  const url = `postgres://app_scram@localhost:${cluster.port}/postgres?sslmode=disable`;
  const files = { password: PASSWORDS.app_scram };
  const mapped = "set = { application_name = 'mapped', lock_timeout = '4321ms' }";
  const ignore = '[startup]\nignore_parameters = ["role", "session_authorization"]\n';
  scenario = { toml: oneBackend(url), files };
  [proxy, dropping] = await Promise.all([
    RunningProxy.start({ ...scenario, toml: BOTH_WAYS_IN + scenario.toml }),
    RunningProxy.start({ toml: ignore + oneBackend(url, mapped), files }),
  ]);
  for (const one of [proxy, dropping]) resources.use(one);
  token = await tokenOf(proxy);
});

// What a session still has to do when its client has left belongs to the test that opened it.
Deno.test.afterEach(async () => {
  const count = () => proxy.connectionCount + dropping.connectionCount;
  await waitUntil(() => count() === 0, { what: "every session to end" });
});

Deno.test.afterAll(() => resources.disposeAsync());

Deno.test.each<[string, Record<string, string>, string]>([
  ["search_path", { search_path: "pg_catalog" }, "pg_catalog"],
  ["application_name", { application_name: "psql" }, "psql"],
  ["client_encoding", { client_encoding: "LATIN1" }, "LATIN1"],
  ["statement_timeout", { options: "-c statement_timeout=12345ms" }, "12345ms"],
  ["statement_timeout", { options: "--statement-timeout=12345ms" }, "12345ms"],
  ["lock_timeout", { options: "-c geqo=off -clock_timeout=77ms" }, "77ms"],
])("W11 %s sent as %o reaches the backend", async (name, parameters, value) => {
  await using client = await logIn(proxy.port, token, psqlStartup(parameters));
  assert.deepEqual(await firstRow(client, `show ${name}`), [value]);
});

Deno.test.each<[Record<string, string>]>([
  [{ role: "postgres" }],
  [{ ROLE: "postgres" }],
  [{ session_authorization: "postgres" }],
  [{ options: "-c role=postgres" }],
  [{ options: "-crole=postgres" }],
  [{ options: "--role=postgres" }],
  [{ options: "--session-authorization=postgres" }],
  [{ options: "-c\\ role=postgres" }],
  [{ options: "-d 5" }],
  [{ "crdb:remote_addr": "10.0.0.1:1" }],
  [{ "crdb:session_revival_token_base64": "AAAA" }],
  [{ log_statement: "none" }],
  [{ shared_preload_libraries: "evil" }],
])("W11 a startup with %o is refused before the token is asked for", async (parameters) => {
  await using client = await connectTls(proxy.port);
  await client.send(psqlStartup(parameters));
  assert.equal((await refusal(client)).C, "28000");
});

Deno.test.each(
  byEveryWay<[Record<string, string>]>([[{ replication: "true" }], [{ replication: "database" }]]),
)(
  "W11 a startup with %o by %s is refused by a rule that does not allow replication",
  async (parameters, by) => {
    await using client = await connectBy(by, proxy.port, psqlStartup(parameters));
    await client.send(PRESENTERS[by].message(token));
    await expectRefusal(by, client, proxy);
  },
);

Deno.test("W11 replication=false is an ordinary session", async () => {
  await using client = await logIn(proxy.port, token, psqlStartup({ replication: "false" }));
  assert.deepEqual(await firstRow(client, "select 1"), ["1"]);
});

Deno.test.each<[Record<string, string>]>([
  [{ role: "postgres" }],
  [{ options: "-c role=postgres" }],
  [{ session_authorization: "postgres" }],
])("W11 a startup with %o logs in as the mapped role where it is ignored", async (parameters) => {
  await using client = await logIn(dropping.port, await tokenOf(dropping), psqlStartup(parameters));
  assert.deepEqual(await firstRow(client, "select session_user || ' ' || current_user"), [
    "app_scram app_scram",
  ]);
});

Deno.test.each<[string, Record<string, string>, string]>([
  ["application_name", { application_name: "mine" }, "mapped"],
  ["application_name", { Application_Name: "mine" }, "mapped"],
  ["lock_timeout", { options: "-c lock_timeout=1" }, "4321ms"],
  ["lock_timeout", { options: "--Lock-Timeout=1" }, "4321ms"],
])("W11 the backend's own %s is not overridden by %o", async (name, parameters, value) => {
  await using client = await logIn(dropping.port, await tokenOf(dropping), startup(parameters));
  assert.deepEqual(await firstRow(client, `show ${name}`), [value]);
});

Deno.test.each(byEveryWay<[string, number, Record<string, string>, Uint8Array[]]>([
  ["3.0 with _pq_.x", 0x3_0000, { "_pq_.x": "1" }, [int32(0x3_0000), int32(1), cString("_pq_.x")]],
  ["3.3", 0x3_0003, {}, [int32(0x3_0002), int32(0)]],
  ["3.9999", 0x3_0000 + 9999, {}, [int32(0x3_0002), int32(0)]],
  ["3.9999 with _pq_.x", 0x3_0000 + 9999, { "_pq_.x": "" }, [int32(0x3_0002), int32(1), cString("_pq_.x")]],
]))(
  "W11 protocol %s by %s is negotiated down, and the login goes on",
  async (_name, by, version, parameters, body) => {
    const { tls, question, message } = PRESENTERS[by];
    await using client = await connectTls(proxy.port, tls);
    await client.send(startup(parameters, version));
    const negotiated = await client.receiveMessage();
    assert.equal(negotiated.type, "v");
    assert.deepEqual(negotiated.body, new Uint8Array(body.flatMap((bytes) => [...bytes])));
    assert.deepEqual(await client.receive(question.length), question);
    await client.send(message(token));
    await expectLetIn(client);
  },
);

Deno.test.each(byEveryWay<[string, number, number]>([["3.0", 0x3_0000, 8], ["3.2", 0x3_0002, 36]]))(
  "protocol %s by %s is not negotiated, and its cancel key is as long as the protocol says",
  async (_name, by, version, length) => {
    await using client = await connectBy(by, proxy.port, startup({}, version));
    await client.send(PRESENTERS[by].message(token));
    const key = (await client.receiveMessagesUntil("Z")).find(({ type }) => type === "K");
    assert.equal(key?.body.length, length);
  },
);

Deno.test.each<[string, number]>([["2.0", 0x2_0000], ["4.0", 0x4_0000], ["0.0", 0]])(
  "protocol %s is refused",
  async (_name, version) => {
    await using client = await connectTls(proxy.port);
    await client.send(startup({}, version));
    assert.equal((await refusal(client)).C, "0A000");
  },
);

Deno.test("W14 a login split at every byte is the same login", async () => {
  await using plaintext = await RunningProxy.start({ ...scenario, isPlaintext: true });
  const plainToken = await tokenOf(plaintext);
  for (let at = 1; at < STARTUP.length; at++) {
    await using client = await RawClient.connect(plaintext.port);
    await client.send(STARTUP.subarray(0, at));
    await nextTurn();
    await client.send(STARTUP.subarray(at));
    assert.deepEqual(await client.receiveMessage(), CLEARTEXT_PASSWORD);
  }
  await using client = await RawClient.connect(plaintext.port);
  await sendByteByByte(client, STARTUP);
  assert.deepEqual(await client.receiveMessage(), CLEARTEXT_PASSWORD);
  await sendByteByByte(client, passwordMessage(plainToken));
  assert.deepEqual((await client.receiveMessagesUntil("Z"))[0], AUTHENTICATION_OK);
  assert.deepEqual(await firstRow(client, "select 1"), ["1"]);
});

Deno.test.each(WAYS_IN)("W14 a login by %s of one byte a TLS record is the same login", async (by) => {
  const { tls, question, message } = PRESENTERS[by];
  await using client = await connectTls(proxy.port, tls);
  await sendByteByByte(client, STARTUP);
  assert.deepEqual(await client.receive(question.length), question);
  await sendByteByByte(client, message(token));
  await expectLetIn(client);
});

Deno.test.each(WAYS_IN)(
  "W14 a login by %s and its first query in one segment are the same login",
  async (by) => {
    const { tls, question, message } = PRESENTERS[by];
    await using client = await connectTls(proxy.port, tls);
    await client.send(STARTUP, message(token), query("select 1"));
    assert.deepEqual(await client.receive(question.length), question);
    await expectLetIn(client);
    const answer = await client.receiveMessagesUntil("Z");
    assert.equal(answer.map(({ type }) => type).join(""), "TDCZ");
  },
);

Deno.test.each(byEveryWay<[string, string]>([
  ["a newline", "ali\nce"],
  ["a carriage return", "ali\rce"],
  ["ESC", "\u001b[2J\u001b[31malice"],
  ["bidi marks", "\u202eecila\u202c\u2066"],
  ["a zero-width space", "ali\u200bce"],
  ["a line separator", "ali\u2028ce"],
  ["quotes and backslashes", 'ali"\\ce" sqlstate="00000'],
  ["3 kB", "a".repeat(3000)],
]))("W16 names with %s by %s are escaped and cut in the log and in the error", async (_name, by, hostile) => {
  const before = proxy.events.length;
  const names = { user: hostile, database: hostile, application_name: hostile };
  const { M } = await refusedLogin(by, startupMessage(names));
  assert.match(M, PRINTABLE);
  assert.ok(M.length < 250, `an error of ${M.length} characters`);
  await waitUntil(() => proxy.connectionCount === 0, { what: "the session to end" });
  const events = proxy.events.slice(before);
  assert.deepEqual(events.map(({ kind }) => kind), ["connection_opened", "tls_established", "login_refused"]);
  for (const format of ["text", "json"] as const) {
    const lines = logLines({ events }, format);
    assert.equal(lines.length, events.length);
    for (const line of lines) {
      assert.ok(line.endsWith("\n"));
      assert.match(line.slice(0, -1), PRINTABLE);
      assert.ok(line.length < 1500, `a line of ${line.length} characters`);
    }
    if (format === "json") assert.equal(JSON.parse(lines[2]).sqlstate, PRESENTERS[by].sqlstate);
    else assert.ok(!/[^\\]" sqlstate="0/.test(lines[2]));
  }
});

Deno.test("W16 the name of a parameter that is refused is not repeated unless it is a word", async () => {
  await using client = await connectTls(proxy.port);
  await client.send(psqlStartup({ "x\n\u001b[31m": "1" }));
  const { M } = await refusal(client);
  assert.equal(M, 'startup parameter "?" is not allowed');
});

Deno.test("W16 hostile names that do log in are escaped in the log", async () => {
  const before = proxy.events.length;
  await using client = await logIn(
    proxy.port,
    token,
    startupMessage({ user: "a\nb", database: "postgres", application_name: "\u001b]0;owned\u0007" }),
  );
  const events = proxy.events.slice(before);
  assert.ok(events.some(({ kind }) => kind === "authenticated"));
  for (const line of logLines({ events }, "text")) assert.match(line.slice(0, -1), PRINTABLE);
  assert.deepEqual(await firstRow(client, "select 1"), ["1"]);
});

/** No control character, no format character, no separator but the space. */
const PRINTABLE = /^[^\p{C}\p{Zl}\p{Zp}]+$/u;

/** What a client with a bad token is told in the end. */
async function refusedLogin(by: WayIn, startup: Uint8Array): Promise<Record<string, string>> {
  await using client = await connectBy(by, proxy.port, startup);
  await client.send(PRESENTERS[by].message("guessed"));
  for (const { says, answer } of PRESENTERS[by].refusal(proxy)) {
    if (answer === undefined) continue;
    assert.deepEqual(await client.receive(says.length), says);
    await client.send(answer);
  }
  return await refusal(client);
}

async function tokenOf({ issuer }: RunningProxy): Promise<string> {
  return await issuer.mint({ sub: "alice@example.com" });
}

/** What psql sends of its own accord, and more. */
function psqlStartup(parameters: Record<string, string>): Uint8Array {
  return startup({ application_name: "psql", client_encoding: "UTF8", ...parameters });
}

function startup(parameters: Record<string, string>, version?: number): Uint8Array {
  return startupMessage({ user: "alice", database: "postgres", ...parameters }, version);
}

async function sendByteByByte(client: RawConnection, bytes: Uint8Array): Promise<void> {
  for (let at = 0; at < bytes.length; at++) await client.send(bytes.subarray(at, at + 1));
}

/** Lets the event loop of this process, the proxy's too, go round once. */
function nextTurn(): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve));
}
