import assert from "node:assert/strict";
import { bearer, DISCOVERY, EMPTY_CHALLENGE, HEARD, initial, OFFER } from "../authenticate/bearer_words.ts";
import type { RawConnection } from "../support/raw_connection.ts";
import {
  concat,
  cString,
  int32,
  passwordMessage,
  query,
  saslInitialResponse,
  saslResponse,
  text,
  typed,
} from "../support/raw_messages.ts";
import { waitUntil } from "../support/wait_until.ts";
import { connectTls, refusal, STARTUP } from "./hostile_scene.ts";
import { connectBy, connectChallenged, expectLetIn, PRESENTERS } from "./presenter.ts";
import { startTokenScene, type TokenScene } from "./token_scene.ts";

const FAILED = 'OAuth bearer authentication failed for user "alice"';
const BAD = initial(bearer("guessed"));
const ANNOUNCED = saslInitialResponse("OAUTHBEARER", null);

let scene: TokenScene;
/** As short as a good token can be: every split of it is a connection. */
let good: Uint8Array;

Deno.test.beforeAll(async () => {
  scene = await startTokenScene();
  const { url } = scene.issuer;
  const exp = Math.floor(Date.now() / 1000) + 600;
  good = initial(bearer(await scene.issuer.forge({ iss: url, sub: "alice", aud: "pg-auth-proxy", exp })));
});

// What a session still has to do when its client has left belongs to the test that opened it.
Deno.test.afterEach(async () => {
  await waitUntil(() => scene.proxy.connectionCount === 0, { what: "every session to end" });
});

Deno.test.afterAll(async () => await scene[Symbol.asyncDispose]());

/** How far a client by OAUTHBEARER has come; each awaits another message of type `p`. */
type Phase = "offered" | "announced" | "challenged";

const CONNECT: Readonly<Record<Phase, () => Promise<RawConnection>>> = {
  offered: () => connectBy("OAUTHBEARER", scene.proxy.port),
  async announced() {
    const client = await connectBy("OAUTHBEARER", scene.proxy.port);
    await client.send(ANNOUNCED);
    assert.deepEqual(await client.receive(EMPTY_CHALLENGE.length), EMPTY_CHALLENGE);
    return client;
  },
  challenged: () => connectChallenged(scene.proxy),
};

const PHASES = Object.keys(CONNECT) as Phase[];

/** Refused in whatever phase they come. */
const BROKEN: [name: string, bytes: Uint8Array][] = [
  ["length 0", typed("p", text("\x01"), 0)],
  ["length 1", typed("p", text("\x01"), 1)],
  ["length 2", typed("p", text("\x01"), 2)],
  ["length 3", typed("p", text("\x01"), 3)],
  ["length 4, without a body", typed("p")],
  ["a password", passwordMessage("password")],
  ["a Query", query("select 1")],
  ["a Terminate", typed("X")],
  ["another StartupMessage", STARTUP],
  ["a ClientHello", Uint8Array.of(0x16, 0x03, 0x01, 0x00, 0x05, 0x01, 0x00, 0x00, 0x01, 0x03)],
];

Deno.test.each(
  PHASES.flatMap((phase) => BROKEN.map(([name, bytes]): [string, Phase, Uint8Array] => [name, phase, bytes])),
)(
  "W9 %s for a message by OAUTHBEARER is refused when %s",
  async (_name, phase, bytes) => {
    await using client = await CONNECT[phase]();
    await client.send(bytes);
    assert.equal((await refusal(client)).C, "08P01");
  },
);

Deno.test.each<[string, Uint8Array]>([
  ["that declares 0 bytes, and has more", saslInitialResponse("OAUTHBEARER", text(DISCOVERY), 0)],
  ["that declares less than there is", saslInitialResponse("OAUTHBEARER", text(DISCOVERY), 3)],
  ["that declares more than there is", saslInitialResponse("OAUTHBEARER", text(DISCOVERY), 100)],
  ["that declares 2^31 - 1 bytes", saslInitialResponse("OAUTHBEARER", text(DISCOVERY), 2 ** 31 - 1)],
  ["that declares -2 bytes", saslInitialResponse("OAUTHBEARER", null, -2)],
  ["that declares none, and has some", saslInitialResponse("OAUTHBEARER", text(DISCOVERY), -1)],
  ["without its length", typed("p", cString("OAUTHBEARER"))],
  ["without the end of its mechanism", typed("p", text("OAUTHBEARER"))],
  ["with a part of its length", typed("p", concat(cString("OAUTHBEARER"), Uint8Array.of(0, 0)))],
  ["of nothing", saslInitialResponse("OAUTHBEARER", new Uint8Array())],
  ["of another mechanism", saslInitialResponse("SCRAM-SHA-256", text(DISCOVERY))],
  ["of a mechanism over 4 kB", saslInitialResponse("X".repeat(5000), text(DISCOVERY))],
  ["with a zero byte in it", initial(`${bearer("guessed")}\0`)],
])("W9 an initial response %s is refused", async (_name, bytes) => {
  await using client = await CONNECT.offered();
  await client.send(bytes);
  assert.equal((await refusal(client)).C, "08P01");
});

