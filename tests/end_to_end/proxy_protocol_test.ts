import assert from "node:assert/strict";
import { logEntryOf } from "../../lib/observe/log_entry.ts";
import { BareHandshake } from "../support/bare_handshake.ts";
import { type Authority, createAuthority } from "../support/certificates.ts";
import { Haproxy, testWithHaproxy } from "../support/haproxy.ts";
import { RawClient } from "../support/hostile_peer.ts";
import type { RawConnection } from "../support/raw_connection.ts";
import {
  cancelRequest,
  concat,
  passwordMessage,
  readFields,
  SSL_REQUEST,
  startupMessage,
  text,
} from "../support/raw_messages.ts";
import { RunningProxy } from "../support/running_proxy.ts";
import { waitUntil } from "../support/wait_until.ts";
import {
  ask,
  BALANCER,
  connectionOf,
  connectSaying,
  HEADER_LOCAL,
  HEADER_V1,
  HEADER_V2,
  logIn,
  refusalOf,
  startProxyProtocolScene,
  STARTUP,
  upgrade,
} from "./proxy_protocol_scene.ts";

/** Who a client of these tests is in the log, once a balancer has said so. */
const OF_HEADER = "192.0.2.1:50000";

const REQUIRED = `${BALANCER} is in listen.proxy_protocol: its connections must begin with a PROXY header`;
const UNTRUSTED =
  "127.0.0.1 is in no network of listen.proxy_protocol: add it there, if it is a balancer of yours";
const TWICE = `${BALANCER} is in listen.proxy_protocol, and has sent another PROXY header before`;

interface Refused {
  readonly says: string;
  readonly from?: string;
  readonly bytes: Uint8Array;
  readonly told: RegExp;
  readonly reason: string;
}

const REFUSED: readonly Refused[] = [
  {
    says: "a header of version 1",
    from: "127.0.0.1",
    bytes: HEADER_V1,
    told: /^unexpected/,
    reason: UNTRUSTED,
  },
  {
    says: "a header of version 2",
    from: "127.0.0.1",
    bytes: HEADER_V2,
    told: /^unexpected/,
    reason: UNTRUSTED,
  },
  { says: "LOCAL", from: "127.0.0.1", bytes: HEADER_LOCAL, told: /^unexpected/, reason: UNTRUSTED },
  { says: "an SSLRequest", bytes: SSL_REQUEST, told: /^expected/, reason: REQUIRED },
  { says: "a StartupMessage", bytes: STARTUP, told: /^expected/, reason: REQUIRED },
  {
    says: "a CancelRequest",
    bytes: cancelRequest(1, new Uint8Array(4)),
    told: /^expected/,
    reason: REQUIRED,
  },
  { says: "a ClientHello", bytes: Uint8Array.of(0x16, 3, 1), told: /^expected/, reason: REQUIRED },
  {
    says: "a line of 108 bytes",
    bytes: text(`PROXY UNKNOWN ${"x".repeat(92)}\r\n`),
    told: /longer than 107 bytes/,
    reason: REQUIRED,
  },
  {
    says: "a line without end",
    bytes: text(`PROXY ${"x".repeat(300)}`),
    told: /longer than/,
    reason: REQUIRED,
  },
  {
    says: "a length below its addresses",
    bytes: HEADER_V2.with(15, 11),
    told: /shorter than its addresses/,
    reason: REQUIRED,
  },
  { says: "a length of 64 KiB", bytes: HEADER_V2.with(14, 0xff), told: /longer than 4096/, reason: REQUIRED },
  {
    says: "a length that takes in an SSLRequest",
    bytes: concat(HEADER_V2.with(15, 20), SSL_REQUEST),
    told: /ends within/,
    reason: REQUIRED,
  },
  { says: "two headers", bytes: concat(HEADER_V1, HEADER_V2), told: /^unexpected/, reason: TWICE },
];

