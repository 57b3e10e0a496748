import assert from "node:assert/strict";
import { Turnstile } from "../../lib/workers/turnstile.ts";

Deno.test("enter() lets one through after the other, in the order in which they came", async () => {
  const turnstile = new Turnstile();
  const inside: string[] = [];
  let most = 0;
  async function pass(name: string): Promise<void> {
    const leave = await turnstile.enter();
    inside.push(name);
    most = Math.max(most, inside.length);
    seen.push(name);
    await new Promise((resolve) => setTimeout(resolve));
    inside.pop();
    leave();
  }
  const seen: string[] = [];
  await Promise.all(["a", "b", "c"].map(pass));
  assert.deepEqual([seen, most], [["a", "b", "c"], 1]);
});

Deno.test("enter() waits for nobody when whoever was inside has left", async () => {
  const turnstile = new Turnstile();
  (await turnstile.enter())();
  (await turnstile.enter())();
});

Deno.test("leaving twice lets nobody else in", async () => {
  const turnstile = new Turnstile();
  const leave = await turnstile.enter();
  const second = turnstile.enter();
  let isThirdIn = false;
  const third = turnstile.enter().then((leave) => {
    isThirdIn = true;
    return leave;
  });
  leave();
  leave();
  const leaveSecond = await second;
  await new Promise((resolve) => setTimeout(resolve));
  assert.equal(isThirdIn, false);
  leaveSecond();
  (await third)();
});