const TOO_LONG: [name: string, length: number][] = [["65536", 65_536], ["-1", -1], ["-2^31", -(2 ** 31)]];

Deno.test.each(
  PHASES.flatMap((phase) => TOO_LONG.map(([name, length]): [string, Phase, number] => [name, phase, length])),
)(
  "W9 length %s for a message by OAUTHBEARER is a failed login when %s, before any of it is there",
  async (_name, phase, length) => {
    await using client = await CONNECT[phase]();
    await client.send(concat(text("p"), int32(length)));
    const { C, M } = await refusal(client);
    assert.deepEqual({ C, M }, { C: "28000", M: FAILED });
  },
);

Deno.test("W9 an initial response may not be announced twice", async () => {
  await using client = await CONNECT.announced();
  await client.send(ANNOUNCED);
  assert.equal((await refusal(client)).C, "08P01");
});

Deno.test("a token that follows its refusal is not looked at", async () => {
  const before = scene.proxy.events.length;
  await using client = await CONNECT.challenged();
  await client.send(saslResponse(good.subarray(5)));
  assert.equal((await refusal(client)).C, "08P01");
  const kinds = scene.proxy.events.slice(before).map(({ kind }) => kind);
  assert.ok(!kinds.includes("token_accepted"));
});

Deno.test("W14 a bad token by OAUTHBEARER, split at every byte, is refused as it always is", async () => {
  const spoken = concat(BAD, HEARD);
  await atEverySplit(spoken, expectRefusalUnasked);
});

Deno.test("W14 a good token by OAUTHBEARER, split at every byte, is let in", async () => {
  await atEverySplit(good, expectLetIn);
});

Deno.test("W14 a good token by OAUTHBEARER that was announced, of one byte a TLS record, is let in", async () => {
  await using client = await CONNECT.offered();
  for (const byte of ANNOUNCED) await client.send(Uint8Array.of(byte));
  assert.deepEqual(await client.receive(EMPTY_CHALLENGE.length), EMPTY_CHALLENGE);
  for (const byte of saslResponse(dataOf(good))) await client.send(Uint8Array.of(byte));
  await expectLetIn(client);
});

Deno.test.each<[string, () => Uint8Array[], (client: RawConnection) => Promise<void>]>([
  ["a good token", () => [good], expectLetIn],
  ["a good token that was announced", () => [ANNOUNCED, saslResponse(dataOf(good))], async (client) => {
    assert.deepEqual(await client.receive(EMPTY_CHALLENGE.length), EMPTY_CHALLENGE);
    await expectLetIn(client);
  }],
  ["a bad token and the answer to its refusal", () => [BAD, HEARD], expectRefusalUnasked],
  ["a discovery and the answer to what it is told", () => [initial(DISCOVERY), HEARD], expectRefusalUnasked],
  ["a bad token, an answer, and a query", () => [BAD, HEARD, query("select 1")], expectRefusalUnasked],
  ["a bad token, an answer, and a good token", () => [BAD, HEARD, good], expectRefusalUnasked],
])(
  "W14 StartupMessage and %s by OAUTHBEARER in one segment are answered as in several",
  async (_name, speak, expect) => {
    await using client = await connectTls(scene.proxy.port, PRESENTERS.OAUTHBEARER.tls);
    await client.send(STARTUP, ...speak());
    assert.deepEqual(await client.receive(OFFER.length), OFFER);
    await expect(client);
  },
);

/** As any refusal, to a client that has answered already. */
async function expectRefusalUnasked(client: RawConnection): Promise<void> {
  for (const { says } of PRESENTERS.OAUTHBEARER.refusal(scene.proxy)) {
    assert.deepEqual(await client.receive(says.length), says);
  }
  assert.deepEqual(await client.receiveToEnd(), new Uint8Array());
}

/** Says the bytes to the offer of OAUTHBEARER in two parts, at every byte, each time on a connection of its own. */
async function atEverySplit(
  bytes: Uint8Array,
  expect: (client: RawConnection) => Promise<void>,
): Promise<void> {
  const splits = Array.from({ length: bytes.length - 1 }, (_, index) => index + 1).values();
  const talk = async () => {
    for (const at of splits) {
      await using client = await CONNECT.offered();
      await client.send(bytes.subarray(0, at));
      await new Promise((resolve) => setTimeout(resolve));
      await client.send(bytes.subarray(at));
      await expect(client);
    }
  };
  await Promise.all(Array.from({ length: 8 }, talk));
}

/** The data of a SASLInitialResponse by OAUTHBEARER. */
function dataOf(message: Uint8Array): Uint8Array {
  return message.subarray(1 + 4 + "OAUTHBEARER\0".length + 4);
}
