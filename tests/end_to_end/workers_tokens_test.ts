import assert from "node:assert/strict";
import { startHastyWorker } from "../support/hasty_worker.ts";
import { CLIENTS } from "../support/oidc_provider.ts";
import type { ProxyScenario } from "../support/running_proxy.ts";
import { waitUntil } from "../support/wait_until.ts";
import { type LifetimeScene, LifetimeStage, Visitor } from "./lifetime_scene.ts";
import { WAYS_IN } from "./presenter.ts";
import { startTokenScene, type TokenScene } from "./token_scene.ts";
import { SERVICE } from "./workers_scene.ts";

const workers = 2;
const COOLDOWN_MS = 30_000;
const REVOKED = "28000 terminating connection because its token has been revoked";
const NOT_LET_IN = "28000 terminating connection because the rules no longer let it in";
const EXPIRED = "57P01 terminating connection because its token has expired";

const INTROSPECTED =
  `introspection = { client_id = "${CLIENTS.proxy.id}", client_secret_file = "client-secret" }`;
/** For a login there is as much time as ever, where time passes faster. */
const HASTY: Partial<ProxyScenario> = { listen: 'login_timeout = "30m"', startThread: startHastyWorker };
const FILES = { "client-secret": CLIENTS.proxy.secret };

/** Logs in so often at the same time: each worker has some of it. */
function crowd({ logIn }: TokenScene, token: string, count = 12): Promise<string[]> {
  return Promise.all(Array.from({ length: count }, (_, at) => logIn(...WAYS_IN[at % WAYS_IN.length], token)));
}

Deno.test("keys are fetched once for both workers, and again once they have rotated (T4)", async () => {
  await using scene = await startTokenScene({ workers });
  const [first] = await scene.mint();
  assert.deepEqual(new Set(await crowd(scene, first)), new Set(["in"]));
  assert.equal(scene.fetches(), 1);
  for (let round = 1; round <= 3; round++) {
    scene.pass(COOLDOWN_MS);
    const [old] = await scene.mint();
    const during = crowd(scene, old);
    await scene.issuer.rotateKeys({ keepOld: true });
    const [fresh] = await scene.mint();
    const logins = await Promise.all([during, crowd(scene, fresh), crowd(scene, old), crowd(scene, first)]);
    assert.deepEqual(new Set(logins.flat()), new Set(["in"]));
    assert.equal(scene.fetches(), 1 + round);
  }
});

Deno.test("T4 a flood of unknown kids over both workers costs one fetch, and known keys go on working", async () => {
  await using scene = await startTokenScene({ workers });
  const [good] = await scene.mint();
  assert.deepEqual(new Set(await crowd(scene, good)), new Set(["in"]));
  scene.pass(COOLDOWN_MS);
  const claims = { iss: scene.issuer.url, sub: "alice", aud: "pg-auth-proxy", exp: Date.now() / 1000 + 9999 };
  const forged = await Promise.all(
    Array.from({ length: 20 }, (_, at) => scene.issuer.forge(claims, { kid: `unknown ${at}` })),
  );
  const outcomes = await Promise.all([
    crowd(scene, good),
    ...forged.map((token) => scene.logIn("password", token)),
  ]);
  const [ofGood, ...ofForged] = outcomes;
  assert.deepEqual([new Set(ofGood), new Set(ofForged)], [new Set(["in"]), new Set(["28P01"])]);
  assert.equal(scene.fetches(), 2);
});

Deno.test("a token that one worker was shown is known to the other: its issuer is asked once", async () => {
  await using scene = await startTokenScene({ workers, issuer: INTROSPECTED, files: FILES });
  const asked = () => scene.proxy.events.filter(({ kind }) => kind === "issuer_introspected").length;
  for (let token = 1; token <= 3; token++) {
    const opaque = await scene.issuer.mint({ sub: "alice", format: "opaque", expiresInSeconds: 3600 });
    assert.equal(await scene.logIn("password", opaque), "in");
    assert.equal(asked(), token);
    assert.deepEqual(new Set(await crowd(scene, opaque)), new Set(["in"]));
    assert.equal(asked(), token);
  }
  assert.equal(await scene.logIn("password", "nobody-has-issued-this"), "28P01");
  assert.equal(scene.lastRefusal().reason, "inactive: The issuer says that the token is not active");
});

