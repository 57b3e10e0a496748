import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { fileURLToPath } from "node:url";
import pg from "pg";
import { PostgresCluster } from "../support/postgres_cluster.ts";
import { RunningProxy } from "../support/running_proxy.ts";
import { waitUntil } from "../support/wait_until.ts";

const EXAMPLE = fileURLToPath(new URL("../../examples/validators/check_token.sh", import.meta.url));
const EXPIRES = Math.floor(Date.now() / 1000) + 3600;

/** None of them is a JWT; the example knows each by its hash. */
const TOKENS = {
  "alice-may-read": { identity: "alice", roles: ["reader"], expires: EXPIRES },
  "somebody-may-read-and-write": { roles: ["reader", "writer"], expires: EXPIRES },
  "bob-may-nothing": { identity: "bob", roles: [], expires: EXPIRES },
  "alice-might-read": { identity: "alice", roles: ["reader"], expires: EXPIRES - 7200 },
  "carol-is-somebody-else": { identity: "carol", expires: EXPIRES },
};

const resources = new AsyncDisposableStack();
let cluster: PostgresCluster;

// The example needs it, and nothing else does.
const ignore = await lacks("jq");

Deno.test.beforeAll(async () => {
  if (ignore) return;
  const hba = ["127.0.0.1/32", "::1/128"].map((address) => `host all reader,writer ${address} trust`);
  cluster = resources.use(await PostgresCluster.start({ major: 18, hba }));
  for (const role of ["reader", "writer"]) await cluster.sql(`CREATE ROLE ${role} LOGIN`);
});

Deno.test.afterAll(() => resources.disposeAsync());

/** Not shared among the tests: its validator is listened to all the time. */
function startProxy(): Promise<RunningProxy> {
  const known = Object.entries(TOKENS).map(([token, says]) => [sha256(token), says]);
  return RunningProxy.start({
    toml: `
[[issuers]]
name = "legacy"
validator = { command = [${JSON.stringify(EXAMPLE)}, "tokens.json"] }

[[ways_in]]
method = "password"
issuer = "legacy"
databases = ["template1"]

[[backends]]
name = "main"
url = "postgres://reader@localhost:${cluster.port}/?sslmode=disable"
require_auth = ["none"]

[[rules]]
name = "named"
issuer = "legacy"
match = "carol"
users = ["writer"]
backend = "main"
login_as = "writer"

[[rules]]
name = "listed"
issuer = "legacy"
roles = "roles"
backend = "main"
`,
    files: { "tokens.json": JSON.stringify(Object.fromEntries(known)) },
  });
}

for (
  const [token, user, role] of [
    ["alice-may-read", "reader", "reader"],
    ["somebody-may-read-and-write", "writer", "writer"],
    ["carol-is-somebody-else", "writer", "writer"],
  ]
) {
  Deno.test({
    name: `an opaque token of which a program in a shell says ${token} opens a session as ${role}`,
    ignore,
    async fn() {
      await using proxy = await startProxy();
      assert.equal(await currentUser(proxy, { token, user }), role);
    },
  });
}

for (
  const [token, user, reason] of [
    ["alice-may-read", "writer", /^no rule lets in alice of legacy: /],
    ["somebody-may-read-and-write", "postgres", /^no rule lets in a token without sub of legacy: /],
    ["bob-may-nothing", "reader", /^no rule lets in bob of legacy: /],
    ["alice-might-read", "reader", /^expired: The validator authorizes it until a time that is over$/],
    ["nobody-knows", "reader", /^not_authorized: The validator does not authorize it: no such token$/],
  ] as const
) {
  Deno.test({
    name: `T16 the client reads the same and the log why, when ${token} asks for ${user}`,
    ignore,
    async fn() {
      await using proxy = await startProxy();
      await assert.rejects(currentUser(proxy, { token, user }), {
        code: "28P01",
        message: `token authentication failed for user "${user}"`,
      });
      const refused = await proxy.observed("login_refused");
      assert.match(refused.reason ?? "", reason);
    },
  });
}

Deno.test({
  name: "a JWT of another issuer goes to the program where the way in says so, and to its issuer elsewhere",
  ignore,
  async fn() {
    await using proxy = await startProxy();
    const token = await proxy.issuer.mint({ sub: "reader" });
    const reasonFor = async (database: string) => {
      proxy.events.length = 0;
      await assert.rejects(currentUser(proxy, { token, user: "reader", database }));
      return (await proxy.observed("login_refused")).reason;
    };
    assert.match(await reasonFor("template1") ?? "", /^not_authorized: .* no such token$/);
    assert.match(await reasonFor("postgres") ?? "", /^no rule lets in reader of corp: /);
  },
});

Deno.test({
  name: "T17 tokens that a program has judged are in no event",
  ignore,
  async fn() {
    await using proxy = await startProxy();
    await currentUser(proxy, { token: "alice-may-read", user: "reader" });
    await assert.rejects(currentUser(proxy, { token: "nobody-knows", user: "reader" }));
    await proxy.observed("login_refused");
    const told = JSON.stringify(proxy.events);
    for (const token of ["alice-may-read", "nobody-knows"]) assert.ok(!told.includes(token), told);
  },
});

async function currentUser(
  proxy: RunningProxy,
  { token, user, database = "postgres" }: { token: string; user: string; database?: string },
): Promise<string> {
  const client = new pg.Client({ ...proxy.driverOptions(token), user, database });
  try {
    await client.connect();
    return (await client.query("select current_user")).rows[0].current_user;
  } finally {
    await client.end();
    await waitUntil(() => proxy.connectionCount === 0, { what: "the session to end" });
  }
}

function sha256(text: string): string {
  return createHash("sha256").update(text).digest("hex");
}

async function lacks(program: string): Promise<boolean> {
  try {
    await new Deno.Command(program, { args: ["--version"], stdin: "null" }).output();
    return false;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return true;
    throw error;
  }
}
