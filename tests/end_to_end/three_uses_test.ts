import assert from "node:assert/strict";
import { PostgresCluster } from "../support/postgres_cluster.ts";
import { runPsql, testWithPsql } from "../support/psql.ts";
import type { RawConnection } from "../support/raw_connection.ts";
import { passwordMessage, startupMessage } from "../support/raw_messages.ts";
import { RunningProxy } from "../support/running_proxy.ts";
import { waitUntil } from "../support/wait_until.ts";
import { connectToPassword, firstRow, logIn, logLines, refusal } from "./hostile_scene.ts";

const DAY_MS = 86_400_000;

/** Everything of a token that tells who its bearer is. */
const PERSON = {
  sub: "subject-4711",
  name: "Alice Liddell",
  email: "alice@wonderland.example",
  preferred_username: "aliceinw",
  jti: "token-0815",
};

const resources = new AsyncDisposableStack();
let cluster: PostgresCluster;
/** Records who its clients are. */
let open: RunningProxy;
/** Records nobody. */
let closed: RunningProxy;
let clockMs = Date.now();

/** Lets in whoever it is, whatever that one is called. */
const ANY = { use: "any", roles: ["reader"] };

Deno.test.beforeAll(async () => {
  cluster = resources.use(
    await PostgresCluster.start({
      major: 18,
      hba: [
        "host all reader,writer,app_trust 127.0.0.1/32 trust",
        "host all reader,writer,app_trust ::1/128 trust",
      ],
    }),
  );
  for (const role of ["reader", "writer"]) await cluster.sql(`CREATE ROLE ${role} LOGIN`);
  const now = () => clockMs;
  open = resources.use(await RunningProxy.start({ toml: openToml(), now }));
  closed = resources.use(
    await RunningProxy.start({ toml: closedToml(), files: { key: "k".repeat(40) }, now }),
  );
});

// What a session still has to do when its client has left belongs to the test that opened it.
Deno.test.afterEach(async () => {
  clockMs = Date.now();
  const count = () => open.connectionCount + closed.connectionCount;
  await waitUntil(() => count() === 0, { what: "every session to end" });
});

Deno.test.afterAll(() => resources.disposeAsync());

Deno.test.each<[use: string, claims: Record<string, unknown>, user: string, role: string | null]>([
  ["authentication", { sub: "reader@example.com" }, "reader", "reader"],
  ["authentication", { sub: "reader@example.com" }, "writer", null],
  ["authentication", { sub: "reader@elsewhere.org" }, "reader", null],
  ["authorisation", { realm_access: { roles: ["dev", "reader"] } }, "reader", "reader"],
  ["authorisation", { realm_access: { roles: ["dev", "reader"] } }, "writer", null],
  ["authorisation", { realm_access: { roles: ["postgres"] } }, "postgres", null],
  ["authorisation", { realm_access: {} }, "reader", null],
  ["scope", { scope: "openid pg:writer pg:reader" }, "writer", "writer"],
  ["scope", { scope: "openid pg:reader" }, "writer", null],
  ["scope", { scope: "openid reader" }, "reader", null],
  ["both", { sub: "alice@example.com", roles: ["reader"] }, "reader", "app_trust"],
  ["both", { sub: "alice@example.com", roles: ["reader"] }, "writer", null],
  ["both", { sub: "alice@elsewhere.org", roles: ["reader"] }, "reader", null],
])("%s by %j as %s leads to %s", async (use, claims, user, role) => {
  const token = await tokenOf(open, { use, ...claims });
  if (role === null) {
    assert.deepEqual(await refused(open, token, user), refusalOf(user));
    return;
  }
  await using client = await logIn(open.port, token, asking(user));
  assert.deepEqual(await firstRow(client, "select current_user"), [role]);
});

Deno.test("T16 whatever is wrong with a token or its roles, the client reads the same", async () => {
  const hourAgo = Math.floor(Date.now() / 1000) - 3600;
  const young = { use: "young", sub: "alice" };
  const wrong: Record<string, string> = {
    "a role not listed": await tokenOf(open, { use: "authorisation", realm_access: { roles: ["writer"] } }),
    "no roles": await tokenOf(open, { use: "authorisation" }),
    "a token too old": await tokenOf(open, { ...young, iat: hourAgo }),
    "a token without iat": await tokenOf(open, { ...young, iat: undefined }),
    "no rule": await tokenOf(open, { sub: "mallory" }),
    "no token": "correct horse battery staple",
  };
  for (const [what, token] of Object.entries(wrong)) {
    assert.deepEqual(await refused(open, token, "reader"), refusalOf("reader"), what);
  }
  await using client = await logIn(open.port, await tokenOf(open, young), asking("reader"));
  assert.deepEqual(await firstRow(client, "select current_user"), ["app_trust"]);
});

