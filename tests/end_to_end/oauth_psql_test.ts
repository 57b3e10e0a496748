import assert from "node:assert/strict";
import { type ConnectionParameters, runLibpq18, testWithLibpq18 } from "../support/libpq18.ts";
import { testWithTokenHook } from "../support/token_hook.ts";
import { waitUntil } from "../support/wait_until.ts";
import { DISCOVERY, I_AM_ALICE, OauthScene, SESSION } from "./oauth_scene.ts";

const LATEST = { max_protocol_version: "latest" };
const DIRECT = { sslnegotiation: "direct" };

let scene: OauthScene;
let token: string;

Deno.test.beforeAll(async () => {
  scene = await OauthScene.start();
  token = await scene.mint();
  await scene.cluster.sql("create schema shop authorization app_scram");
  await scene.cluster.sql("grant create on schema public to app_scram");
});

Deno.test.afterEach(() => scene.isQuiet());

Deno.test.afterAll(async () => {
  await scene[Symbol.asyncDispose]();
});

testWithTokenHook(
  "psql that has a token asks first all the same, and is in at its second connection",
  "psql",
  async () => {
    const { result: { code, stdout, stderr }, lives } = await scene.eventsOf(() => scene.query(token));
    assert.deepEqual({ code, stdout, stderr }, { code: 0, stdout: I_AM_ALICE, stderr: "" });
    assert.deepEqual(lives, [DISCOVERY, SESSION]);
  },
);

testWithTokenHook("psql that is told the discovery document's place is in at once", "psql", async () => {
  const oauth_issuer = `${scene.issuer.url}/.well-known/openid-configuration`;
  const { result: { stdout, stderr }, lives } = await scene.eventsOf(() =>
    scene.query(token, undefined, { oauth_issuer })
  );
  assert.deepEqual({ stdout, stderr }, { stdout: I_AM_ALICE, stderr: "" });
  assert.deepEqual(lives, [SESSION]);
});

const VARIANTS: readonly [string, ConnectionParameters][] = [
  ["protocol 3.2", LATEST],
  ["direct TLS", DIRECT],
  ["protocol 3.2 and direct TLS", { ...LATEST, ...DIRECT }],
];

for (const [name, parameters] of VARIANTS) {
  testWithTokenHook(`psql brings its token by ${name}`, "psql", async () => {
    const { result: { stdout, stderr }, events } = await scene.eventsOf(() =>
      scene.query(token, "\\conninfo", parameters)
    );
    assert.equal(stderr, "");
    const version = "max_protocol_version" in parameters ? "3.2" : "3.0";
    assert(stdout.includes(`\nProtocol Version|${version}\n`), stdout);
    const isDirect = events.flatMap((event) => event.kind === "tls_established" ? [event.isDirect] : []);
    assert.deepEqual(isDirect, Array(2).fill("sslnegotiation" in parameters));
  });
}

testWithTokenHook("T19 psql brings a token of 16 KiB, which is all there may be", "psql", async () => {
  const { stdout, stderr } = await scene.query(await tokenOfLength(16_384));
  assert.deepEqual({ stdout, stderr }, { stdout: I_AM_ALICE, stderr: "" });
});

const BAD: readonly [string, RegExp, () => Promise<string>][] = [
  ["a token over max_token_bytes", /^too_long: /, () => tokenOfLength(16_386)],
  ["a token of 60 000 bytes", /^too_long: /, () => tokenOfLength(60_000)],
  ["an expired token", /^expired: /, () => scene.mint({ claims: { exp: 1 } })],
  ["a token with another's signature", /^signature: /, () => {
    const [header, payload] = token.split(".");
    return Promise.resolve(`${header}.${payload}.${"A".repeat(86)}`);
  }],
  ["a guess", /^not_a_token: /, () => Promise.resolve("guessed")],
  [
    "the token of somebody without a rule",
    /^no rule lets in /,
    () => scene.mint({ account: "mallory" }),
  ],
];

