import assert from "node:assert/strict";
import { fakeBackend } from "../support/hostile_peer.ts";
import { loginIsComplete, passwordMessage } from "../support/raw_messages.ts";
import type { RawConnection } from "../support/raw_connection.ts";
import { RunningProxy } from "../support/running_proxy.ts";
import { connectToPassword } from "./hostile_scene.ts";

const COOLDOWN_MS = 30_000;
const MINUTE_MS = 60_000;

Deno.test("keys may rotate while logins go on: none fails while the old keys stay", async () => {
  await using scene = await startScene();
  const [first] = await scene.mint();
  assert.equal(await logInWith(scene, first), "in");
  for (let round = 0; round < 3; round++) {
    // A careful issuer does not rotate twice within a cooldown.
    scene.pass(COOLDOWN_MS);
    const old = await scene.mint(5);
    const logins = old.map((token) => logInWith(scene, token));
    await scene.proxy.issuer.rotateKeys({ keepOld: true });
    const fresh = await scene.mint(5);
    logins.push(...[...fresh, ...old, first].map((token) => logInWith(scene, token)));
    assert.deepEqual(new Set(await Promise.all(logins)), new Set(["in"]));
  }
  // Once at first, and once for each rotation.
  assert.equal(scene.fetches(), 4);
});

Deno.test("keys that are withdrawn take their tokens along as soon as the key set is fetched again", async () => {
  await using scene = await startScene();
  const [old] = await scene.mint();
  assert.equal(await logInWith(scene, old), "in");
  scene.pass(COOLDOWN_MS);
  await scene.proxy.issuer.rotateKeys();
  assert.equal(await logInWith(scene, old), "in");
  const [fresh] = await scene.mint();
  assert.equal(await logInWith(scene, fresh), "in");
  assert.equal(await logInWith(scene, old), "28P01");
});

Deno.test("T4 a flood of unknown kids costs one fetch per cooldown, and known keys go on working", async () => {
  await using scene = await startScene();
  const [good] = await scene.mint();
  assert.equal(await logInWith(scene, good), "in");
  for (let round = 0; round < 3; round++) {
    const before = scene.fetches();
    scene.pass(COOLDOWN_MS);
    const flood = Array.from({ length: 10 }, async () => logInWith(scene, await forgeKid(scene)));
    const [known, ...unknown] = await Promise.all([logInWith(scene, good), ...flood]);
    assert.equal(known, "in");
    assert.deepEqual(new Set(unknown), new Set(["28P01"]));
    assert.equal(scene.fetches() - before, 1);
  }
});

Deno.test("T4 with the issuer down, known keys go on working for an hour, and then nobody's do", async () => {
  await using scene = await startScene();
  const [good] = await scene.mint();
  assert.equal(await logInWith(scene, good), "in");
  scene.pass(COOLDOWN_MS);
  const forged = await forgeKid(scene);
  scene.proxy.issuer.isDown = true;
  assert.equal(await logInWith(scene, forged), "28P01");
  assert.equal(await logInWith(scene, good), "in");
  scene.pass(58 * MINUTE_MS);
  assert.equal(await logInWith(scene, good), "in");
  scene.pass(3 * MINUTE_MS);
  assert.equal(await logInWith(scene, good), "28P01");
  assert.equal(scene.lastRefusal().blame, "issuer");
  scene.proxy.issuer.isDown = false;
  scene.pass(COOLDOWN_MS);
  assert.equal(await logInWith(scene, good), "in");
});

interface Scene extends AsyncDisposable {
  readonly proxy: RunningProxy;
  /** Lets time pass, for tokens and key sets. */
  pass(ms: number): void;
  /** Fresh tokens, good for a day. */
  mint(count?: number): Promise<string[]>;
  /** How often the key set was asked for. */
  fetches(): number;
  lastRefusal(): { readonly blame: string };
}

/** A proxy with a clock of its own, before a backend that lets everybody in. */
async function startScene(): Promise<Scene> {
  await using resources = new AsyncDisposableStack();
  const backend = resources.use(
    await fakeBackend(async (connection) => {
      await connection.receiveUntyped();
      await connection.send(loginIsComplete());
      await connection.receiveToEnd();
    }),
  );
  let aheadMs = 0;
  const proxy = resources.use(
    await RunningProxy.start({
      toml: `
[[backends]]
name = "main"
url = "postgres://app@localhost:${backend.port}/postgres?sslmode=disable"
require_auth = ["none"]

[[rules]]
issuer = "corp"
match = "alice"
backend = "main"
`,
      now: () => Date.now() + aheadMs,
    }),
  );
  const { issuer } = proxy;
  const rest = resources.move();
  return {
    proxy,
    pass: (ms) => void (aheadMs += ms),
    mint: (count = 1) =>
      Promise.all(
        Array.from({ length: count }, () => issuer.mint({ sub: "alice", expiresInSeconds: 86_400 })),
      ),
    fetches: () => issuer.requestedPaths.filter((path) => path === "/jwks").length,
    lastRefusal: () => proxy.events.findLast((event) => event.kind === "login_refused")!,
    [Symbol.asyncDispose]: () => rest.disposeAsync(),
  };
}

/** "in", or the SQLSTATE of the refusal. */
async function logInWith({ proxy }: Scene, token: string): Promise<string> {
  await using client: RawConnection = await connectToPassword(proxy.port);
  await client.send(passwordMessage(token));
  const first = await client.receiveMessage();
  if (first.type === "E") return /\0C(\w{5})\0/.exec(new TextDecoder().decode(first.body))![1];
  await client.receiveMessagesUntil("Z");
  return "in";
}

async function forgeKid({ proxy }: Scene): Promise<string> {
  const { url } = proxy.issuer;
  const exp = Math.floor(Date.now() / 1000) + 86_400;
  return await proxy.issuer.forge({ iss: url, sub: "alice", aud: "pg-auth-proxy", exp }, {
    kid: crypto.randomUUID(),
  });
}
