import assert from "node:assert/strict";
import {
  bearer,
  challenged,
  DISCOVERY,
  EMPTY_CHALLENGE,
  HEARD,
  initial,
  OFFER,
} from "../authenticate/bearer_words.ts";
import { createAuthority } from "../support/certificates.ts";
import { RawClient } from "../support/hostile_peer.ts";
import { OidcIssuer } from "../support/oidc_issuer.ts";
import { PostgresCluster } from "../support/postgres_cluster.ts";
import { PASSWORDS } from "../support/postgres_roles.ts";
import type { RawConnection } from "../support/raw_connection.ts";
import {
  concat,
  int32,
  passwordMessage,
  saslInitialResponse,
  saslResponse,
  startupMessage,
  text,
} from "../support/raw_messages.ts";
import { RunningProxy } from "../support/running_proxy.ts";
import { waitUntil } from "../support/wait_until.ts";
import { AUTHENTICATION_OK, CLEARTEXT_PASSWORD, connectTls, firstRow, refusal } from "./hostile_scene.ts";

const FAILED = 'OAuth bearer authentication failed for user "alice"';

const startupOf = (user: string) => startupMessage({ user, database: "postgres" });

Deno.test("clients come in by OAUTHBEARER", async (t) => {
  await using scene = await startScene();
  const { proxy, token } = scene;

  await t.step("a token opens a session on a real PostgreSQL", async () => {
    await using client = await scene.connect();
    await client.send(initial(bearer(token)));
    await expectSession(client);
    assert.equal((await proxy.observed("token_accepted")).method, "oauthbearer");
    const { method, identity } = await proxy.observed("authenticated");
    assert.deepEqual([method, identity], ["oauthbearer", "alice@example.com"]);
  });

  await t.step("so does one that comes with a second message", async () => {
    await using client = await scene.connect();
    await client.send(saslInitialResponse("OAUTHBEARER", null));
    assert.deepEqual(await client.receive(EMPTY_CHALLENGE.length), EMPTY_CHALLENGE);
    await client.send(saslResponse(text(bearer(token))));
    await expectSession(client);
  });

  await t.step("a client that asks is told where tokens come from, and comes back with one", async () => {
    const events = scene.eventsOf(async () => {
      await using client = await scene.connect();
      await client.send(initial(DISCOVERY));
      await scene.expectChallenge(client);
      await client.send(HEARD);
      const { C, M } = await refusal(client);
      assert.deepEqual({ C, M }, { C: "28000", M: FAILED });
    });
    const kinds = (await events).map(({ kind }) => kind);
    assert(kinds.includes("discovery_answered"));
    assert(!kinds.includes("login_refused"), "to ask is no failed login");
    await using client = await scene.connect();
    await client.send(initial(bearer(token)));
    await expectSession(client);
  });

  await t.step("a client may ask without waiting for an answer", async () => {
    await using client = await scene.connect();
    await client.send(initial(DISCOVERY), HEARD);
    await scene.expectChallenge(client);
    assert.equal((await refusal(client)).C, "28000");
  });

  await t.step("a client that has heard may leave without a word, as pgx does", async () => {
    const events = await scene.eventsOf(async () => {
      await using client = await scene.connect();
      await client.send(initial(DISCOVERY));
      await scene.expectChallenge(client);
    });
    const kinds = events.map(({ kind }) => kind);
    assert(kinds.includes("discovery_answered"));
    assert(!kinds.includes("login_refused"));
  });

  await t.step(
    "T16 every token that is no good is refused in the same words, the reason only in the log",
    async () => {
      const [header, payload] = token.split(".");
      const bad: readonly [string, RegExp][] = [
        [`${header}.${payload}.${"A".repeat(86)}`, /signature/],
        ["guessed", /^not_a_token: /],
        [await proxy.issuer.mint({ sub: "alice@example.com", claims: { exp: 1 } }), /^expired: /],
        [await scene.other.mint({ sub: "alice@example.com" }), /^other_issuer: /],
        [await proxy.issuer.mint({ sub: "mallory@example.org" }), /^no rule lets in /],
        ["x".repeat(5000), /^too_long: /],
        ["not a token", /characters that none may have/],
      ];
      for (const [presented, reason] of bad) {
        const events = await scene.eventsOf(async () => {
          await using client = await scene.connect();
          await client.send(initial(bearer(presented)));
          await scene.expectChallenge(client);
          await client.send(HEARD);
          const { C, M, D, H } = await refusal(client);
          assert.deepEqual({ C, M, D, H }, { C: "28000", M: FAILED, D: undefined, H: undefined });
        });
        const refused = events.find((event) => event.kind === "login_refused");
        assert.match(refused?.reason ?? "", reason);
        assert.doesNotMatch(refused?.reason ?? "", /guessed|not a token/);
      }
    },
  );

  await t.step(
    "another way in is chosen by all its conditions, and takes another issuer's token",
    async () => {
      await using client = await connectTls(proxy.port, { serverName: "Password.example.com" });
      await client.send(startupOf("operator"));
      assert.deepEqual(await client.receiveMessage(), CLEARTEXT_PASSWORD);
      await client.send(passwordMessage(await scene.other.mint({ sub: "alice@example.com" })));
      await expectSession(client);
      await using elsewhere = await connectTls(proxy.port, { serverName: "localhost" });
      await elsewhere.send(startupOf("operator"));
      assert.deepEqual(await elsewhere.receive(OFFER.length), OFFER);
    },
  );

  await t.step(
    "W3 a client outside TLS is refused before it is offered anything, insecure_plaintext or not",
    async () => {
      await using client = await RawClient.connect(proxy.port);
      await client.send(startupOf("alice"));
      const { C, M } = await refusal(client);
      assert.deepEqual({ C, M }, { C: "28000", M: "OAuth bearer authentication requires TLS" });
    },
  );

  await t.step("a message over 65535 bytes is a failed login", async () => {
    await using client = await scene.connect();
    await client.send(concat(text("p"), int32(65536)));
    const { C, M } = await refusal(client);
    assert.deepEqual({ C, M }, { C: "28000", M: FAILED });
  });

  await t.step("a malformed message breaks the protocol", async () => {
    await using client = await scene.connect();
    await client.send(initial("n,,\x01\x01"));
    const { C, M, D } = await refusal(client);
    assert.deepEqual({ C, M, D }, {
      C: "08P01",
      M: "malformed OAUTHBEARER message",
      D: "Message does not contain an auth value.",
    });
  });

  await t.step("T17 a trace shows the messages and no token", () => {
    const { events } = proxy;
    const lines = events.flatMap((event) => event.kind === "message_traced" ? [event.message] : []);
    for (const name of ["AuthenticationSASL", "SASLInitialResponse", "AuthenticationSASLContinue"]) {
      assert(lines.some((line) => line.includes(name)), `${name} is not in the trace`);
    }
    const shown = JSON.stringify(events);
    for (const part of token.split(".")) assert(!shown.includes(part));
  });
});