for (const [name, reason, make] of BAD) {
  testWithTokenHook(`T16 psql with ${name} reads the one sentence that all of them get`, "psql", async () => {
    const bad = await make();
    const { result: { code, stderr }, events } = await scene.eventsOf(() => scene.query(bad));
    const where = `connection to server at "localhost" (127.0.0.1), port ${scene.proxy.port} failed`;
    const lines = [
      `psql: error: ${where}: retrying connection with new bearer token`,
      `${where}: FATAL:  OAuth bearer authentication failed for user "alice"`,
    ];
    assert.deepEqual({ code, stderr }, { code: 2, stderr: lines.join("\n") + "\n" });
    const refusals = events.flatMap((event) => event.kind === "login_refused" ? [event] : []);
    assert.equal(refusals.length, 1);
    assert.match(refusals[0].reason ?? "", reason);
  });
}

for (const [name, parameters] of [["psql", {}], ["psql by protocol 3.2", LATEST]] as const) {
  testWithTokenHook(
    `A7 Ctrl-C in ${name} cancels the query of a session that came in by OAUTHBEARER`,
    "psql",
    async () => {
      await using psql = scene.start("psql", token, { args: ["-c", "select pg_sleep(60)"], parameters });
      await waitUntil(async () => (await scene.cluster.sql(SLEEPERS)).length === 1, {
        what: "psql to sleep",
      });
      psql.interrupt();
      assert.match((await psql.ended).stderr, /ERROR: {2}canceling statement due to user request\n$/);
    },
  );
}

testWithTokenHook("pg_dump writes a schema with its rows", "pg_dump", async () => {
  await scene.cluster.sql(
    "set role app_scram; create table shop.goods (number int); insert into shop.goods values (7)",
  );
  const { code, stdout, stderr } = await scene.run("pg_dump", token, { args: ["--schema=shop"] });
  assert.deepEqual({ code, stderr }, { code: 0, stderr: "" });
  assert.match(stdout, /COPY shop\.goods \(number\) FROM stdin;\n7\n\\\.\n/);
});

testWithTokenHook("pgbench, 2 clients that stay", "pgbench", async () => {
  const args = ["--select-only", "--protocol=prepared", "--client=2", "--transactions=100", "--no-vacuum"];
  assert.match(await pgbench(args), /actually processed: 200\/200/);
});

testWithTokenHook("pgbench, two connections for each transaction", "pgbench", async () => {
  const args = ["--select-only", "--connect", "--client=2", "--transactions=20", "--no-vacuum"];
  const { result, events } = await scene.eventsOf(() => pgbench(args));
  assert.match(result, /actually processed: 40\/40/);
  const count = (kind: string) => events.filter((event) => event.kind === kind).length;
  assert.equal(count("discovery_answered"), count("authenticated"));
  assert.ok(count("authenticated") >= 40);
  assert.equal(count("login_refused"), 0);
});

testWithLibpq18("psql without oauth_issuer says which parameters it misses", "psql", async () => {
  const { code, stderr } = await runLibpq18("psql", ["-c", "select 1", scene.conninfo()]);
  assert.equal(code, 2);
  assert.match(
    stderr,
    /server requires OAuth authentication, but oauth_issuer and oauth_client_id are not both set\n$/,
  );
});

const SLEEPERS = "select 1 from pg_stat_activity where query = 'select pg_sleep(60)' and state = 'active'";

/** Runs pgbench over tables of its own; returns what it tells at the end. */
async function pgbench(args: readonly string[]): Promise<string> {
  const run = async (args: readonly string[]) => {
    const { code, stdout, stderr } = await scene.run("pgbench", token, { args });
    assert.equal(code, 0, stdout + stderr);
    return stdout;
  };
  await run(["--initialize", "--quiet", "--scale=1"]);
  return await run(args);
}

/** A good token of exactly so many bytes. */
async function tokenOfLength(length: number): Promise<string> {
  // Three bytes of padding become four of base64url: near the length wanted, it is found by trying.
  const padded = (count: number) => scene.mint({ claims: { padding: "x".repeat(count) } });
  const about = Math.floor((length - (await padded(0)).length) * 3 / 4);
  for (let count = about - 2; count <= about + 2; count++) {
    const token = await padded(count);
    if (token.length === length) return token;
  }
  throw new Error(`No token of ${length} bytes was found`);
}