testWithPsql("T16 psql reads the same of a forged token and of a role that is not listed", async (psql) => {
  const token = await tokenOf(open, { use: "authorisation", realm_access: { roles: ["writer"] } });
  const run = async (password: string, user: string) => {
    const env = { ...open.libpqEnvironment(password), PGUSER: user, PGDATABASE: "postgres" };
    const { code, stdout, stderr } = await runPsql(psql, ["-Atc", "select current_user"], { env });
    return { code, stdout, stderr };
  };
  assert.deepEqual(await run(token, "writer"), { code: 0, stdout: "writer\n", stderr: "" });
  const [notListed, forged] = [
    await run(token, "reader"),
    await run(`${token.slice(0, -8)}AAAAAAAA`, "reader"),
  ];
  assert.deepEqual(notListed, forged);
  assert.equal(notListed.code, 2);
  assert.ok(notListed.stderr.endsWith(`FATAL:  ${refusalOf("reader").M}\n`), notListed.stderr);
});

Deno.test("a login of a proxy that records who its clients are tells the log and the backend", async () => {
  const token = await tokenOf(open, { use: "both", sub: "alice@example.com", roles: ["reader"], jti: "t-1" });
  await using client = await logIn(open.port, token, asking("reader"));
  assert.deepEqual(await told(client), {
    user: "alice@example.com",
    token: "corp/t-1",
    from: "127.0.0.1 as reader by both",
    application: "alice@example.com via proxy",
  });
  const { identity, tokenId } = lastLogin(open);
  assert.deepEqual([identity, tokenId], ["alice@example.com", "t-1"]);
  const line = logLines(open, "json").findLast((line) => line.includes("session authenticated"))!;
  assert.equal(JSON.parse(line).token_id, "t-1");
});

Deno.test("a token without jti leaves its place empty", async () => {
  await using client = await logIn(
    open.port,
    await tokenOf(open, { ...ANY, sub: "x" }),
    asking("reader"),
  );
  assert.equal((await told(client)).token, "corp/");
});

Deno.test.each([
  ["quotes and backslashes", `o'hara "the\\" \\\\0 \\'`],
  ["a statement", `'; drop role reader; --`],
  ["an option", "x -c role=postgres -c search_path=evil"],
  ["another parameter", "x,role=postgres&user=postgres"],
  ["placeholders", "{user}{{}} {token_id} \\0 \\1 $1 %s"],
  ["another script", "Ålice ✓ 爱丽丝 😀"],
  ["5 kB", `${"x".repeat(4990)}'; drop`],
])("T13 an identity of %s is told whole, as text, and does nothing", async (_case, sub) => {
  const token = await tokenOf(open, { ...ANY, sub });
  await using client = await logIn(open.port, token, asking("reader"));
  assert.equal((await told(client)).user, sub);
  assert.deepEqual(
    await firstRow(client, "select current_user, session_user, current_setting('search_path')"),
    ["app_trust", "app_trust", '"$user", public'],
  );
  const [{ application_name }] = await cluster.sql(
    "SELECT application_name FROM pg_stat_activity WHERE usename = 'app_trust' AND backend_type = 'client backend'",
  );
  assert.equal(application_name, asPostgresShows(`${sub} via proxy`));
});

Deno.test.each([
  ["NUL", "al\0ice"],
  ["a newline", "alice\nLOG: all is well"],
  ["ESC", "\x1b]0;alice\x07"],
])("T13 an identity with %s is not told: the login is refused", async (_case, sub) => {
  const { C, M } = await refused(open, await tokenOf(open, { ...ANY, sub }), "reader");
  assert.deepEqual([C, M], ["28000", "login refused"]);
});

Deno.test("T13 an identity longer than a startup message is not told: the login is refused", async () => {
  const token = await tokenOf(open, { ...ANY, sub: "x".repeat(9_990) });
  assert.deepEqual((await refused(open, token, "reader")).C, "28000");
  assert.match(
    lastRefusal(open).reason!,
    /^the startup message for backend "main" would be longer than 10000/,
  );
});