Deno.test("PROXY headers say who a client is, and only a balancer's", async (t) => {
  await using scene = await startProxyProtocolScene();
  const { proxy, token } = scene;

  for (const { says, from = BALANCER, bytes, told, reason } of REFUSED) {
    await t.step(`W15 ${from} that says ${says} is refused`, async () => {
      const refused = () => proxy.events.filter(({ kind }) => kind === "login_refused").length;
      const before = refused();
      await using client = await connectSaying(proxy.port, { from, bytes });
      const message = await client.receiveMessage();
      const { C: sqlstate, M } = readFields(message);
      assert.deepEqual([message.type, sqlstate], ["E", "08P01"]);
      assert.match(M, told);
      await client.receiveToEnd();
      await waitUntil(() => refused() > before, { what: "the refusal" });
      assert.equal((await proxy.observed("login_refused")).reason, reason);
    });
  }

  for (const [version, header] of [["1", HEADER_V1], ["2", HEADER_V2]] as const) {
    await t.step(`a client behind a balancer is known by its own address, version ${version}`, async () => {
      await using client = await connectSaying(proxy.port, { bytes: header });
      await upgrade(client);
      await logIn(client, token);
      const via = `${BALANCER}:${client.localPort}`;
      for (const kind of ["connection_opened", "tls_established", "authenticated"] as const) {
        assert.deepEqual(await connectionOf(proxy, kind), { clientAddress: OF_HEADER, via });
      }
      const parameters = scene.told.at(-1);
      assert(typeof parameters === "object");
      assert.deepEqual(
        [parameters["crdb:remote_addr"], parameters["app.client"]],
        [OF_HEADER, "192.0.2.1"],
      );
    });

    await t.step(`W14 a header of version ${version}, byte by byte, before in-band TLS`, async () => {
      await using client = await connectSaying(proxy.port, { bytes: new Uint8Array() });
      for (const byte of concat(header, SSL_REQUEST)) await client.send(Uint8Array.of(byte));
      assert.deepEqual(await client.receive(1), text("S"));
      await client.startTls();
      await logIn(client, token);
    });

    await t.step(`W14 a header of version ${version}, byte by byte, before direct TLS`, async () => {
      await using client = await connectSaying(proxy.port, { bytes: new Uint8Array() });
      for (const byte of header) await client.send(Uint8Array.of(byte));
      await client.startTls({ alpn: ["postgresql"] });
      await logIn(client, token);
      assert.deepEqual((await connectionOf(proxy, "authenticated")).clientAddress, OF_HEADER);
    });

    await t.step(`a ClientHello in one segment with a header of version ${version} is not lost`, async () => {
      await using client = await connectSaying(proxy.port, { bytes: new Uint8Array() });
      const glued: Pick<RawConnection, "send" | "receive"> = {
        send: (...bytes) => client.send(header, ...bytes),
        receive: (length) => client.receive(length),
      };
      // It goes as far as the server's half of the handshake.
      const { isAsked } = await BareHandshake.begin(glued as RawConnection);
      assert.equal(isAsked, false);
    });
  }

  await t.step("everybody else is who the socket says, without a header", async () => {
    await using client = await connectSaying(proxy.port, { from: "127.0.0.1", bytes: new Uint8Array() });
    await upgrade(client);
    await logIn(client, token);
    const clientAddress = `127.0.0.1:${client.localPort}`;
    assert.deepEqual(await connectionOf(proxy, "authenticated"), { clientAddress, via: undefined });
  });

  await t.step("a balancer that logs in for itself is who the socket says", async () => {
    await using client = await connectSaying(proxy.port, { bytes: HEADER_LOCAL });
    await upgrade(client);
    await logIn(client, token);
    const clientAddress = `${BALANCER}:${client.localPort}`;
    assert.deepEqual(await connectionOf(proxy, "authenticated"), { clientAddress, via: undefined });
  });

  for (
    const [check, bytes] of [
      ["says LOCAL", HEADER_LOCAL],
      ["says UNKNOWN", text("PROXY UNKNOWN\r\n")],
      ["says nothing", new Uint8Array()],
    ] as const
  ) {
    for (const leave of ["end", "reset"] as const) {
      await t.step(`a health check that ${check} and leaves by ${leave} is silence`, async () => {
        await waitUntil(() => proxy.connectionCount === 0, { what: "the others to be gone" });
        const before = proxy.events.length;
        await using client = await connectSaying(proxy.port, { bytes });
        client[leave]();
        await waitUntil(() => proxy.events.length > before && proxy.connectionCount === 0, {
          what: "the connection's end",
        });
        assert.deepEqual(proxy.events.slice(before).map(({ kind }) => kind), ["connection_opened"]);
      });
    }
  }

  await t.step(
    "a cancel is good from the client's own address alone, whatever balancer brings it",
    async () => {
      await using client = await connectSaying(proxy.port, { bytes: HEADER_V1 });
      await upgrade(client);
      const { processId, secretKey } = await logIn(client, token);
      await ask(client, scene);
      const cancel = cancelRequest(processId, secretKey);
      const cancelled = async (bytes: Uint8Array, from?: string) => {
        const before = proxy.events.length;
        await using canceller = await connectSaying(proxy.port, { from, bytes });
        await canceller.receiveToEnd();
        const event = proxy.events.slice(before).find(({ kind }) => kind === "cancel_requested");
        assert(event?.kind === "cancel_requested");
        return event.isKnown;
      };
      assert.equal(await cancelled(concat(text("PROXY TCP4 192.0.2.9 198.51.100.1 1 2\r\n"), cancel)), false);
      assert.equal(await cancelled(concat(HEADER_LOCAL, cancel)), false);
      assert.equal(await cancelled(cancel, "127.0.0.1"), false);
      // From another port, in the other version, and in another spelling.
      const again = text("PROXY TCP6 ::ffff:c000:201 ::ffff:198.51.100.1 50001 5432\r\n");
      assert.equal(await cancelled(concat(again, cancel)), true);
      assert.equal((await client.receiveMessage()).type, "Z");
    },
  );
});

