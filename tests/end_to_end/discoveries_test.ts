import assert from "node:assert/strict";
import { startLoginScene } from "./login_scene.ts";

Deno.test("T18 discovery is no failed login, however often it is asked", async () => {
  await using scene = await startLoginScene("oauthbearer", { limits: "failed_logins = 2" });
  for (let count = 0; count < 6; count++) assert.equal((await scene.discover()).told, "28000");
  assert.equal((await scene.logIn()).told, "in");
  const count = (kind: string) => scene.proxy.events.filter((event) => event.kind === kind).length;
  assert.deepEqual([count("discovery_answered"), count("login_refused")], [6, 0]);
});

Deno.test("T18 discovery has a limit of its own for each address", async () => {
  await using scene = await startLoginScene("oauthbearer", { limits: "discoveries_per_minute = 3" });
  for (let count = 0; count < 3; count++) assert.equal((await scene.discover()).told, "28000");
  assert.equal((await scene.discover()).told, "53300");
  const { sqlstate, message, reason, blame } = await scene.proxy.observed("login_refused");
  assert.deepEqual({ sqlstate, message, reason, blame }, {
    sqlstate: "53300",
    message: "too many OAuth discovery requests from this address",
    reason: "more than 3 a minute (limits.discoveries_per_minute)",
    blame: "frontend",
  });
  assert.equal((await scene.discover({ from: "127.0.0.2" })).told, "28000");
  assert.equal((await scene.logIn()).told, "in", "a token is no question where to get one");
  scene.pass(20_000);
  assert.equal((await scene.discover()).told, "28000");
  assert.equal((await scene.discover()).told, "53300");
});
