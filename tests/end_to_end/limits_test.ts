import assert from "node:assert/strict";
import type { RawConnection } from "../support/raw_connection.ts";
import { waitUntil } from "../support/wait_until.ts";
import { ask, closeBehind, type LimitsScenario, LimitsScene, type Login } from "./limits_scene.ts";

interface Case extends LimitsScenario {
  readonly limit: string;
  readonly told: string;
  /** One who has room all the same. */
  readonly other?: Login;
}

Deno.test.each<Case>([
  { limit: "connections", limits: "connections = 2", told: "too many connections" },
  {
    limit: "connections_per_address",
    limits: "connections_per_address = 2",
    told: "too many connections from this address",
    other: { localAddress: "127.0.0.2" },
  },
  {
    limit: "connections_per_identity",
    limits: "connections_per_identity = 2",
    told: "too many connections for this identity",
    other: { user: "bob" },
  },
  {
    limit: "connections_per_network",
    limits: 'connections_per_network = { "127.0.0.0/24" = 2 }',
    told: "too many connections from this network",
    other: { localAddress: "127.0.1.1" },
  },
  {
    limit: "rules.max_connections",
    rule: "max_connections = 2",
    told: "too many connections by the rule that lets this identity in",
    other: { database: "other" },
  },
  {
    limit: "backends.max_connections",
    backend: "max_connections = 2",
    told: "too many connections to this backend",
    other: { database: "other" },
  },
])(
  "$limit is told with 53300 when it is reached, and has room again when a session has ended",
  async (each) => {
    const { limit, told, other } = each;
    await using scene = await LimitsScene.start(each);
    const { client } = await scene.logIn();
    await scene.logIn();

    const third = await scene.logIn();
    const key = limit.includes(".") ? limit : `limits.${limit}`;
    assert.equal(third.outcome, `53300; ${told}; There may be 2 at a time (${key}).`);
    assert.equal(scene.backendConnections, 2);
    const { fault, sqlstate, whose } = await scene.proxy.observed("login_refused");
    assert.deepEqual([fault, sqlstate, whose?.identity], [limit, "53300", "alice@example.com"]);
    if (other !== undefined) assert.equal((await scene.logIn(other)).outcome, "in");

    const before = scene.proxy.counted.connections;
    client.end();
    await scene.counts(before - 1);
    assert.equal((await scene.logIn()).outcome, "in");
  },
);

Deno.test("T16 whoever has no good token never learns of a limit, and takes nobody's place", async () => {
  await using scene = await LimitsScene.start({ limits: "connections = 1" });
  assert.match((await scene.logIn({ token: "guessed" })).outcome, /^28P01/);
  assert.equal((await scene.logIn()).outcome, "in");
  assert.match((await scene.logIn({ token: "guessed" })).outcome, /^28P01/);
});

Deno.test("a login counts while its backend has not answered", async () => {
  await using scene = await LimitsScene.start({ backend: "max_connections = 1" });
  const waiting = scene.logIn({ database: "silent" }).catch(() => "cut off");
  await scene.counts(1);
  assert.match((await scene.logIn()).outcome, /^53300; too many connections to this backend/);
  await scene.proxy.close();
  await waiting;
});

Deno.test("a place is given back, whatever a session ends by", async (t) => {
  await using scene = await LimitsScene.start({ limits: "connections = 1", rule: 'idle_timeout = "1m"' });

  async function step(name: string, end: (client: RawConnection) => unknown) {
    await t.step(name, async () => {
      const { client, outcome } = await scene.logIn();
      assert.equal(outcome, "in");
      await Promise.all([end(client), closeBehind(client)]);
      await scene.counts(0);
    });
  }

  await step("Terminate", (client) => client.send(Uint8Array.of(0x58, 0, 0, 0, 4)));
  await step("the client's FIN", (client) => client.end());
  await step("the client's RST", (client) => client.reset());
  await step("garbage of the client", (client) => client.send(Uint8Array.of(81, 0, 0, 0, 0)));
  await step("a backend that closes", (client) => ask(client, "leave"));
  await step("a backend that resets", (client) => ask(client, "vanish"));
  await step("garbage of the backend", (client) => ask(client, "garble"));
  await step("a session that was idle for too long", () => scene.clock.advance(120_000));
  await step("a reload that lets nobody in", async () => {
    await scene.reload({ limits: "connections = 1", rule: 'users = ["nobody"]\nat_reload = "end_now"' });
    await scene.reload({ limits: "connections = 1", rule: 'idle_timeout = "1m"' });
  });
  await step("the end of the proxy", () => scene.proxy.close());
});