Deno.test("W7 a balancer that is slow with its header is told when the time is up", async () => {
  const listen = `proxy_protocol = ["${BALANCER}"]\nlogin_timeout = "200ms"`;
  await using scene = await startProxyProtocolScene({ listen });
  await using client = await connectSaying(scene.proxy.port, { bytes: HEADER_V2.subarray(0, 20) });
  assert.equal((await refusalOf(client, scene.proxy)).sqlstate, "57014");
});

Deno.test("clients outside TLS have a header too, in one segment with all they say", async () => {
  await using scene = await startProxyProtocolScene({ isPlaintext: true });
  const bytes = concat(HEADER_V1, STARTUP, passwordMessage(scene.token));
  await using client = await connectSaying(scene.proxy.port, { bytes });
  await client.receiveMessagesUntil("Z");
  assert.deepEqual((await connectionOf(scene.proxy, "authenticated")).clientAddress, OF_HEADER);
});

Deno.test("rules, ways in and limits go by the address of the header", async (t) => {
  await using scene = await startProxyProtocolScene({
    limits: "failed_logins = 1",
    rule: 'networks = ["192.0.2.0/24", "127.0.0.0/8"]',
    toml:
      '[[ways_in]]\nmethod = "oauthbearer"\nissuer = "corp"\nscope = "openid"\nnetworks = ["203.0.113.0/24"]\n',
  });
  const { proxy, token } = scene;
  const headerOf = (address: string) => text(`PROXY TCP4 ${address} 198.51.100.1 50000 5432\r\n`);
  const present = async (address: string, presented: string) => {
    await using client = await connectSaying(proxy.port, { bytes: headerOf(address) });
    await upgrade(client);
    await client.send(STARTUP);
    const asked = await client.receiveMessage();
    if (asked.type === "E") return readFields(asked).C;
    const code = new DataView(asked.body.buffer).getInt32(0);
    if (code === 10) return "asked by SASL";
    await client.send(passwordMessage(presented));
    const answered = await client.receiveMessage();
    return answered.type === "E" ? readFields(answered).C : "in";
  };

  await t.step("a rule for its network lets a client in", async () => {
    assert.equal(await present("192.0.2.7", token), "in");
  });
  await t.step("a client of another network is refused, and the log learns why", async () => {
    assert.equal(await present("198.51.100.7", token), "28P01");
    const { reason } = await proxy.observed("login_refused");
    assert.match(reason!, /does not allow the network the client comes from/);
  });
  await t.step("a way in for its network is offered", async () => {
    assert.equal(await present("203.0.113.7", token), "asked by SASL");
  });
  await t.step("T18 one client's failures are not its neighbours' behind the same balancer", async () => {
    assert.equal(await present("192.0.2.8", "guessed"), "28P01");
    assert.equal(await present("192.0.2.8", token), "53300");
    assert.equal(await present("192.0.2.9", token), "in");
  });
});

