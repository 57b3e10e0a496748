import assert from "node:assert/strict";
import fc from "fast-check";
import { initial } from "../authenticate/bearer_words.ts";
import { RawClient } from "../support/hostile_peer.ts";
import { PostgresCluster } from "../support/postgres_cluster.ts";
import { PASSWORDS } from "../support/postgres_roles.ts";
import type { RawConnection } from "../support/raw_connection.ts";
import {
  concat,
  cString,
  GSSENC_REQUEST,
  int32,
  SSL_REQUEST,
  startupMessage,
  text,
  typed,
  untyped,
} from "../support/raw_messages.ts";
import { RunningProxy } from "../support/running_proxy.ts";
import { waitUntil } from "../support/wait_until.ts";
import {
  CLEARTEXT_PASSWORD,
  connectTls,
  connectToPassword,
  firstRow,
  oneBackend,
  refusal,
  STARTUP,
} from "./hostile_scene.ts";
import {
  BOTH_WAYS_IN,
  connectBy,
  connectChallenged,
  expectLetIn,
  logInBy,
  PRESENTERS,
  type WayIn,
  WAYS_IN,
} from "./presenter.ts";

const PROTOCOL_3_0 = int32(196608);

// The record header of a ClientHello, and the first bytes of it.
const CLIENT_HELLO = Uint8Array.of(0x16, 0x03, 0x01, 0x00, 0x05, 0x01, 0x00, 0x00, 0x01, 0x03);

const resources = new AsyncDisposableStack();
let proxy: RunningProxy;
let token: string;

Deno.test.beforeAll(async () => {
  const cluster = resources.use(await PostgresCluster.start({ major: 18 }));
  const url = `postgres://app_scram@localhost:${cluster.port}/postgres?sslmode=disable`;
  const toml = BOTH_WAYS_IN + oneBackend(url);
  proxy = resources.use(await RunningProxy.start({ toml, files: { password: PASSWORDS.app_scram } }));
  token = await proxy.issuer.mint({ sub: "alice@example.com" });
});

// What a session still has to do when its client has left belongs to the test that opened it.
Deno.test.afterEach(async () => {
  await waitUntil(() => proxy.connectionCount === 0, { what: "every session to end" });
});

Deno.test.afterAll(() => resources.disposeAsync());

Deno.test.each<[string, Uint8Array[]]>([
  ["StartupMessage behind SSLRequest", [SSL_REQUEST, STARTUP]],
  ["ClientHello behind SSLRequest", [SSL_REQUEST, CLIENT_HELLO]],
  ["one byte behind SSLRequest", [SSL_REQUEST, Uint8Array.of(0)]],
  ["StartupMessage behind GSSENCRequest", [GSSENC_REQUEST, STARTUP]],
  ["SSLRequest behind GSSENCRequest", [GSSENC_REQUEST, SSL_REQUEST]],
])("W1 %s in the same segment is refused before any answer", async (_name, parts) => {
  await using client = await RawClient.connect(proxy.port);
  await client.send(...parts);
  assert.equal((await refusal(client)).C, "08P01");
});

Deno.test("W3 A4 a plain StartupMessage is refused, and nothing asked", async () => {
  await using client = await RawClient.connect(proxy.port);
  await client.send(STARTUP);
  const { C, M } = await refusal(client);
  assert.deepEqual({ C, M }, { C: "28000", M: "connection requires TLS" });
});

Deno.test("W3 GSSENCRequest does not make up for TLS", async () => {
  await using client = await RawClient.connect(proxy.port);
  await client.send(GSSENC_REQUEST);
  assert.deepEqual(await client.receive(1), text("N"));
  await client.send(STARTUP);
  assert.equal((await refusal(client)).C, "28000");
});

Deno.test("W5 direct TLS without ALPN is closed", async () => {
  await using client = await RawClient.connect(proxy.port);
  await client.startTls();
  await client.send(STARTUP);
  assert.deepEqual(await client.receiveToEnd(), new Uint8Array());
});

Deno.test("W5 direct TLS with another ALPN protocol fails", async () => {
  await using client = await RawClient.connect(proxy.port);
  await assert.rejects(client.startTls({ alpn: ["h2", "http/1.1"] }));
});

Deno.test.each(WAYS_IN)("W5 direct TLS with ALPN postgresql logs in by %s", async (by) => {
  const { tls, question, message } = PRESENTERS[by];
  await using client = await RawClient.connect(proxy.port);
  await client.startTls({ ...tls, alpn: ["postgresql"] });
  assert.equal(client.alpnProtocol, "postgresql");
  await client.send(STARTUP);
  assert.deepEqual(await client.receive(question.length), question);
  await client.send(message(token));
  await expectLetIn(client);
});

