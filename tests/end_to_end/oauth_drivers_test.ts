import assert from "node:assert/strict";
import pg from "pg";
import postgres from "postgres";
import { runPsql, testWithPsql } from "../support/psql.ts";
import { testWithTokenHook } from "../support/token_hook.ts";
import { BY_OAUTHBEARER, I_AM_ALICE, OauthScene, SESSION, WHO_AM_I } from "./oauth_scene.ts";

/** What asks for passwords in the database `accounts`, and takes tokens by OAUTHBEARER everywhere else. */
const WAYS_IN = `
[[ways_in]]
databases = ["accounts"]
method = "password"
${BY_OAUTHBEARER}`;

/** Far below the login timeout: whoever waits for that has hung. */
const AT_ONCE_MS = 5_000;

let scene: OauthScene;
let token: string;

Deno.test.beforeAll(async () => {
  scene = await OauthScene.start({ waysIn: WAYS_IN, limits: "discoveries_per_minute = 2" });
  token = await scene.mint();
});

Deno.test.afterEach(() => scene.isQuiet());

Deno.test.afterAll(async () => {
  await scene[Symbol.asyncDispose]();
});

const DRIVERS = {
  "pg": {
    logIn: withPg,
    error: { message: "SASL: Only mechanism(s) SCRAM-SHA-256 are supported" },
    // It says good-bye where its answer is awaited.
    refusal: { sqlstate: "08P01", message: 'expected SASLInitialResponse, got message type "X"' },
  },
  "postgres.js": {
    logIn: withPostgresJs,
    // It never looks at what it is offered: the proxy tells it.
    error: { code: "08P01", message: "client selected an invalid SASL authentication mechanism" },
    refusal: { sqlstate: "08P01", message: "client selected an invalid SASL authentication mechanism" },
  },
};

for (const [name, { logIn, error, refusal }] of Object.entries(DRIVERS)) {
  Deno.test(`${name} does not speak OAUTHBEARER, fails at once, and leaves nothing behind`, async () => {
    const begun = performance.now();
    const { events } = await scene.eventsOf(() => assert.rejects(logIn("postgres"), error));
    assert(performance.now() - begun < AT_ONCE_MS);
    const refusals = events.flatMap((event) => event.kind === "login_refused" ? [event] : []);
    assert.deepEqual(refusals.map(({ sqlstate, message }) => ({ sqlstate, message })), [refusal]);
  });

  Deno.test(`${name} works through the same proxy where the token is the password`, async () => {
    const { result, lives } = await scene.eventsOf(() => logIn("accounts"));
    assert.deepEqual(result, {
      current_user: "app_scram",
      current_setting: "alice@example.com by the proxy",
    });
    assert.deepEqual(lives, [SESSION]);
  });
}

testWithPsql("psql of any version says why it fails where OAUTHBEARER is all there is", async (psql) => {
  const { code, stderr } = await runPsql(psql, ["-c", "select 1", scene.conninfo()]);
  assert.equal(code, 2);
  assert.match(
    stderr, // before 18, and from then on
    /none of the server's SASL authentication mechanisms are supported|oauth_issuer and oauth_client_id are not both set/,
  );
});

testWithPsql(
  "psql of any version works through the same proxy where the token is the password",
  async (psql) => {
    const target = scene.conninfo({ dbname: "accounts", password: token });
    const { stdout, stderr } = await runPsql(psql, ["-At", "-c", WHO_AM_I, target]);
    assert.deepEqual({ stdout, stderr }, { stdout: I_AM_ALICE, stderr: "" });
  },
);

testWithTokenHook(
  "psql that asks more often than it may reads so, and one that does not ask is let in",
  "psql",
  async () => {
    const asking = async () => (await scene.query(token)).stderr;
    assert.deepEqual([await asking(), await asking()], ["", ""]);
    assert.match(
      await asking(),
      /FATAL: {2}too many OAuth discovery requests from this address\nHINT: {2}Try again in \d+ seconds\.\n$/,
    );
    const oauth_issuer = `${scene.issuer.url}/.well-known/openid-configuration`;
    assert.equal((await scene.query(token, WHO_AM_I, { oauth_issuer })).stdout, I_AM_ALICE);
  },
);

/** Logs in, asks who it is, and leaves. */
async function withPg(database: string): Promise<unknown> {
  const client = new pg.Client({ ...scene.proxy.driverOptions(token), user: "alice", database });
  try {
    await client.connect();
    return (await client.query(WHO_AM_I)).rows[0];
  } finally {
    await client.end();
  }
}

/** Logs in, asks who it is, and leaves. */
async function withPostgresJs(database: string): Promise<unknown> {
  const sql = postgres({ ...scene.proxy.driverOptions(token), user: "alice", database, max: 1 });
  try {
    return { ...(await sql.unsafe(WHO_AM_I))[0] };
  } finally {
    await sql.end({ timeout: 5 });
  }
}
