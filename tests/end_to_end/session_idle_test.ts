import assert from "node:assert/strict";
import { waitUntil } from "../support/wait_until.ts";
import { type LifetimeScene, LifetimeStage } from "./lifetime_scene.ts";

const IDLE = "57P05 terminating connection due to idle-session timeout";
const IDLE_IN_TRANSACTION = "25P03 terminating connection due to idle-in-transaction timeout";

const MINUTE_MS = 60_000;

Deno.test("how long sessions may be idle", async (t) => {
  await using stage = await LifetimeStage.open();

  /** Lets a minute pass, and everything that is due in it happen. */
  async function pass(scene: LifetimeScene): Promise<void> {
    for (let look = 0; look < 8; look++) {
      scene.clock.advance(MINUTE_MS / 8);
      await Promise.resolve();
    }
  }

  const noBackend = () =>
    waitUntil(
      async () =>
        (await stage.cluster.sql("select from pg_stat_activity where usename = 'app_scram'")).length === 0,
      { what: "the backend to be gone" },
    );

  await t.step("idle_timeout ends a session of which nothing is asked, with LISTEN too", async () => {
    await using scene = await stage.proxy('idle_timeout = "5m"');
    await using idle = await scene.client();
    await using listening = await scene.client();
    await listening.ask("listen news");
    for (let minute = 0; minute < 4; minute++) await pass(scene);
    await stage.cluster.sql("notify news, 'still there'");
    await waitUntil(() => idle.isConnected && listening.isConnected, { what: "both to be connected" });
    for (let minute = 0; minute < 2; minute++) await pass(scene);
    assert.equal(await idle.isOver(), IDLE);
    assert.equal(await listening.isOver(), IDLE);
    const { how, reason } = await scene.proxy.observed("session_ended");
    assert.deepEqual([how, reason], [
      "ended_by_policy",
      "terminating connection due to idle-session timeout",
    ]);
    await noBackend();
  });

  await t.step(
    "idle_timeout lets a session be that asks now and then, or that has a transaction open",
    async () => {
      await using scene = await stage.proxy('idle_timeout = "5m"');
      await using busy = await scene.client();
      await using inside = await scene.client();
      await inside.ask("begin");
      for (let minute = 0; minute < 12; minute++) {
        await pass(scene);
        if (minute % 4 === 3) assert.equal(await busy.ask("select 1"), 1);
      }
      assert.equal(await inside.ask("select 2"), 2);
      await inside.ask("commit");
      for (let minute = 0; minute < 6; minute++) await pass(scene);
      assert.equal(await inside.isOver(), IDLE);
    },
  );

  await t.step(
    "idle_in_transaction_timeout ends a transaction that was begun and left, which is undone",
    async () => {
      await using scene = await stage.proxy('idle_in_transaction_timeout = "2m"');
      await using client = await scene.client();
      await using failed = await scene.client();
      await using outside = await scene.client();
      await client.ask("begin");
      await client.ask("insert into done values ('left')");
      await failed.ask("begin");
      await assert.rejects(failed.ask("select 1/0"), { code: "22012" });
      // PostgreSQL says that a statement has failed before it says that it is ready for another.
      await waitUntil(async () => {
        await pass(scene);
        return !client.isConnected && !failed.isConnected;
      }, { what: "both to be over" });
      assert.equal(await client.isOver(), IDLE_IN_TRANSACTION);
      assert.equal(await failed.isOver(), IDLE_IN_TRANSACTION);
      assert.equal(await outside.ask("select 3"), 3);
      assert(!(await stage.done()).includes("left"));
    },
  );

  await t.step("a statement may run for longer than a session may be idle", async () => {
    await using scene = await stage.proxy('idle_timeout = "1m"\nidle_in_transaction_timeout = "1m"');
    await using client = await scene.client();
    const isRunning = async () =>
      (await stage.cluster.sql(
        "select from pg_stat_activity where query like 'select pg_advisory_lock%' and state = 'active'",
      )).length === 1;
    await using holder = await scene.client("bob");
    await holder.ask("select pg_advisory_lock(1)");
    const waiting = client.ask("select pg_advisory_lock(1)");
    await waitUntil(isRunning, { what: "the statement to run" });
    for (let minute = 0; minute < 5; minute++) await pass(scene);
    // The holder of the lock was idle, and its end is what the statement has waited for.
    assert.equal(await holder.isOver(), IDLE);
    await waiting;
    assert.equal(await client.ask("select 4"), 4);
  });

  await t.step("a reload brings another patience to the sessions that are there", async () => {
    await using scene = await stage.proxy("");
    await using client = await scene.client();
    await scene.proxy.reload(stage.rule('idle_timeout = "1m"'));
    for (let minute = 0; minute < 2; minute++) await pass(scene);
    assert.equal(await client.isOver(), IDLE);
  });
});