Deno.test("a place is given back, whatever a login fails by", async (t) => {
  await using scene = await LimitsScene.start({
    limits: "connections = 1\nunauthenticated = 3",
    listen: 'login_timeout = "400ms"',
  });

  async function step(name: string, act: () => Promise<RawConnection>) {
    await t.step(name, async () => {
      await closeBehind(await act());
      await scene.isEmpty();
    });
  }

  async function refused(login: Login, sqlstate: RegExp): Promise<RawConnection> {
    const { client, outcome } = await scene.logIn(login);
    assert.match(outcome, sqlstate);
    return client;
  }

  /** A silent client that then does this. */
  async function silentThen(act: (client: RawConnection) => unknown): Promise<RawConnection> {
    const client = await scene.silent();
    await act(client);
    return client;
  }

  const asked = async (client: RawConnection) => assert.equal(await scene.approach(client), "asked");
  await step("silence, and FIN", () => silentThen((client) => client.end()));
  await step("silence, and RST", () => silentThen((client) => client.reset()));
  await step("silence", () => scene.silent());
  await step("garbage", () => silentThen((client) => client.send(new Uint8Array(8))));
  await step("a TLS handshake that is none", () => silentThen((client) => client.send(NO_HANDSHAKE)));
  await step("leaving when asked for a token", () =>
    silentThen(async (client) => {
      await asked(client);
      client.reset();
    }));
  await step("not saying the token", () => silentThen(asked));
  await step("a wrong token", () => refused({ token: "guessed" }, /^28P01/));
  await step("a backend that refuses", () => refused({ database: "refuses" }, /^28000/));
  await step("a backend that resets", () => refused({ database: "vanishes" }, /^08/));
  await step("a backend that says nothing", () => refused({ database: "silent" }, /^57014/));
  assert.equal((await scene.logIn()).outcome, "in");
});

/** A record of TLS with a handshake message in it that ends before it begins. */
const NO_HANDSHAKE = Uint8Array.of(0x16, 3, 1, 0, 1, 0);

Deno.test("no place is lost, whatever clients and backends do at the same time", async () => {
  await using scene = await LimitsScene.start({
    limits:
      "connections = 12\nconnections_per_address = 9\nconnections_per_identity = 9\nunauthenticated = 15\n" +
      "unauthenticated_per_address = 9",
    listen: 'login_timeout = "700ms"',
    rule: "max_connections = 7",
    backend: "max_connections = 6",
  });
  for (const user of ["alice", "bob"]) await scene.token(user);
  const seed = crypto.getRandomValues(new Uint32Array(1))[0];
  const random = randomFrom(seed);
  const oneOf = <T>(values: readonly T[]) => values[Math.floor(random() * values.length)];

  async function live(): Promise<void> {
    const localAddress = oneOf(["127.0.0.1", "127.0.0.2"]);
    const client = oneOf(["silent", "approach", "logIn", "logIn", "logIn"]);
    if (client === "silent") return oneOf(ENDS)(await scene.silent({ localAddress }));
    if (client === "approach") {
      const connection = await scene.silent({ localAddress });
      await scene.approach(connection);
      return oneOf(ENDS)(connection);
    }
    const login = await scene.logIn({
      localAddress,
      user: oneOf(["alice", "bob"]),
      database: oneOf(["main", "main", "other", "refuses", "vanishes", "silent"]),
      token: oneOf([undefined, undefined, undefined, "guessed"]),
    });
    if (login.outcome === "in") {
      await ask(login.client, oneOf(["begin", "leave", "vanish", "garble", "select"]));
    }
    oneOf(ENDS)(login.client);
  }
  async function liveAgainAndAgain(): Promise<void> {
    // What is cut off in the middle of something is cut off: the places are what matters.
    for (let count = 0; count < 8; count++) await live().catch(() => {});
  }
  await Promise.all(Array.from({ length: 20 }, liveAgainAndAgain));
  await scene.proxy.observed("authenticated");
  try {
    await scene.isEmpty();
  } catch (cause) {
    throw new Error(`with the seed ${seed}`, { cause });
  }
});

