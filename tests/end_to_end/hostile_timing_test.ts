import assert from "node:assert/strict";
import { bearer, DISCOVERY, OFFER } from "../authenticate/bearer_words.ts";
import { RawClient } from "../support/hostile_peer.ts";
import type { RawConnection } from "../support/raw_connection.ts";
import {
  concat,
  passwordMessage,
  readFields,
  saslInitialResponse,
  SSL_REQUEST,
  startupMessage,
  text,
  typed,
} from "../support/raw_messages.ts";
import { RunningProxy } from "../support/running_proxy.ts";
import { connectTls, connectToPassword, oneBackend, STARTUP } from "./hostile_scene.ts";

const LOGIN_TIMEOUT_MS = 1000;

/** Around the deadline: a timer is never early, and a busy machine is late. */
const EARLIEST_MS = LOGIN_TIMEOUT_MS - 50;
const LATEST_MS = LOGIN_TIMEOUT_MS + 900;

// The record header of a ClientHello of 512 bytes, and the first bytes of it.
const CLIENT_HELLO_BEGUN = Uint8Array.of(0x16, 0x03, 0x01, 0x02, 0x00, 0x01, 0x00, 0x01, 0xfc, 0x03, 0x03);

/** What a slow client does until it is cut off; a reply can be told it outside TLS, and inside, but not in between. */
type Slowness = [
  name: string,
  isTold: boolean,
  act: (port: number, trickle: Trickle, token: string) => Promise<RawConnection>,
];

/** Goes on sending these bytes, one every 100 ms, until the connection is over. */
type Trickle = (client: RawConnection, bytes: Uint8Array) => void;

const SLOWNESSES: Slowness[] = [
  ["silence after the accept", true, (port) => RawClient.connect(port)],
  ["half a StartupMessage", true, (port) => say(port, STARTUP.subarray(0, 20))],
  ["silence after SSLRequest", false, async (port) => {
    const client = await say(port, SSL_REQUEST);
    assert.deepEqual(await client.receive(1), text("S"));
    return client;
  }],
  ["silence in the middle of the TLS handshake", false, async (port) => {
    const client = await say(port, SSL_REQUEST);
    assert.deepEqual(await client.receive(1), text("S"));
    await client.send(CLIENT_HELLO_BEGUN);
    return client;
  }],
  ["silence in the middle of a direct TLS handshake", false, (port) => say(port, CLIENT_HELLO_BEGUN)],
  ["silence inside TLS", true, (port) => connectTls(port)],
  ["silence for a password", true, (port) => connectToPassword(port)],
  ["one byte of a StartupMessage every 100 ms", true, async (port, trickle) => {
    const client = await RawClient.connect(port);
    trickle(client, STARTUP);
    return client;
  }],
  ["one byte of a StartupMessage every 100 ms inside TLS", true, async (port, trickle) => {
    const client = await connectTls(port);
    trickle(client, startupMessage({ user: "alice", database: "postgres" }));
    return client;
  }],
  ["one byte of a ClientHello every 100 ms", false, async (port, trickle) => {
    const client = await RawClient.connect(port);
    trickle(client, concat(CLIENT_HELLO_BEGUN, new Uint8Array(500)));
    return client;
  }],
  ["one byte of a password every 100 ms", true, async (port, trickle) => {
    const client = await connectToPassword(port);
    trickle(client, concat(text("p"), Uint8Array.of(0, 0, 0, 200), new Uint8Array(100).fill(0x61)));
    return client;
  }],
  ["silence for an OAUTHBEARER message", true, (port) => connectToSasl(port)],
  ["one byte of an OAUTHBEARER message every 100 ms", true, async (port, trickle) => {
    const client = await connectToSasl(port);
    trickle(client, saslInitialResponse("OAUTHBEARER", text(bearer("a".repeat(100)))));
    return client;
  }],
  ["silence for an initial response by OAUTHBEARER that was announced", true, async (port) => {
    const client = await connectToSasl(port);
    await client.send(saslInitialResponse("OAUTHBEARER", null));
    await challenged(client);
    return client;
  }],
  ["silence after the challenge of a discovery", true, async (port) => {
    const client = await connectToSasl(port);
    await client.send(saslInitialResponse("OAUTHBEARER", text(DISCOVERY)));
    await challenged(client);
    return client;
  }],
  ["silence after the challenge of a bad token", true, async (port) => {
    const client = await connectToSasl(port);
    await client.send(saslInitialResponse("OAUTHBEARER", text(bearer("guessed"))));
    await challenged(client);
    return client;
  }],
  ["one byte of the answer to a challenge every 100 ms", true, async (port, trickle) => {
    const client = await connectToSasl(port);
    await client.send(saslInitialResponse("OAUTHBEARER", text(DISCOVERY)));
    await challenged(client);
    // As long as it may be: what it should have been is one byte.
    trickle(client, concat(text("p"), Uint8Array.of(0, 0, 0, 200), new Uint8Array(100).fill(0x01)));
    return client;
  }],
  ["an issuer that is silent about its keys, by password", true, async (port, _trickle, token) => {
    const client = await connectToPassword(port);
    await client.send(passwordMessage(token));
    return client;
  }],
  ["an issuer that is silent about its keys, by OAUTHBEARER", true, async (port, _trickle, token) => {
    const client = await connectToSasl(port);
    await client.send(saslInitialResponse("OAUTHBEARER", text(bearer(token))));
    return client;
  }],
];