Deno.test.each(WAYS_IN)("A2 a login by %s ends in AuthenticationOk and serves queries", async (by) => {
  await using client = await logInBy(by, { port: proxy.port, token });
  assert.deepEqual(await firstRow(client, "select current_user"), ["app_scram"]);
});

Deno.test.each<[string, Uint8Array]>([["SSLRequest", SSL_REQUEST], ["GSSENCRequest", GSSENC_REQUEST]])(
  "W6 %s inside TLS is refused",
  async (_name, request) => {
    await using client = await connectTls(proxy.port);
    await client.send(request);
    assert.equal((await refusal(client)).C, "08P01");
  },
);

Deno.test("W6 GSSENCRequest twice is refused the second time", async () => {
  await using client = await RawClient.connect(proxy.port);
  await client.send(GSSENC_REQUEST);
  assert.deepEqual(await client.receive(1), text("N"));
  await client.send(GSSENC_REQUEST);
  assert.equal((await refusal(client)).C, "08P01");
});

Deno.test.each<[string, Uint8Array]>([["SSLRequest", SSL_REQUEST], ["GSSENCRequest", GSSENC_REQUEST]])(
  "W6 alternation ends at the second %s, where TLS is not offered",
  async (_name, again) => {
    await using plain = await RunningProxy.start({
      toml: oneBackend("postgres://app_scram@localhost:1/postgres?sslmode=disable"),
      files: { password: "unused" },
      isPlaintext: true,
    });
    await using client = await RawClient.connect(plain.port);
    for (const request of [SSL_REQUEST, GSSENC_REQUEST]) {
      await client.send(request);
      assert.deepEqual(await client.receive(1), text("N"));
    }
    await client.send(again);
    assert.equal((await refusal(client)).C, "08P01");
  },
);

Deno.test("A8 GSSENCRequest is answered N, and TLS may follow", async () => {
  await using client = await RawClient.connect(proxy.port);
  await client.send(GSSENC_REQUEST);
  assert.deepEqual(await client.receive(1), text("N"));
  await client.send(SSL_REQUEST);
  assert.deepEqual(await client.receive(1), text("S"));
  await client.startTls({ ca: proxy.authority.certificatePem });
  await client.send(STARTUP);
  assert.deepEqual(await client.receiveMessage(), CLEARTEXT_PASSWORD);
});

const IMPOSSIBLE_STARTUPS: [string, Uint8Array][] = [
  ...[0, 1, 2, 3, 4, 5, 6, 7].map((length): [string, Uint8Array] => [
    `length ${length}`,
    untyped(PROTOCOL_3_0, length),
  ]),
  ["length -1", untyped(PROTOCOL_3_0, -1)],
  ["length -2^31", untyped(PROTOCOL_3_0, -(2 ** 31))],
  ["length 10001", untyped(PROTOCOL_3_0, 10_001)],
  ["length 2^30", untyped(PROTOCOL_3_0, 2 ** 30)],
  ["an HTTP request", text("GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")],
  ["an SSH banner", text("SSH-2.0-OpenSSH_9.9\r\n")],
];

Deno.test.each(IMPOSSIBLE_STARTUPS)("W8 a startup packet of %s is refused", async (_name, bytes) => {
  await using client = await RawClient.connect(proxy.port);
  await client.send(bytes);
  assert.equal((await refusal(client)).C, "08P01");
});

Deno.test.each(IMPOSSIBLE_STARTUPS)(
  "W8 inside TLS, a startup packet of %s is refused",
  async (_name, bytes) => {
    await using client = await connectTls(proxy.port);
    await client.send(bytes);
    assert.equal((await refusal(client)).C, "08P01");
  },
);

Deno.test.each<[by: WayIn, sqlstate: string]>([
  ["password", "08P01"],
  // PostgreSQL, too, calls it a failed login.
  ["OAUTHBEARER", "28000"],
])("A11 four clients that declare 1 GiB by %s do not make memory grow", async (by, sqlstate) => {
  const before = Deno.memoryUsage().rss;
  for (let index = 0; index < 4; index++) {
    await using client = await connectBy(by, proxy.port);
    await client.send(typed("p", text("x"), 2 ** 30));
    assert.equal((await refusal(client)).C, sqlstate);
  }
  assert.ok(Deno.memoryUsage().rss - before < 100 * 2 ** 20);
});

