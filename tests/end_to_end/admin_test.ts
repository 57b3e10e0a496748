import assert from "node:assert/strict";
import type { ReadinessAnswer } from "../../lib/observe/readiness.ts";
import { waitUntil } from "../support/wait_until.ts";
import { OperatorScene } from "./operator_scene.ts";

Deno.test("an operator sees how the program is, from its start to its end", async (t) => {
  await using scene = await OperatorScene.start({
    toml: '[admin]\naddress = "127.0.0.1:0"\n[service]\ndrain_delay = "1s"\ngrace_period = "10s"',
  });
  const [, port] = await scene.program.until(/listening for admin address=127\.0\.0\.1:(\d+) tls=false/);
  const ask = async (path: string) => {
    const response = await fetch(`http://127.0.0.1:${port}${path}`);
    return { status: response.status, body: await response.text() };
  };
  const readiness = async (): Promise<ReadinessAnswer> => JSON.parse((await ask("/ready")).body);
  const untilReady = (ready: boolean) =>
    waitUntil(async () => (await readiness()).ready === ready, { what: `ready: ${ready}` });

  await t.step("it is alive", async () => {
    assert.deepEqual(await ask("/health"), { status: 200, body: "OK" });
  });

  await t.step("it is ready when its backend has been asked, which logs nothing there", async () => {
    await untilReady(true);
    const { status, body } = await ask("/ready");
    assert.equal(status, 200);
    const { backends, issuers, reasons, warnings } = JSON.parse(body) as ReadinessAnswer;
    assert.deepEqual({ reasons, warnings }, { reasons: [], warnings: [] });
    assert.deepEqual(issuers, [{ name: "corp", usable: true }]);
    assert.deepEqual(backends.map(({ name, answered }) => [name, answered]), [["main", true]]);
    assert.doesNotMatch(await scene.cluster.log(), /reset by peer|could not accept SSL|incomplete startup/);
  });

  await t.step("its metrics count logins, by both names", async () => {
    await scene.visit();
    for (const path of ["/metrics", "/vars"]) {
      const { body } = await ask(path);
      assert.match(body, /^sql_auth_successes_total 1$/m);
      assert.match(body, /^open_connection_count \d+$/m);
    }
  });

  await t.step("a reload that fails is told with its reasons, until one succeeds", async () => {
    await scene.reload((toml) => toml.replace("match =", "mach ="));
    const failure = await waitUntil(async () => (await readiness()).last_reload_failure, {
      what: "the failure of the reload",
    });
    assert.match(failure.reasons.join(), /rules\[0\]\.mach is not a known key: did you mean match\?/);
    assert.equal((await readiness()).ready, true);
    await scene.reload((toml) => toml);
    await waitUntil(async () => (await readiness()).last_reload_failure === undefined, {
      what: "the reload that succeeds",
    });
  });

  await t.step(
    "it is not ready while its only backend is gone, and soon again when that is back",
    async () => {
      await scene.cluster.shutDown();
      // Another configuration has its backends asked anew, and the port of one that is gone is refused at once.
      await scene.reload((toml) =>
        toml.replace('name = "main"', 'name = "again"').replace('backend = "main"', 'backend = "again"')
      );
      await untilReady(false);
      const { reasons, warnings } = await readiness();
      assert.deepEqual(reasons, ["no backend has answered within the last 60 s"]);
      assert.match(warnings.join(), /^backend again: /);
      await scene.cluster.start();
      await untilReady(true);
    },
  );

  await t.step("it is not ready from the moment it is told to end, and still answers", async () => {
    scene.program.kill("SIGTERM");
    await untilReady(false);
    assert.deepEqual((await readiness()).reasons, ["draining: no new connections, please"]);
    assert.equal((await ask("/health")).status, 200);
    assert.equal(await scene.program.ended(), 0);
  });
});