Deno.test.each<[string, Record<string, string>]>([
  ["by name", { "app.user": "bob", application_name: "bob" }],
  ["in another case", { "App.User": "bob", Application_Name: "bob" }],
  ["in options", { options: "-c app.user=bob --application-name=bob" }],
  ["in options as PostgreSQL also reads it", { options: "-capp.user=bob --App.User=bob" }],
])("W11 a client does not say %s what the backend is told of it", async (_case, parameters) => {
  const token = await tokenOf(open, { ...ANY, sub: "alice" });
  await using client = await logIn(open.port, token, asking("reader", parameters));
  const { user, application } = await told(client);
  assert.deepEqual([user, application], ["alice", "alice via proxy"]);
});

Deno.test("record_identity = false: nothing that tells who it is leaves the proxy", async () => {
  const logBefore = (await cluster.log()).length;
  const roles = { ...PERSON, roles: ["reader", "pg_subject-4711", "nobody_there"], email_verified: true };
  const good = await tokenOf(closed, roles);
  const identities: unknown[] = [];
  for (const use of ["roles", "match"]) {
    const token = await tokenOf(closed, { ...roles, use });
    await using client = await logIn(closed.port, token, asking("reader"));
    const { user, token: id, application } = await told(client);
    const { identity, tokenId } = lastLogin(closed);
    assert.match(`${user} ${id}`, /^[0-9a-f]{32} corp\/[0-9a-f]{32}$/);
    assert.deepEqual([user, id], [identity, `corp/${tokenId}`]);
    assert.equal(application, `${identity} via proxy`);
    const settings = await firstRow(client, "select string_agg(setting, ' ') from pg_settings");
    assert.deepEqual(tellsOf(settings.join()), []);
    identities.push(identity);
  }
  assert.equal(identities[0], identities[1], "one person has one pseudonym by every rule");

  // Refused for want of the role, for a reserved role, and by the backend, which has no such role.
  await refused(closed, await tokenOf(closed, { ...roles, use: "roles" }), "writer");
  await refused(closed, await tokenOf(closed, { ...roles, use: "roles" }), "pg_read_all_data");
  await refused(closed, await tokenOf(closed, { ...roles, use: "roles" }), "nobody_there");
  await refused(closed, await tokenOf(closed, { ...roles, use: "names" }), "reader");
  await refused(closed, good, "reader");
  await refused(closed, good.slice(0, -8), "reader");
  await refused(closed, await tokenOf(closed, { ...roles, exp: 1 }), "reader");

  const reasons = closed.events.flatMap((event) => event.kind === "login_refused" ? event.reason ?? "" : []);
  assert.ok(
    reasons.some((reason) => reason.startsWith("no rule lets in a token of corp: ")),
    reasons.join("\n"),
  );
  const startups = closed.events.filter((event) =>
    event.kind === "message_traced" && event.peer === "backend"
  );
  assert.ok(startups.length > 0, "the startup messages to the backend are among the events");
  assert.deepEqual(tellsOf(JSON.stringify(closed.events)), []);
  assert.deepEqual(tellsOf(Deno.inspect(closed.events, { depth: 20, strAbbreviateSize: 1e6 })), []);
  for (const format of ["text", "json"] as const) {
    assert.deepEqual(tellsOf(logLines(closed, format).join("\n")), []);
  }
  assert.deepEqual(tellsOf((await cluster.log()).slice(logBefore)), []);
});

Deno.test("record_identity = false: a pseudonym lasts a day, on every machine with the key", async () => {
  const noon = Math.floor(Date.now() / DAY_MS) * DAY_MS + DAY_MS / 2;
  const pseudonymOf = async (proxy: RunningProxy, nowMs: number) => {
    clockMs = nowMs;
    const iat = Math.floor((noon - DAY_MS) / 1000);
    const exp = Math.floor((noon + 3 * DAY_MS) / 1000);
    const token = await tokenOf(proxy, { ...PERSON, use: "roles", roles: ["reader"], iat, exp });
    await using client = await logIn(proxy.port, token, asking("reader"));
    await firstRow(client, "select 1"); // by then its login has been told
    return lastLogin(proxy).identity;
  };
  const first = await pseudonymOf(closed, noon);
  assert.equal(await pseudonymOf(closed, noon + DAY_MS / 2 - 1), first);
  assert.notEqual(await pseudonymOf(closed, noon + DAY_MS / 2), first);
  const files = { key: "k".repeat(40) };
  await using other = await RunningProxy.start({ toml: closedToml(), files, now: () => clockMs });
  assert.equal(await pseudonymOf(other, noon), first);
});

