import assert from "node:assert/strict";
import { explain, type ExplainOptions } from "../../lib/commands/explain.ts";
import { Secret } from "../../lib/secret.ts";
import { OidcIssuer } from "../support/oidc_issuer.ts";
import type { TokenOrder } from "../support/oidc_provider.ts";
import { tempDirectory } from "../support/temp_directory.ts";

const resources = new AsyncDisposableStack();
let issuer: OidcIssuer;
let directory: string;

Deno.test.beforeAll(async () => {
  issuer = resources.use(await OidcIssuer.start());
  const temporary = resources.use(await tempDirectory());
  directory = temporary.path;
  await temporary.write("pseudonyms", "k".repeat(40));
  await temporary.write("config.toml", configurationText());
});
Deno.test.afterAll(() => resources.disposeAsync());

function configurationText(): string {
  return `
[listen]
address = ["127.0.0.1:6432", "127.0.0.1:6433"]
insecure_plaintext = true

[[issuers]]
name = "other"
url = "http://127.0.0.1:1"
audience = ["pg-auth-proxy"]
insecure_http = true

[[issuers]]
name = "corp"
url = "${issuer.url}"
audience = ["pg-auth-proxy"]
insecure_http = true

[[ways_in]]
method = "password"
listeners = ["127.0.0.1:6433"]
issuer = "other"

[[backends]]
name = "orders"
url = "postgres://db1.internal/orders?options=-cgeqo%3Doff"
set = { application_name = "{identity} via {rule}", work_mem = "64MB" }

[[backends]]
name = "tenants"
url = 'postgres://\\{tenant}_app@db2.internal:5433/\\{tenant}'

[[rules]]
name = "elsewhere"
issuer = "other"
match = "alice"
backend = "orders"
login_as = "alice"

[[rules]]
name = "administrators"
issuer = "corp"
match = '/(.*)@example\\.com/'
require = { groups = "dba" }
users = ['\\1', "reporting"]
backend = "orders"
login_as = '\\1'
max_session = "8h"
idle_timeout = "1h"

[[rules]]
issuer = "corp"
claim = "tenant"
match = '/(?P<tenant>[a-z]+)/'
users = ["app"]
databases = ['\\{tenant}']
networks = ["10.0.0.0/8", "127.0.0.0/8"]
backend = "tenants"

[[rules]]
issuer = "corp"
roles = "roles"
record_identity = false
backend = "orders"

[authorize]
pseudonym_key_file = "pseudonyms"
`;
}

type Asked = Omit<ExplainOptions, "source" | "token">;

/** The lines of an explanation, each with one space behind its label. */
async function explained(token: string, asked: Asked = {}) {
  const source = { path: `${directory}/config.toml` };
  const { isGranted, text } = await explain({ ...asked, source, token: new Secret(token) });
  return { isGranted, lines: text.split("\n").map((line) => line.replace(/ {2,}/, " ")), text };
}

const minted = (order: TokenOrder) => issuer.mint(order);

Deno.test("explain() says which rule decides, why others did not, and what its bearer would be where", async () => {
  const token = await minted({ sub: "alice@example.com", claims: { groups: ["dba", "staff"] } });
  const { isGranted, lines } = await explained(token, { user: "reporting", database: "any" });
  assert.equal(isGranted, true);
  assert.match(lines[0], /^token good, of the issuer corp, expires \S+Z \(in (60|59)m\), jti "\S+"$/);
  assert.deepEqual(lines.slice(1), [
    'claim sub = "alice@example.com"',
    'claim groups = ["dba","staff"]',
    "claim tenant = not there",
    "claim roles = not there",
    "way in password, tokens of any issuer",
    'asked for user "reporting", database "any"',
    "rule rules[0] (elsewhere) is for tokens of the issuer other",
    "rule rules[1] (administrators) lets the client in",
    "rule 2 more not asked: the first that fits decides",
    "backend orders, at db1.internal:5432",
    'role "alice"',
    'database "orders"',
    'set options = "-cgeqo=off"',
    'set application_name = "alice@example.com via administrators"',
    'set work_mem = "64MB"',
    "session at_expiry keep, at_revocation end_when_idle, at_reload end_when_idle, max_session 8h, idle_timeout 1h, " +
    "idle_in_transaction_timeout none, reintrospect never",
    "outcome let in",
  ]);
});