/** A proxy of two issuers; operators of one name of it come in by password, all others by OAUTHBEARER of the first. */
async function startScene() {
  await using resources = new AsyncDisposableStack();
  const authority = await createAuthority("oauthbearer");
  const { certificatePem, keyPem } = await authority.issueForLoopback();
  const tls = { certificatePem, keyPem, caPem: authority.certificatePem };
  const cluster = resources.use(await PostgresCluster.start({ major: 18, tls }));
  const other = resources.use(await OidcIssuer.start({ authority }));
  const proxy = resources.use(
    await RunningProxy.start({
      listen: "insecure_plaintext = true\nmax_token_bytes = 4096",
      toml: tomlOf({ backendPort: cluster.port, otherIssuer: other.url }),
      files: { password: PASSWORDS.app_scram },
    }, authority),
  );
  const token = await proxy.issuer.mint({ sub: "alice@example.com" });
  const challenge = challenged(`${proxy.issuer.url}/.well-known/openid-configuration`, "openid pg");
  const moved = resources.move();
  return {
    proxy,
    other,
    token,
    /** As far as the offer of the one mechanism. */
    async connect(): Promise<RawConnection> {
      const client = await connectTls(proxy.port, { ca: authority.certificatePem });
      await client.send(startupOf("alice"));
      assert.deepEqual(await client.receive(OFFER.length), OFFER);
      return client;
    },
    async expectChallenge(client: RawConnection): Promise<void> {
      assert.deepEqual(await client.receive(challenge.length), challenge);
    },
    /** What is observed until all sessions are over. */
    async eventsOf(act: () => Promise<void>) {
      await waitUntil(() => proxy.connectionCount === 0, { what: "the sessions before" });
      const start = proxy.events.length;
      await act();
      await waitUntil(() => proxy.connectionCount === 0, { what: "the session's end" });
      return proxy.events.slice(start);
    },
    [Symbol.asyncDispose]: () => moved.disposeAsync(),
  };
}

function tomlOf({ backendPort, otherIssuer }: { backendPort: number; otherIssuer: string }): string {
  return `
[[issuers]]
name = "other"
url = "${otherIssuer}"
audience = ["pg-auth-proxy"]

[[ways_in]]
listeners = ["127.0.0.1:0"]
server_names = ["*.example.com"]
networks = ["127.0.0.0/8"]
databases = ["postgres"]
users = ["operator"]
method = "password"

[[ways_in]]
method = "oauthbearer"
issuer = "corp"
scope = "openid pg"

[[backends]]
name = "main"
url = "postgres://app_scram@localhost:${backendPort}/postgres?sslrootcert=ca.crt"
password_file = "password"

[[rules]]
issuer = "corp"
match = '/.*@example\\.com/'
backend = "main"

[[rules]]
issuer = "other"
match = '/.*@example\\.com/'
backend = "main"

[log]
level = "trace"
`;
}

/** The client is in, with no AuthenticationSASLFinal on the way, and can work. */
async function expectSession(client: RawConnection): Promise<void> {
  const messages = await client.receiveMessagesUntil("Z");
  assert.deepEqual(messages[0], AUTHENTICATION_OK);
  assert.deepEqual(await firstRow(client, "select current_user"), ["app_scram"]);
}
