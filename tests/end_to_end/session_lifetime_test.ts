import assert from "node:assert/strict";
import { CLIENTS } from "../support/oidc_provider.ts";
import { passwordMessage, readFields } from "../support/raw_messages.ts";
import { waitUntil } from "../support/wait_until.ts";
import { LifetimeStage, TOKEN_SECONDS, Visitor } from "./lifetime_scene.ts";

const EXPIRED = "57P01 terminating connection because its token has expired";
const REVOKED = "28000 terminating connection because its token has been revoked";
const NOT_LET_IN = "28000 terminating connection because the rules no longer let it in";
const TOKEN_MS = TOKEN_SECONDS * 1000;
// The clock of the proxy stands while a token is issued.
const PAST_EXP_MS = TOKEN_MS + 60_000;

Deno.test("how long sessions last", async (t) => {
  await using stage = await LifetimeStage.open();
  let transactions = 0;

  /** Opens a transaction, writes a line in it and calls what happens meanwhile; gives the line. */
  async function beginAnd(ask: (statement: string) => Promise<unknown>): Promise<string> {
    const what = `transaction ${++transactions}`;
    await ask("begin");
    await ask(`insert into done values ('${what}')`);
    return what;
  }

  await t.step(
    "at_expiry = end_when_idle: an open transaction is waited for, and its commit goes through",
    async () => {
      await using scene = await stage.proxy('at_expiry = "end_when_idle"');
      await using client = await scene.client();
      const what = await beginAnd((statement) => client.ask(statement));
      scene.clock.advance(PAST_EXP_MS);
      assert.equal(await client.ask("select 1"), 1);
      await client.ask("commit");
      assert.equal(await client.isOver(), EXPIRED);
      assert((await stage.done()).includes(what));
      const { how, reason } = await scene.proxy.observed("session_ended");
      assert.deepEqual([how, reason], [
        "ended_by_policy",
        "terminating connection because its token has expired",
      ]);
    },
  );

  await t.step("at_expiry = end_when_idle: a failed transaction is waited for", async () => {
    await using scene = await stage.proxy('at_expiry = "end_when_idle"');
    await using client = await scene.client();
    await client.ask("begin");
    await assert.rejects(client.ask("select 1/0"), { code: "22012" });
    scene.clock.advance(PAST_EXP_MS);
    await assert.rejects(client.ask("select 1"), { code: "25P02" });
    await client.ask("rollback");
    assert.equal(await client.isOver(), EXPIRED);
  });

  await t.step("at_expiry = end_when_idle: an idle client is told at once, a listening one too", async () => {
    await using scene = await stage.proxy('at_expiry = "end_when_idle"');
    await using idle = await scene.client();
    await using listening = await scene.client();
    await listening.ask("listen news");
    scene.clock.advance(PAST_EXP_MS);
    assert.equal(await idle.isOver(), EXPIRED);
    assert.equal(await listening.isOver(), EXPIRED);
    await waitUntil(
      async () =>
        (await stage.cluster.sql("select from pg_stat_activity where usename = 'app_scram'")).length === 0,
      { what: "both backends to be gone" },
    );
  });

  await t.step("at_expiry = end_now: an open transaction is cut, and rolled back", async () => {
    await using scene = await stage.proxy('at_expiry = "end_now"');
    await using client = await scene.client();
    const what = await beginAnd((statement) => client.ask(statement));
    scene.clock.advance(PAST_EXP_MS);
    assert.equal(await client.isOver(), EXPIRED);
    assert(!(await stage.done()).includes(what));
  });

  await t.step("at_expiry = end_now: a statement that runs is cancelled", async () => {
    await using scene = await stage.proxy('at_expiry = "end_now"');
    await using client = await scene.client();
    const isSleeping = async () =>
      (await stage.cluster.sql(
        "select from pg_stat_activity where query like 'select pg_sleep%' and state = 'active'",
      ))
        .length === 1;
    const sleeping = assert.rejects(client.ask("select pg_sleep(60)"), { code: "57P01" });
    await waitUntil(isSleeping, { what: "the statement to run" });
    scene.clock.advance(PAST_EXP_MS);
    await sleeping;
    await waitUntil(async () => !await isSleeping(), { what: "the statement to be cancelled" });
  });

  await t.step("a client is told a minute before, whatever the session is doing", async () => {
    await using scene = await stage.proxy('at_expiry = "end_when_idle"');
    await using idle = await scene.client();
    await using busy = await scene.client();
    await busy.ask("begin");
    scene.clock.advance(TOKEN_MS - 30_000);
    await waitUntil(() => idle.notices.length + busy.notices.length === 2, { what: "the notices" });
    for (const notice of [...idle.notices, ...busy.notices]) {
      assert.match(notice, /^this connection's token expires in \d\d s$/);
    }
    assert.equal(await idle.ask("select 1"), 1);
    await busy.ask("commit");
  });

  await t.step("a notice stands between two rows of a result that streams by", async () => {
    await using scene = await stage.proxy('at_expiry = "end_when_idle"');
    await using client = await scene.client();
    const rows = client.client.query({
      text: "select repeat('x', 500) from generate_series(1, 60000)",
      rowMode: "array",
    });
    scene.clock.advance(TOKEN_MS - 30_000);
    assert.equal((await rows).rows.length, 60_000);
    assert.equal(client.notices.length, 1);
  });

  await t.step("at_expiry = keep: a session outlives its token", async () => {
    await using scene = await stage.proxy('at_expiry = "keep"');
    const timers = scene.clock.timerCount;
    await using client = await scene.client();
    scene.clock.advance(10 * TOKEN_MS);
    assert.equal(await client.ask("select 1"), 1);
    assert.deepEqual(client.notices, []);
    assert.equal(scene.clock.timerCount, timers);
  });

  await t.step(
    "max_session: a session ends between two transactions when it has lasted so long",
    async () => {
      await using scene = await stage.proxy('max_session = "10m"');
      await using client = await scene.client();
      const what = await beginAnd((statement) => client.ask(statement));
      scene.clock.advance(600_001);
      await client.ask("commit");
      assert.equal(await client.isOver(), "57P01 terminating connection due to maximum session duration");
      assert((await stage.done()).includes(what));
      assert.equal(client.notices.length, 1);
    },
  );

  await t.step(
    "a deny list ends the live sessions it names, and no others, and lets nobody in again",
    async () => {
      await using scene = await stage.proxy('at_revocation = "end_now"', {
        issuer: 'deny_list = "denied.txt"',
        files: { "denied.txt": "# nobody yet\n" },
      });
      await using alice = await scene.client("alice");
      await using bob = await scene.client("bob");
      await using carol = await scene.client("carol", { claims: { jti: "carols-token" } });
      await scene.proxy.writeFile("denied.txt", "sub alice@example.com\njti carols-token\n");
      assert.equal(await alice.isOver(), REVOKED);
      assert.equal(await carol.isOver(), REVOKED);
      assert.equal(await bob.ask("select 1"), 1);
      await assert.rejects(scene.client("alice"), { code: "28P01" });
      await using _another = await scene.client("carol");
      const { entries } = await scene.proxy.observed("deny_list_changed");
      assert.equal(entries, 2);
      await scene.proxy.writeFile("denied.txt", "alice@example.com\n");
      const { reason } = await scene.proxy.observed("deny_list_failed");
      assert.match(reason, /denied\.txt:1 must be "jti" or "sub", a blank and its value$/);
      await assert.rejects(scene.client("alice"), { code: "28P01" });
    },
  );

  await t.step(
    "reintrospect: a session ends whose token was revoked, and goes on while its issuer is down",
    async () => {
      const { id, secret } = CLIENTS.proxy;
      await using scene = await stage.proxy('reintrospect = "5m"', {
        issuer: `introspection = { client_id = "${id}", client_secret_file = "client-secret" }`,
        files: { "client-secret": secret },
      });
      const order = { sub: "alice@example.com", format: "opaque", expiresInSeconds: TOKEN_SECONDS } as const;
      await using client = await scene.client("alice", order);
      scene.proxy.issuer.isDown = true;
      scene.clock.advance(6 * 60_000);
      const { issuer } = await scene.proxy.observed("reintrospection_failed");
      assert.equal(issuer, "corp");
      assert.equal(await client.ask("select 1"), 1);

      scene.proxy.issuer.isDown = false;
      const token = await scene.proxy.issuer.mint(order);
      await using revoked = await Visitor.connect(scene.proxy, "alice", token);
      const response = await scene.proxy.issuer.post("/token/revocation", { token }, CLIENTS.service);
      await response.body?.cancel();
      scene.clock.advance(6 * 60_000);
      assert.equal(await revoked.isOver(), REVOKED);
      assert.equal(await client.ask("select 1"), 1);
    },
  );

  await t.step(
    "a reload without the rule: at_reload says what becomes of those who came in by it",
    async () => {
      await using scene = await stage.proxy('at_reload = "end_when_idle"');
      await using idle = await scene.client();
      await using busy = await scene.client();
      const what = await beginAnd((statement) => busy.ask(statement));
      await scene.proxy.reload(stage.rule('at_reload = "end_now"').replace("example", "example2"));
      assert.equal(await idle.isOver(), NOT_LET_IN);
      await busy.ask("commit");
      assert.equal(await busy.isOver(), NOT_LET_IN);
      assert((await stage.done()).includes(what));
      await assert.rejects(scene.client(), { code: "28P01" });
      const { sessions } = await scene.proxy.observed("configuration_reloaded");
      assert.equal(sessions, 2);
    },
  );

  await t.step("a reload without the rule: end_now cuts, keep keeps", async () => {
    for (const atReload of ["end_now", "keep"]) {
      await using scene = await stage.proxy(`at_reload = "${atReload}"`);
      await using client = await scene.client();
      await beginAnd((statement) => client.ask(statement));
      await scene.proxy.reload(stage.rule("").replace("example", "example2"));
      if (atReload === "end_now") assert.equal(await client.isOver(), NOT_LET_IN);
      else {
        assert.equal(await client.ask("select 1"), 1);
        await client.ask("commit");
        assert.equal(await client.ask("select 2"), 2);
      }
    }
  });

  await t.step(
    "a reload of the same rules ends nobody, and how long they may last is the new rule's",
    async () => {
      await using scene = await stage.proxy("");
      await using client = await scene.client();
      await scene.proxy.reload(stage.rule('at_expiry = "end_now"'));
      assert.equal(await client.ask("select 1"), 1);
      scene.clock.advance(PAST_EXP_MS);
      assert.equal(await client.isOver(), EXPIRED);
    },
  );

  await t.step("a reload of a broken file changes nothing, and tells of every mistake", async () => {
    await using scene = await stage.proxy('at_reload = "end_now"');
    await using client = await scene.client();
    await scene.proxy.reload(stage.rule('at_expiry = "never"\nlogin_sa = "x"'));
    const { reason } = await scene.proxy.observed("reload_failed");
    assert.match(
      reason,
      /config\.toml:\d+: rules\[0\]\.at_expiry must be one of keep, end_when_idle, end_now\n/,
    );
    assert.match(
      reason,
      /config\.toml:\d+: rules\[0\]\.login_sa is not a known key: did you mean login_as\?$/,
    );
    assert.equal(await client.ask("select 1"), 1);
    await using _another = await scene.client();
    assert(!scene.proxy.events.some(({ kind }) => kind === "configuration_reloaded"));
  });

  await t.step(
    "a login under way goes through by the old issuers, and is held against the new rules",
    async () => {
      await using scene = await stage.proxy('at_reload = "end_now"');
      const token = await scene.proxy.issuer.mint({
        sub: "alice@example.com",
        expiresInSeconds: TOKEN_SECONDS,
      });
      await using connection = await scene.rawLogin();
      await scene.proxy.reload(stage.rule("").replace("example", "example2"));
      await connection.send(passwordMessage(token));
      const messages = await connection.receiveMessagesUntil("E");
      assert(messages.some(({ type }) => type === "Z"));
      assert.equal(readFields(messages.at(-1)!).C, "28000");
      connection.end();
      await waitUntil(() => scene.proxy.connectionCount === 0, { what: "the session to be over" });
      assert.equal((await scene.proxy.observed("session_ended")).how, "ended_by_policy");
    },
  );
});