Deno.test("explain() without a user takes the first that a rule lets in, and says so", async () => {
  const token = await minted({ sub: "bob", claims: { tenant: "acme" } });
  const { isGranted, lines } = await explained(token);
  assert.equal(isGranted, true);
  const tail = lines.slice(lines.findIndex((line) => line.startsWith("asked for")));
  assert.deepEqual(tail.slice(0, 8), [
    'asked for user "app", database "acme" (chosen by the rules: give --user and --database for another)',
    "rule rules[0] (elsewhere) is for tokens of the issuer other",
    "rule rules[1] (administrators) requires a value of the claim groups that the token does not have",
    "rule rules[2] lets the client in",
    "rule 1 more not asked: the first that fits decides",
    "backend tenants, at db2.internal:5433",
    'role "acme_app"',
    'database "acme"',
  ]);
});

Deno.test("explain() takes roles that the token lists for users", async () => {
  const token = await minted({ sub: "carol", claims: { roles: ["reader"] } });
  const { isGranted, text, lines } = await explained(token);
  assert.equal(isGranted, true);
  assert(lines.includes('role "reader"'), text);
  const name = lines.find((line) => line.startsWith("set application_name"));
  assert(!name?.includes("carol"), name);
});

Deno.test.each<[string, Asked, string]>([
  [
    "another user",
    { user: "mallory" },
    "rule rules[1] (administrators) does not allow the user the client asks for",
  ],
  [
    "another network",
    { user: "app", database: "acme", clientAddress: "192.0.2.1" },
    "rule rules[2] does not allow the network the client comes from",
  ],
])("explain() of a token for %s says what stands in the way", async (_name, asked, expected) => {
  const claims = { groups: "dba", tenant: "acme" };
  const { isGranted, lines, text } = await explained(
    await minted({ sub: "alice@example.com", claims }),
    asked,
  );
  assert.equal(isGranted, false);
  assert(lines.some((line) => line.startsWith(expected)), text);
  assert.equal(lines.at(-1), "outcome refused: the client is told no more than that its login failed");
});

Deno.test.each<[string, () => Promise<string>, Asked, RegExp]>([
  [
    "that has expired",
    () => issuer.forge({ iss: issuer.url, aud: "pg-auth-proxy", sub: "alice", exp: 1e9 }),
    {},
    /^token +refused, expired: .*\n(.*\n)*it says +exp = 1000000000, 2001-09-09T01:46:40.000Z \(\d+d ago\)$/m,
  ],
  [
    "for another audience",
    () => issuer.forge({ iss: issuer.url, aud: "billing", sub: "alice", exp: 4e9 }),
    {},
    /^token +refused, audience: .*\n(.*\n)*it says +aud = "billing"$/m,
  ],
  [
    "of an issuer that nobody knows",
    () => issuer.forge({ iss: "https://evil.example", aud: "pg-auth-proxy", exp: 4e9 }),
    {},
    /^token +refused, unknown_issuer: .*\n(.*\n)*it says +iss = "https:\/\/evil.example"$/m,
  ],
  [
    "of an issuer that cannot be reached",
    () => issuer.forge({ iss: "http://127.0.0.1:1", aud: "pg-auth-proxy", sub: "alice", exp: 4e9 }),
    {},
    /^token +refused, keys_unavailable: .*\nissuer +other: http:\/\/127.0.0.1:1\/.* could not be fetched/m,
  ],
  ["that is none", () => Promise.resolve("hunter2"), {}, /^token +refused, not_a_token: .*$/m],
  [
    "by a way in for another issuer",
    () => minted({ sub: "alice@example.com", claims: { groups: "dba" } }),
    { listener: "127.0.0.1:6433" },
    /^token +refused, other_issuer: Only tokens of issuer "other" are taken here$/m,
  ],
])("explain() of a token %s says so, and what it says itself", async (_name, make, asked, expected) => {
  const token = await make();
  const { isGranted, text } = await explained(token, asked);
  assert.equal(isGranted, false);
  assert.match(text, expected);
  assert(!text.includes(token), "the token was printed");
});

Deno.test("T17 explain() prints neither the token nor a part of it that could be used", async () => {
  const token = await minted({ sub: "alice@example.com", claims: { groups: "dba" } });
  const { text } = await explained(token);
  for (const part of token.split(".")) assert(!text.includes(part), text);
});