Deno.test("W7 one deadline ends every slow login, and bytes do not extend it", async (t) => {
  await using proxy = await RunningProxy.start({
    toml: `
[[ways_in]]
users = ["bearer"]
method = "oauthbearer"
issuer = "corp"
scope = "openid"
${oneBackend("postgres://app_scram@localhost:1/postgres?sslmode=disable")}`,
    listen: `login_timeout = "${LOGIN_TIMEOUT_MS}ms"`,
    files: { password: "unused" },
    between: () => neverAnswered,
  });
  const token = await proxy.issuer.mint({ sub: "alice@example.com" });
  // All at once: each takes its second.
  const outcomes = await Promise.all(
    SLOWNESSES.map(([, , act]) => outcomeOf((trickle) => act(proxy.port, trickle, token))),
  );
  for (const [index, [name, isTold]] of SLOWNESSES.entries()) {
    const { durationMs, told } = outcomes[index];
    await t.step(`W7 ${name} ends at the deadline`, () => {
      assert.ok(durationMs >= EARLIEST_MS && durationMs <= LATEST_MS, `it took ${durationMs} ms`);
      assert.equal(told, isTold ? "FATAL 57014" : "");
    });
  }
  await t.step("W7 each is one refused login in the log", () => {
    const refused = proxy.events.filter((event) => event.kind === "login_refused");
    assert.deepEqual(refused.map(({ sqlstate }) => sqlstate), SLOWNESSES.map(() => "57014"));
  });
});

/** A network in which requests are lost; those who send them give up at last. */
const neverAnswered: typeof fetch = (_input, init) =>
  new Promise((_resolve, reject) => {
    const { signal } = init!;
    signal!.addEventListener("abort", () => reject(signal!.reason));
  });

interface Outcome {
  readonly durationMs: number;
  /** Severity and SQLSTATE of the last message, or nothing. */
  readonly told: string;
}

async function outcomeOf(act: (trickle: Trickle) => Promise<RawConnection>): Promise<Outcome> {
  const startMs = performance.now();
  const trickling: Promise<void>[] = [];
  let isOver = false;
  const trickle: Trickle = (client, bytes) => {
    trickling.push((async () => {
      for (let at = 0; at < bytes.length && !isOver; at++) {
        // The proxy may close between the look and the byte.
        await client.send(bytes.subarray(at, at + 1)).catch(() => isOver = true);
        await new Promise((resolve) => setTimeout(resolve, 100));
      }
    })());
  };
  await using client = await act(trickle);
  const bytes = await client.receiveToEnd();
  const durationMs = performance.now() - startMs;
  isOver = true;
  await Promise.all(trickling);
  if (bytes.length === 0) return { durationMs, told: "" };
  const { S, C } = readFields({ type: "E", body: bytes.subarray(5) });
  return { durationMs, told: `${S} ${C}` };
}

/** A connection that has been offered OAUTHBEARER. */
async function connectToSasl(port: number): Promise<RawConnection> {
  const client = await connectTls(port);
  await client.send(startupMessage({ user: "bearer", database: "postgres" }));
  const { type, body } = await client.receiveMessage();
  assert.deepEqual(typed(type, body), OFFER);
  return client;
}

/** Holds that the next message is an AuthenticationSASLContinue (B). */
async function challenged(client: RawConnection): Promise<void> {
  const { type, body } = await client.receiveMessage();
  assert.equal(type, "R");
  assert.deepEqual(body.subarray(0, 4), Uint8Array.of(0, 0, 0, 11));
}

async function say(port: number, bytes: Uint8Array): Promise<RawConnection> {
  const client = await RawClient.connect(port);
  await client.send(bytes);
  return client;
}
