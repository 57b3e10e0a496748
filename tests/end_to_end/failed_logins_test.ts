import assert from "node:assert/strict";
import { logLines, refusal } from "./hostile_scene.ts";
import { type Method, startLoginScene } from "./login_scene.ts";

const METHODS: [Method][] = [["password"], ["oauthbearer"]];

const REFUSED = { password: "28P01", oauthbearer: "28000" } as const;

Deno.test.each(METHODS)("T18 failed logins by %s are slowed, then refused for a while", async (method) => {
  await using scene = await startLoginScene(method);
  const outcomes = [];
  for (let count = 0; count < 5; count++) outcomes.push(await scene.logIn({ token: "guessed" }));
  assert.deepEqual(outcomes.map(({ told }) => told), Array(5).fill(REFUSED[method]));
  assert(outcomes[3].durationMs >= 90, `the fourth took ${outcomes[3].durationMs} ms`);
  assert(outcomes[4].durationMs >= 190, `the fifth took ${outcomes[4].durationMs} ms`);

  const refused = await scene.logIn();
  assert.deepEqual({ told: refused.told, isAsked: refused.isAsked }, { told: "53300", isAsked: false });
  scene.pass(50_000);
  assert.equal((await scene.logIn()).told, "53300");
  scene.pass(10_000);
  assert.equal((await scene.logIn()).told, "in");
});

Deno.test.each(METHODS)("T18 the neighbours of one refused by %s log in at once", async (method) => {
  await using scene = await startLoginScene(method);
  await scene.failToTheEnd();
  assert.equal((await scene.logIn()).told, "53300");
  assert.equal((await scene.logIn({ user: "bob" })).told, "in");
  assert.equal((await scene.logIn({ from: "127.0.0.2" })).told, "in");
});

Deno.test.each(METHODS)(
  "T18 a token that comes by %s after the refusal began is not looked at",
  async (method) => {
    await using scene = await startLoginScene(method);
    await using early = await scene.connect();
    await scene.failToTheEnd();
    assert.equal(await scene.present(early, scene.token), "53300");
    assert.equal(scene.proxy.events.some(({ kind }) => kind === "token_accepted"), false);
  },
);

Deno.test.each(METHODS)("T18 a good login by %s forgets the failures before it", async (method) => {
  await using scene = await startLoginScene(method);
  for (let count = 0; count < 4; count++) await scene.logIn({ token: "guessed" });
  assert.equal((await scene.logIn()).told, "in");
  for (let count = 0; count < 4; count++) await scene.logIn({ token: "guessed" });
  assert.equal((await scene.logIn()).told, "in");
});

Deno.test("T18 a reload brings its own limits, and forgives nobody what was counted", async () => {
  await using scene = await startLoginScene("password");
  for (let count = 0; count < 3; count++) await scene.logIn({ token: "guessed" });
  await scene.reload("failed_logins = 4");
  assert.equal((await scene.logIn({ token: "guessed" })).told, "28P01");
  assert.equal((await scene.logIn()).told, "53300");
  await scene.reload("failed_logins = 0");
  assert.equal((await scene.logIn()).told, "in");
});

Deno.test("T18 a good token of somebody whom no rule lets in is a failed login", async () => {
  await using scene = await startLoginScene("password");
  const token = await scene.proxy.issuer.mint({ sub: "mallory" });
  for (let count = 0; count < 5; count++) assert.equal((await scene.logIn({ token })).told, "28P01");
  assert.equal((await scene.logIn()).told, "53300");
});

Deno.test("T18 what is no token, by OAUTHBEARER, is a failed login", async () => {
  await using scene = await startLoginScene("oauthbearer");
  for (let count = 0; count < 5; count++) assert.equal((await scene.logIn({ token: "!" })).told, "28000");
  assert.equal((await scene.logIn()).told, "53300");
});

Deno.test("T18 an issuer that is down makes no failed login", async () => {
  await using scene = await startLoginScene("password");
  scene.proxy.issuer.isDown = true;
  for (let count = 0; count < 6; count++) assert.equal((await scene.logIn()).told, "28P01");
  const { blame } = await scene.proxy.observed("login_refused");
  assert.equal(blame, "issuer");
});

Deno.test("T18 a broken message makes no failed login", async () => {
  await using scene = await startLoginScene("password");
  for (let count = 0; count < 6; count++) {
    await using client = await scene.connect();
    await client.send(Uint8Array.of(0x70, 0, 0, 0, 4)); // a PasswordMessage that ends where its password should begin
    assert.equal((await refusal(client)).C, "08P01");
  }
  assert.equal((await scene.logIn()).told, "in");
});

Deno.test("T18 a refusal is in the log, with its reason and no token", async () => {
  await using scene = await startLoginScene("password");
  await scene.failToTheEnd();
  await scene.logIn();
  const line = logLines(scene.proxy, "text").findLast((each) => each.includes("53300"))!;
  assert.match(line, /info.*login refused/i);
  assert.match(line, /refused for 1m after 5 within 5m/);
  assert(!line.includes(scene.token));
});

Deno.test("T18 the deadline of the login ends an answer that is held back for longer", async () => {
  await using scene = await startLoginScene("password", {
    limits: "failed_logins = 20",
    listen: 'login_timeout = "700ms"',
  });
  const told = [];
  // Held back for 100, 200, 400 and 800 ms.
  for (let count = 0; count < 7; count++) told.push((await scene.logIn({ token: "guessed" })).told);
  assert.deepEqual(told, [...Array(6).fill("28P01"), "57014"]);
});