Deno.test.each<[string, Uint8Array]>([
  ["A3 W9 70 00 00 00 00", Uint8Array.of(0x70, 0, 0, 0, 0)],
  ["W9 length 1", typed("p", text("x\0"), 1)],
  ["W9 length 2", typed("p", text("x\0"), 2)],
  ["W9 length 3", typed("p", text("x\0"), 3)],
  ["W9 length 4, without a string", typed("p")],
  ["W9 length 65536", typed("p", text("x"), 65_536)],
  ["W9 length -1", typed("p", text("x"), -1)],
  ["W9 length -2^31", typed("p", text("x"), -(2 ** 31))],
  ["W9 a password without its zero byte", typed("p", text("password"))],
  ["W9 bytes behind the password", typed("p", concat(cString("password"), cString("more")))],
  ["W9 a password that is not UTF-8", typed("p", Uint8Array.of(0xff, 0xfe, 0))],
  ["W9 a Query for a password", typed("Q", cString("select 1"))],
  ["W9 a Terminate for a password", typed("X")],
  ["W9 another StartupMessage for a password", STARTUP],
])("%s is refused", async (_name, bytes) => {
  await using client = await connectToPassword(proxy.port);
  await client.send(bytes);
  assert.equal((await refusal(client)).C, "08P01");
});

Deno.test.each<[string, Uint8Array]>([
  ["a NUL in a value", concat(cString("user"), cString("ali\0ce"), cString("database"), cString("x"))],
  [
    "a parameter twice",
    concat(cString("user"), cString("alice"), cString("user"), cString("root"), cString("")),
  ],
  ["a name without a value", concat(cString("user"), cString("alice"), cString("database"))],
  ["no final zero byte", concat(cString("user"), cString("alice"))],
  ["bytes behind the final zero", concat(cString("user"), cString("alice"), cString(""), text("more"))],
  ["a name that is not UTF-8", concat(Uint8Array.of(0xff, 0), cString("x"), cString(""))],
  ["nothing", new Uint8Array()],
])("W10 a StartupMessage with %s is refused", async (_name, strings) => {
  await using client = await connectTls(proxy.port);
  await client.send(untyped(concat(PROTOCOL_3_0, strings)));
  assert.equal((await refusal(client)).C, "08P01");
});

Deno.test("W10 a StartupMessage without a user is refused", async () => {
  await using client = await connectTls(proxy.port);
  await client.send(startupMessage({ database: "postgres" }));
  assert.equal((await refusal(client)).C, "28000");
});

Deno.test.each<[string, (client: RawConnection) => void]>([
  ["ended", (client) => client.end()],
  ["reset", (client) => client.reset()],
])("an empty TCP probe that is %s is no refused login", async (_name, leave) => {
  const before = proxy.events.length;
  await using client = await RawClient.connect(proxy.port);
  leave(client);
  assert.deepEqual(await client.receiveToEnd(), new Uint8Array());
  await waitUntil(() => proxy.events.length > before && proxy.connectionCount === 0, { what: "its end" });
  assert.deepEqual(proxy.events.slice(before).map(({ kind }) => kind), ["connection_opened"]);
});

Deno.test("S4 random bytes never disturb another session", async () => {
  await using witness = await logInBy("password", { port: proxy.port, token });
  const beginning = fc.constantFrom<Beginning>(
    "connected",
    "in TLS",
    "asked by password",
    "asked by OAUTHBEARER",
    "told that its token is bad",
    "logged in",
  );
  const leaving = fc.constantFrom<("end" | "reset")[]>("end", "reset");
  const bytes = fc.oneof(
    fc.uint8Array({ minLength: 1, maxLength: 300 }),
    fc.uint8Array({ maxLength: 300 }).map((rest) => concat(SSL_REQUEST, rest)),
    fc.uint8Array({ maxLength: 300 }).map((rest) => untyped(concat(PROTOCOL_3_0, rest))),
    fc.uint8Array({ maxLength: 300 }).map((rest) => typed("p", rest)),
    fc.uint8Array({ maxLength: 300 }).map((rest) => initial(rest)),
    fc.uint8Array({ maxLength: 300 }).map((rest) => concat(CLIENT_HELLO.subarray(0, 3), rest)),
  );
  await fc.assert(
    fc.asyncProperty(beginning, bytes, leaving, async (beginning, bytes, leaving) => {
      await using client = await connectAs(beginning);
      await client.send(bytes);
      client[leaving]();
      await client.receiveToEnd();
      assert.deepEqual(await firstRow(witness, "select 42"), ["42"]);
    }),
    { numRuns: 80 },
  );
});

type Beginning =
  | "connected"
  | "in TLS"
  | "asked by password"
  | "asked by OAUTHBEARER"
  | "told that its token is bad"
  | "logged in";

async function connectAs(beginning: Beginning): Promise<RawConnection> {
  switch (beginning) {
    case "connected":
      return await RawClient.connect(proxy.port);
    case "in TLS":
      return await connectTls(proxy.port);
    case "asked by password":
      return await connectBy("password", proxy.port);
    case "asked by OAUTHBEARER":
      return await connectBy("OAUTHBEARER", proxy.port);
    case "told that its token is bad":
      return await connectChallenged(proxy);
    case "logged in":
      return await logInBy("password", { port: proxy.port, token });
  }
}