Deno.test("a proxy behind a proxy sees the first one's client, inside TLS and outside", async (t) => {
  const authority: Authority = await createAuthority("pg-auth-proxy tests");
  for (const isEncrypted of [true, false]) {
    for (const sslnegotiation of isEncrypted ? ["postgres", "direct"] : ["postgres"]) {
      await t.step(`by ${isEncrypted ? `TLS, ${sslnegotiation}` : "plain text"}`, async () => {
        await using second = await startProxyProtocolScene({
          listen: 'proxy_protocol = ["127.0.0.0/8"]',
          isPlaintext: !isEncrypted,
        });
        const query = isEncrypted ? `sslmode=require&sslnegotiation=${sslnegotiation}` : "sslmode=disable";
        await using first = await RunningProxy.start({
          isPlaintext: !isEncrypted,
          issuedBy: second.proxy.issuer,
          toml: `
[[backends]]
name = "second"
url = "postgres://alice@127.0.0.1:${second.proxy.port}/postgres?${query}"
require_auth = ["password"]
password_file = "token"
send_proxy_protocol = true

[[rules]]
issuer = "corp"
match = "alice"
backend = "second"
`,
          files: { token: second.token },
        }, authority);
        await using client = await RawClient.connect(first.port, { localAddress: "127.0.0.7" });
        if (isEncrypted) await upgrade(client);
        const { processId, secretKey } = await logIn(client, second.token);
        const clientAddress = `127.0.0.7:${client.localPort}`;
        const seen = await connectionOf(second.proxy, "authenticated");
        assert.equal(seen.clientAddress, clientAddress);
        assert.match(seen.via!, /^127\.0\.0\.1:/);

        await ask(client, second);
        const bytes = cancelRequest(processId, secretKey);
        await using _canceller = await connectSaying(first.port, { from: "127.0.0.7", bytes });
        assert.equal((await client.receiveMessage()).type, "Z");
        assert.equal((await second.proxy.observed("cancel_requested")).isKnown, true);
        assert.equal((await connectionOf(second.proxy, "cancel_requested")).clientAddress, clientAddress);
      });
    }
  }
});

for (
  const server of [
    "send-proxy",
    "send-proxy-v2",
    "send-proxy-v2 proxy-v2-options crc32c,unique-id,authority",
  ]
) {
  testWithHaproxy(`clients behind HAProxy with ${server} log in, and cancel`, async () => {
    await using scene = await startProxyProtocolScene();
    const { proxy, token } = scene;
    await using haproxy = await Haproxy.start({ backendPort: proxy.port, server, source: BALANCER });
    for (const isDirect of [false, true]) {
      await using client = await RawClient.connect(haproxy.port, { localAddress: "127.0.0.9" });
      if (isDirect) await client.startTls({ alpn: ["postgresql"], serverName: "localhost" });
      else await upgrade(client);
      const { processId, secretKey } = await logIn(client, token);
      const { clientAddress, via } = await connectionOf(proxy, "authenticated");
      assert.equal(clientAddress, `127.0.0.9:${client.localPort}`);
      assert.match(via!, new RegExp(`^${BALANCER}:`));
      const parameters = scene.told.findLast((told) => typeof told === "object");
      assert.equal(parameters?.["crdb:remote_addr"], clientAddress);
      if (isDirect) continue;
      await ask(client, scene);
      const bytes = cancelRequest(processId, secretKey);
      await using _canceller = await connectSaying(haproxy.port, { from: "127.0.0.9", bytes });
      assert.equal((await client.receiveMessage()).type, "Z");
    }
  });
}

for (const isPlaintext of [false, true]) {
  const listener = isPlaintext ? "a listener without TLS" : "a listener with TLS";
  for (const send of ["send-proxy", "send-proxy-v2"]) {
    testWithHaproxy(`HAProxy's health checks of ${listener} with ${send} disturb nobody`, async () => {
      await using scene = await startProxyProtocolScene({ isPlaintext });
      const { proxy, token } = scene;
      // It resets each as soon as it stands, often before we have accepted it.
      const server = `${send} check inter 2ms`;
      await using haproxy = await Haproxy.start({ backendPort: proxy.port, server, source: BALANCER });
      await waitUntil(() => haproxy.log.includes("succeeded"), { what: "a health check" });
      for (let count = 0; count < 10; count++) {
        await using client = await RawClient.connect(haproxy.port);
        if (!isPlaintext) await upgrade(client);
        await logIn(client, token);
      }
      const entries = proxy.events.map(logEntryOf);
      assert.deepEqual(entries.filter(({ level }) => level === "warn" || level === "error"), []);
      assert.deepEqual(entries.filter(({ message }) => message === "login refused"), []);
    });
  }
}

testWithHaproxy("W15 HAProxy that is in no network of proxy_protocol is told so", async () => {
  await using scene = await startProxyProtocolScene();
  const { proxy } = scene;
  const server = "send-proxy-v2";
  await using haproxy = await Haproxy.start({ backendPort: proxy.port, server, source: "127.0.0.1" });
  await using client = await connectSaying(haproxy.port, {
    from: "127.0.0.9",
    bytes: startupMessage({ user: "x" }),
  });
  const { sqlstate, reason } = await refusalOf(client, proxy);
  assert.deepEqual([sqlstate, reason], ["08P01", UNTRUSTED]);
});