const ENDS: readonly ((client: { end(): void; reset(): void }) => void)[] = [
  (client) => client.end(),
  (client) => client.reset(),
];

/** Numbers from 0 to 1, the same for the same seed: a linear congruential generator. */
function randomFrom(seed: number): () => number {
  let state = seed;
  return () => (state = (Math.imul(state, 1664525) + 1013904223) >>> 0) / 2 ** 32;
}

Deno.test("a reload brings its own numbers, and forgets nobody who is there", async () => {
  await using scene = await LimitsScene.start();
  await scene.logIn();
  const { client } = await scene.logIn();
  await scene.reload({
    limits: 'connections_per_network = { "127.0.0.0/8" = 2 }',
    rule: "max_connections = 50",
  });
  assert.match((await scene.logIn()).outcome, /limits\.connections_per_network/);
  await scene.reload({ rule: "max_connections = 2" });
  assert.match((await scene.logIn()).outcome, /rules\.max_connections/);
  await scene.reload({ rule: "max_connections = 2" });
  client.end();
  await scene.counts(1);
  assert.equal((await scene.logIn()).outcome, "in");
});

Deno.test("W12 where an address has too many logins under way, the oldest makes room and is told so", async () => {
  await using scene = await LimitsScene.start({ limits: "unauthenticated_per_address = 2" });
  const oldest = await scene.silent();
  await scene.silent();
  const neighbour = await scene.silent({ localAddress: "127.0.0.2" });
  await scene.counts(0, 3);
  assert.equal((await scene.logIn()).outcome, "in");
  assert.equal(
    await scene.approach(oldest),
    "53300; too many connections from this address are logging in; " +
      "There may be 2 at a time (limits.unauthenticated_per_address).",
  );
  const { fault } = await scene.proxy.observed("login_refused");
  assert.equal(fault, "unauthenticated_per_address");
  assert.equal(await scene.approach(neighbour), "asked");
});

Deno.test("W12 one that was asked for its token is told when it has to make room", async () => {
  await using scene = await LimitsScene.start({ limits: "unauthenticated = 1" });
  const slow = await scene.silent();
  assert.equal(await scene.approach(slow), "asked");
  const next = await scene.silent();
  const message = await slow.receiveMessage();
  assert.equal(message.type, "E");
  assert.match(new TextDecoder().decode(message.body), /too many connections are logging in/);
  assert.equal(await scene.approach(next), "asked");
});

Deno.test("W12 the clients of a balancer are counted by their own address", async () => {
  await using scene = await LimitsScene.start({
    limits: "unauthenticated_per_address = 1\nconnections_per_address = 1",
    listen: 'proxy_protocol = ["127.0.0.0/8"]',
  });
  const header = (address: string) =>
    new TextEncoder().encode(`PROXY TCP4 ${address} 192.0.2.9 1000 5432\r\n`);
  const waiting = await scene.silent();
  await waiting.send(header("192.0.2.1"));
  assert.equal((await scene.logIn({ header: header("192.0.2.2") })).outcome, "in");
  assert.equal(await scene.approach(waiting), "asked");
  assert.match((await scene.logIn({ header: header("192.0.2.2") })).outcome, /connections_per_address/);
  assert.equal((await scene.logIn({ header: header("192.0.2.3") })).outcome, "in");
});

Deno.test("W12 what is closed without a word is told once in a while", async () => {
  await using scene = await LimitsScene.start({
    limits: "unauthenticated = 1\nunauthenticated_per_address = 0",
  });
  const crowd: RawConnection[] = [];
  for (let count = 0; count < 105; count++) crowd.push(await scene.silent());
  await waitUntil(() => crowd.slice(0, 4).every(({ ending }) => ending !== undefined), {
    what: "the first four to be closed",
  });
  assert.equal((await crowd[0].receiveToEnd()).length, 0);
  const hits = scene.proxy.events.filter((event) => event.kind === "limit_hit");
  assert.deepEqual(hits.map(({ limit, isNews, passedOver }) => ({ limit, isNews, passedOver })), [
    { limit: "unauthenticated", isNews: true, passedOver: 0 },
    ...[1, 2, 3].map((passedOver) => ({ limit: "unauthenticated", isNews: false, passedOver })),
  ]);
  assert.equal(scene.proxy.events.some(({ kind }) => kind === "login_refused"), false);
});