Deno.test("what becomes of live sessions is so with every worker", async (t) => {
  await using stage = await LifetimeStage.open();

  /** A proxy with two workers and this rule. */
  function open(rule: string, scenario: Partial<ProxyScenario> = {}): Promise<LifetimeScene> {
    return stage.proxy(rule + SERVICE, scenario);
  }

  /** Eight sessions of alice's: each worker has some. */
  async function sessionsOf(
    scene: LifetimeScene,
    order: Parameters<LifetimeScene["client"]>[1] = {},
  ): Promise<Visitor[]> {
    const token = await scene.proxy.issuer.mint({ sub: "alice@example.com", ...order });
    return await Promise.all(Array.from({ length: 8 }, () => Visitor.connect(scene.proxy, "alice", token)));
  }

  /** Waits until all are over, each with this. */
  async function areOver(visitors: readonly Visitor[], told: string): Promise<void> {
    assert.deepEqual(new Set(await Promise.all(visitors.map((each) => each.isOver()))), new Set([told]));
  }

  await t.step("a deny list ends those it names, and lets them in with none", async () => {
    await using scene = await open('at_revocation = "end_now"', {
      issuer: 'deny_list = "denied.txt"',
      files: { "denied.txt": "# nobody yet\n" },
    });
    const sessions = await sessionsOf(scene);
    await using bob = await scene.client("bob");
    await scene.proxy.writeFile("denied.txt", "sub alice@example.com\n");
    await areOver(sessions, REVOKED);
    assert.equal(await bob.ask("select 1"), 1);
    for (let count = 0; count < 6; count++) {
      await assert.rejects(scene.client("alice"), { code: "28P01" });
    }
  });

  await t.step("a reload asks each, and lets in by the new rules whoever comes to either", async () => {
    await using scene = await open('at_reload = "end_now"');
    const sessions = await sessionsOf(scene);
    const changed = (stage.rule('at_reload = "end_now"') + SERVICE).replace("example", "example2");
    await scene.proxy.reload(changed);
    await areOver(sessions, NOT_LET_IN);
    for (let count = 0; count < 6; count++) await assert.rejects(scene.client(), { code: "28P01" });
    await scene.proxy.reload(stage.rule('at_reload = "end_now"') + SERVICE);
    for (const session of await sessionsOf(scene)) await session[Symbol.asyncDispose]();
  });

  await t.step("at_expiry ends each when its token expires, and tells it a minute before", async () => {
    await using scene = await open('at_expiry = "end_now"', HASTY);
    const sessions = await sessionsOf(scene, { expiresInSeconds: 150 });
    await areOver(sessions, EXPIRED);
    for (const { notices } of sessions) {
      assert.equal(notices.length, 1);
      assert.match(notices[0], /^this connection's token expires in \d+ s/);
    }
  });

  await t.step("a token that is revoked ends its sessions when the issuer is asked again", async () => {
    const rule = 'reintrospect = "1m"\nat_revocation = "end_now"';
    await using scene = await open(rule, { ...HASTY, issuer: INTROSPECTED, files: FILES });
    const order = { sub: "alice@example.com", format: "opaque", expiresInSeconds: 7200 } as const;
    const token = await scene.proxy.issuer.mint(order);
    const sessions = await Promise.all(
      Array.from({ length: 6 }, () => Visitor.connect(scene.proxy, "alice", token)),
    );
    const others = await sessionsOf(scene, order);
    const asked = () => scene.proxy.events.filter(({ kind }) => kind === "issuer_introspected").length;
    const before = asked();
    await waitUntil(() => asked() > before, { what: "the issuer to be asked again" });
    const response = await scene.proxy.issuer.post("/token/revocation", { token }, CLIENTS.service);
    await response.body?.cancel();
    await areOver(sessions, REVOKED);
    for (const other of others) {
      assert.equal(await other.ask("select 1"), 1);
      await other[Symbol.asyncDispose]();
    }
  });
});
