import assert from "node:assert/strict";
import { waitUntil } from "../support/wait_until.ts";
import { closeBehind, type LimitsScenario, LimitsScene, type Login } from "./limits_scene.ts";

const workers = 2;

interface Case extends LimitsScenario {
  readonly limit: string;
}

Deno.test.each<Case>([
  { limit: "connections", limits: "connections = 5" },
  { limit: "connections_per_address", limits: "connections_per_address = 5" },
  { limit: "connections_per_identity", limits: "connections_per_identity = 5" },
  { limit: "connections_per_network", limits: 'connections_per_network = { "127.0.0.0/24" = 5 }' },
  { limit: "rules.max_connections", rule: "max_connections = 5" },
  { limit: "backends.max_connections", backend: "max_connections = 5" },
])("$limit holds exactly over both workers, however many come at once", async ({ limit, ...scenario }) => {
  await using scene = await LimitsScene.start({ ...scenario, workers });
  await scene.token("alice");
  const logins = await Promise.all(Array.from({ length: 16 }, () => scene.logIn()));
  const inside = logins.filter(({ outcome }) => outcome === "in");
  const outside = logins.filter(({ outcome }) => outcome !== "in");
  assert.equal(inside.length, 5);
  for (const { outcome } of outside) assert.match(outcome, /^53300; too many connections.* be 5 at a time/);
  assert.equal((await scene.proxy.observed("login_refused")).fault, limit);

  // Each that leaves has its place taken by one more, and by one only.
  for (const { client } of inside.slice(0, 3)) client.end();
  await scene.counts(2);
  const later = await Promise.all(Array.from({ length: 8 }, () => scene.logIn()));
  assert.equal(later.filter(({ outcome }) => outcome === "in").length, 3);
});

Deno.test("W12 limits.unauthenticated holds over both workers: who came first makes room", async () => {
  await using scene = await LimitsScene.start({ limits: "unauthenticated = 6", workers });
  const silent = [];
  for (let count = 1; count <= 12; count++) {
    silent.push(await scene.silent());
    await waitUntil(() => scene.proxy.connectionCount === count, { what: `${count} connections` });
  }
  await scene.counts(0, 6);
  // Those that were dismissed are told why, if they get as far as asking for something.
  const told = await Promise.all(silent.map((client) => scene.approach(client)));
  assert.deepEqual(told.map((outcome) => outcome.slice(0, 5)), [
    ...new Array(6).fill("53300"),
    ...new Array(6).fill("asked"),
  ]);
  assert.match(told[0], /too many connections are logging in; There may be 6 at a time/);
  await Promise.all(silent.slice(0, 6).map(closeBehind));
  assert.equal((await scene.logIn()).outcome, "in");
});

Deno.test("T18 failed logins are counted over both workers, and refused in both", async () => {
  const refusedFor = 'failed_logins_refused_for = "3s"';
  await using scene = await LimitsScene.start({ limits: `failed_logins = 6\n${refusedFor}`, workers });
  const guess = (login: Login = {}) => scene.logIn({ token: "guessed", ...login });
  for (let count = 0; count < 6; count++) assert.match((await guess()).outcome, /^28P01/, `${count}`);
  const outcomes = new Set<string>();
  for (let count = 0; count < 12; count++) outcomes.add((await scene.logIn()).outcome.slice(0, 5));
  assert.deepEqual(outcomes, new Set(["53300"]));
  assert.equal((await scene.proxy.observed("login_refused")).fault, "failed_logins");
  // Neither a neighbour nor the user elsewhere is locked out.
  assert.equal((await scene.logIn({ user: "bob" })).outcome, "in");
  assert.equal((await scene.logIn({ localAddress: "127.0.0.2" })).outcome, "in");
  await waitUntil(async () => (await scene.logIn()).outcome === "in", {
    what: "the refusal to be over",
    intervalMs: 100,
  });
  // A good login forgives what failed before it, whichever worker it was with.
  for (let count = 0; count < 3; count++) {
    for (let failure = 0; failure < 2; failure++) assert.match((await guess()).outcome, /^28P01/);
    assert.equal((await scene.logIn()).outcome, "in");
  }
});

Deno.test("a reload of limits is one for both workers", async () => {
  await using scene = await LimitsScene.start({ limits: "connections = 2", workers });
  await scene.logIn();
  await scene.logIn();
  assert.match((await scene.logIn()).outcome, /^53300/);
  await scene.reload({ limits: "connections = 4", workers });
  const logins = await Promise.all(Array.from({ length: 8 }, () => scene.logIn()));
  assert.equal(logins.filter(({ outcome }) => outcome === "in").length, 2);
  // Rules are with the workers: when a reload is over, each of them has the new ones.
  for (let max = 4; max > 0; max--) {
    await scene.reload({ rule: `max_connections = ${max}`, workers });
    for (let count = 0; count < 3; count++) {
      assert.match((await scene.logIn()).outcome, new RegExp(`be ${max} at a time \\(rules.max_connections`));
    }
  }
  await scene.reload({ limits: "connections = 4", workers: 3 });
  const { reason } = await scene.proxy.observed("reload_failed");
  assert.match(reason, /^service\.workers has changed/);
});

Deno.test("T16 whoever has no good token never learns of a limit, whichever worker is asked", async () => {
  await using scene = await LimitsScene.start({ limits: "connections = 1", workers });
  assert.equal((await scene.logIn()).outcome, "in");
  for (let count = 0; count < 6; count++) {
    assert.match((await scene.logIn({ token: "guessed" })).outcome, /^28P01/);
    assert.match((await scene.logIn()).outcome, /^53300/);
  }
});
