import assert from "node:assert/strict";
import { waitUntil } from "../support/wait_until.ts";
import { byEveryWay, PRESENTERS, WAYS_IN } from "./presenter.ts";
import { startTokenScene, type TokenScene } from "./token_scene.ts";

const COOLDOWN_MS = 30_000;
const MINUTE_MS = 60_000;

Deno.test.each(WAYS_IN)(
  "keys may rotate while logins by %s go on: none fails while the old keys stay",
  async (by) => {
    await using scene = await startTokenScene();
    const [first] = await scene.mint();
    assert.equal(await scene.logIn(by, first), "in");
    for (let round = 0; round < 3; round++) {
      // A careful issuer does not rotate twice within a cooldown.
      scene.pass(COOLDOWN_MS);
      const old = await scene.mint(5);
      const logins = old.map((token) => scene.logIn(by, token));
      await scene.issuer.rotateKeys({ keepOld: true });
      const fresh = await scene.mint(5);
      logins.push(...[...fresh, ...old, first].map((token) => scene.logIn(by, token)));
      assert.deepEqual(new Set(await Promise.all(logins)), new Set(["in"]));
    }
    // Once at first, and once for each rotation.
    assert.equal(scene.fetches(), 4);
  },
);

Deno.test.each(WAYS_IN)(
  "keys that are withdrawn take their tokens along, by %s, as soon as the key set is fetched again",
  async (by) => {
    await using scene = await startTokenScene();
    const [old] = await scene.mint();
    assert.equal(await scene.logIn(by, old), "in");
    scene.pass(COOLDOWN_MS);
    await scene.issuer.rotateKeys();
    assert.equal(await scene.logIn(by, old), "in");
    const [fresh] = await scene.mint();
    assert.equal(await scene.logIn(by, fresh), "in");
    assert.equal(await scene.logIn(by, old), PRESENTERS[by].sqlstate);
  },
);

/** A network to the issuer that can be disturbed. */
class Network {
  /** Serves an empty key set in place of the issuer's. */
  isEmptied = false;
  /** What answers wait for. */
  held: Promise<void> = Promise.resolve();

  readonly between = (fetch: typeof globalThis.fetch): typeof globalThis.fetch => async (input, init) => {
    const response = await fetch(input, init);
    await this.held;
    if (!this.isEmptied || !response.url.endsWith("/jwks")) return response;
    await response.body?.cancel();
    return Response.json({ keys: [] });
  };
}

/** Makes the issuer what a test says it is; what it gives ends that. */
type Disturb = (scene: TokenScene, network: Network) => () => void;

Deno.test.each(byEveryWay<[state: string, disturb: Disturb]>([
  ["is up", () => () => {}],
  ["is down", ({ issuer }) => {
    issuer.isDown = true;
    return () => void (issuer.isDown = false);
  }],
  ["is slow", (_scene, network) => {
    const { promise, resolve } = Promise.withResolvers<void>();
    network.held = promise;
    return resolve;
  }],
  ["has an empty key set", (_scene, network) => {
    network.isEmptied = true;
    return () => void (network.isEmptied = false);
  }],
]))(
  "T4 while the issuer %s, a flood of unknown kids by %s costs one fetch per cooldown, and known keys go on working",
  async (_state, by, disturb) => {
    const network = new Network();
    await using scene = await startTokenScene({ between: network.between });
    const [good, other] = await scene.mint(2);
    assert.equal(await scene.logIn(by, good), "in");
    for (let round = 0; round < 3; round++) {
      const before = scene.fetches();
      scene.pass(COOLDOWN_MS);
      const calm = disturb(scene, network);
      const flood = Array.from({ length: 10 }, async () => scene.logIn(by, await forgeKid(scene)));
      // Neither the token remembered nor one that was not seen before waits for what the flood waits for.
      assert.equal(await scene.logIn(by, good), "in");
      if (round === 0) assert.equal(await scene.logIn(by, other), "in");
      await fetchesBecome(scene, before + 1);
      calm();
      assert.deepEqual(new Set(await Promise.all(flood)), new Set([PRESENTERS[by].sqlstate]));
      assert.equal(await scene.logIn(by, await forgeKid(scene)), PRESENTERS[by].sqlstate);
      assert.equal(scene.fetches() - before, 1);
    }
  },
);

Deno.test.each(WAYS_IN)(
  "T4 with the issuer down, known keys go on working for an hour by %s, and then nobody's do",
  async (by) => {
    await using scene = await startTokenScene();
    const [good] = await scene.mint();
    assert.equal(await scene.logIn(by, good), "in");
    scene.pass(COOLDOWN_MS);
    const forged = await forgeKid(scene);
    scene.issuer.isDown = true;
    assert.equal(await scene.logIn(by, forged), PRESENTERS[by].sqlstate);
    assert.equal(await scene.logIn(by, good), "in");
    scene.pass(58 * MINUTE_MS);
    assert.equal(await scene.logIn(by, good), "in");
    scene.pass(3 * MINUTE_MS);
    assert.equal(await scene.logIn(by, good), PRESENTERS[by].sqlstate);
    assert.equal(scene.lastRefusal().blame, "issuer");
    scene.issuer.isDown = false;
    scene.pass(COOLDOWN_MS);
    assert.equal(await scene.logIn(by, good), "in");
  },
);

async function fetchesBecome(scene: TokenScene, count: number): Promise<void> {
  await waitUntil(() => scene.fetches() >= count, { what: "the key set to be asked for" });
}

async function forgeKid({ issuer }: TokenScene): Promise<string> {
  const exp = Math.floor(Date.now() / 1000) + 86_400;
  const claims = { iss: issuer.url, sub: "alice", aud: "pg-auth-proxy", exp };
  return await issuer.forge(claims, { kid: crypto.randomUUID() });
}