/** What each session is told by, in all rules' backend. */
function backendToml(): string {
  return `
[[backends]]
name = "main"
url = "postgres://app_trust@localhost:${cluster.port}/postgres?sslmode=disable"

[backends.set]
"app.user" = "{identity}"
"app.token" = "{issuer}/{token_id}"
"app.from" = "{client_address} as {user} by {rule}"
application_name = "{identity} via proxy"
`;
}

function ruleToml(use: string, keys: string): string {
  return `
[[rules]]
name = "${use}"
issuer = "corp"
require = { use = "${use}" }
backend = "main"
${keys}
`;
}

function openToml(): string {
  return backendToml() +
    '[startup]\nparameters = ["application_name", "app.user", "client_encoding"]\n' +
    ruleToml("authentication", "match = '/(.*)@example\\.com/'\nusers = ['\\1']\nlogin_as = '\\1'") +
    ruleToml("authorisation", 'roles = "realm_access.roles"') +
    ruleToml("scope", "roles = { claim = 'scope', match = '/pg:(.*)/' }") +
    ruleToml("both", "match = '/.*@example\\.com/'\nroles = 'roles'\nlogin_as = 'app_trust'") +
    ruleToml("young", "match = 'alice'\nmax_token_age = '10m'") +
    ruleToml("any", "roles = 'roles'\nlogin_as = 'app_trust'");
}

function closedToml(): string {
  const hidden = "record_identity = false";
  return '[log]\nlevel = "trace"\n[authorize]\npseudonym_key_file = "key"\n' + backendToml() +
    ruleToml("roles", `roles = "roles"\n${hidden}`) +
    ruleToml("match", `claim = "email"\nmatch = '/.*@wonderland\\.example/'\n${hidden}`) +
    // Records who it is, and would name the reserved role that it is refused for.
    ruleToml("names", "match = '/subject-.*/'\nlogin_as = 'pg_\\0'");
}

/** A token of the proxy's issuer with these claims: its own signature, and nothing else of its own. */
async function tokenOf({ issuer }: RunningProxy, claims: Record<string, unknown>): Promise<string> {
  const nowSeconds = Math.floor(Date.now() / 1000);
  const good = { iss: issuer.url, aud: "pg-auth-proxy", iat: nowSeconds, exp: nowSeconds + 600 };
  return await issuer.forge({ ...good, ...claims });
}

function asking(user: string, parameters: Record<string, string> = {}): Uint8Array {
  return startupMessage({ user, database: "postgres", client_encoding: "UTF8", ...parameters });
}

async function refused(proxy: RunningProxy, token: string, user: string): Promise<Record<string, string>> {
  await using client = await connectToPassword(proxy.port, asking(user));
  await client.send(passwordMessage(token));
  return await refusal(client);
}

function refusalOf(user: string): Record<string, string> {
  return { S: "FATAL", V: "FATAL", C: "28P01", M: `token authentication failed for user "${user}"` };
}

async function told(client: RawConnection) {
  const names = ["app.user", "app.token", "app.from", "application_name"];
  const values = names.map((name) => `current_setting('${name}')`).join();
  const [user, token, from, application] = await firstRow(client, `select ${values}`);
  return { user, token, from, application };
}

function lastLogin({ events }: RunningProxy) {
  const login = events.findLast((event) => event.kind === "authenticated");
  assert.ok(login?.kind === "authenticated");
  return login;
}

function lastRefusal({ events }: RunningProxy) {
  const refusal = events.findLast((event) => event.kind === "login_refused");
  assert.ok(refusal?.kind === "login_refused");
  return refusal;
}

/** What of {@link PERSON} is in a text. */
function tellsOf(text: string): string[] {
  return Object.values(PERSON).filter((secret) => text.includes(secret));
}

/** As pg_stat_activity has it: every byte but printable ASCII in hexadecimal digits, and of that 63. */
function asPostgresShows(applicationName: string): string {
  return [...new TextEncoder().encode(applicationName)]
    .map((byte) => byte >= 0x20 && byte < 0x7f ? String.fromCharCode(byte) : `\\x${byte.toString(16)}`)
    .join("").slice(0, 63);
}
