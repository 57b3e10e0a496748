import assert from "node:assert/strict";
import { exportJWK, exportSPKI, generateKeyPair, importJWK } from "jose";
import type { Observer } from "../../lib/observe/events.ts";
import { createAuthority } from "../support/certificates.ts";
import { hmacKey } from "../support/forged_token.ts";
import { OidcIssuer } from "../support/oidc_issuer.ts";
import { PostgresCluster } from "../support/postgres_cluster.ts";
import { PASSWORDS } from "../support/postgres_roles.ts";
import { passwordMessage, startupMessage } from "../support/raw_messages.ts";
import { RunningProxy } from "../support/running_proxy.ts";
import { waitUntil } from "../support/wait_until.ts";
import { connectToPassword, firstRow, logIn, logLines, refusal } from "./hostile_scene.ts";

const resources = new AsyncDisposableStack();
let proxy: RunningProxy;
/** Takes access tokens alone, as `typ` says. */
let typed: RunningProxy;
/** Takes longer tokens than most. */
let roomy: RunningProxy;
let stranger: OidcIssuer;
let toml: string;

const FILES = { scram: PASSWORDS.app_scram, md5: PASSWORDS.app_md5 };

/** Everything that was presented and that nobody may read anywhere. */
const presented: string[] = [];

Deno.test.beforeAll(async () => {
  const cluster = resources.use(await PostgresCluster.start({ major: 18 }));
  toml = rules(cluster.port);
  [proxy, typed, roomy, stranger] = await Promise.all([
    RunningProxy.start({ toml, files: FILES }),
    RunningProxy.start({ toml, files: FILES, issuer: 'types = ["at+jwt"]' }),
    RunningProxy.start({ toml, files: FILES, listen: "max_token_bytes = 20000" }),
    OidcIssuer.start({ authority: await createAuthority("stranger") }),
  ]);
  for (const one of [proxy, typed, roomy, stranger]) resources.use(one);
});

// What a session still has to do when its client has left belongs to the test that opened it.
Deno.test.afterEach(async () => {
  const count = () => proxy.connectionCount + typed.connectionCount + roomy.connectionCount;
  await waitUntil(() => count() === 0, { what: "every session to end" });
});

Deno.test.afterAll(() => resources.disposeAsync());

type MakeToken = (issuer: OidcIssuer) => Promise<string>;

Deno.test.each<[string, MakeToken]>([
  ["as the issuer mints it", (issuer) => issuer.mint({ sub: "alice@example.com" })],
  ["with ours among its audiences", (issuer) => mint(issuer, { aud: ["other", "pg-auth-proxy"] })],
  ["that expired less than a minute ago", (issuer) => mint(issuer, { exp: nowSeconds() - 30 })],
  ["with a verified email", (issuer) => mintEmail(issuer, { email_verified: true })],
  ["of typ JWT", (issuer) => forge(issuer, {}, { typ: "JWT" })],
  ["of exactly 16 KiB", (issuer) => tokenOfLength(issuer, 16_384)],
])("a token %s is good", async (_name, make) => {
  await using client = await logIn(proxy.port, remember(await make(proxy.issuer)));
  assert.deepEqual(await firstRow(client, "select current_user"), ["app_scram"]);
});

Deno.test.each<[id: string, name: string, fault: string, make: MakeToken]>([
  ["T8", "expired", "expired", (issuer) => mint(issuer, { exp: nowSeconds() - 120 })],
  ["T8 A6", "without exp", "expired", (issuer) => mint(issuer, { exp: undefined })],
  ["T8 A6", "with exp 0", "expired", (issuer) => mint(issuer, { exp: 0 })],
  ["T8", "of the future", "not_yet_valid", (issuer) => mint(issuer, { nbf: nowSeconds() + 3600 })],
  ["T9 A6", "for another audience", "audience", (issuer) => mint(issuer, { aud: "other" })],
  ["T9 A6", "without audience", "audience", (issuer) => forge(issuer, { aud: undefined }, {})],
  ["T9", "for a part of our audience", "audience", (issuer) => mint(issuer, { aud: "pg-auth" })],
  ["T9 A6", "of another issuer", "unknown_issuer", () => mint(stranger, {})],
  ["T9 A6", "with another iss", "unknown_issuer", (issuer) => mint(issuer, { iss: `${issuer.url}/` })],
  ["T1", "with alg none", "malformed", (issuer) => forge(issuer, {}, { alg: "none" }, null)],
  ["T1", "with alg none and a signature", "algorithm", (issuer) => forge(issuer, {}, { alg: "none" })],
  ["T1", "with alg nOnE and a signature", "algorithm", (issuer) => forge(issuer, {}, { alg: "nOnE" })],
  ["T1", "with an empty signature", "malformed", (issuer) => forge(issuer, {}, {}, null)],
  ["T1", "signed by HS256 with the public key", "algorithm", forgeByPublicKey],
  ["T2", "with a key of its own in its header", "signature", forgeWithKeyInHeader],
  ["T3", "with an unknown kid", "unknown_key", (issuer) => forge(issuer, {}, { kid: "../../etc/passwd" })],
  ["T14", "with a changed payload", "signature", withChangedPayload],
  ["A6", "signed by another's key", "signature", (issuer) => forge(issuer, {}, {}, stranger.signingKey)],
  ["T10", "of typ logout+jwt", "type", (issuer) => forge(issuer, {}, { typ: "logout+jwt" })],
  ["T15", "bound to a key", "bound", (issuer) => mint(issuer, { cnf: { jkt: "x" } })],
  ["T7", "that is encrypted", "encrypted", () => Promise.resolve("eyJhbGciOiJkaXIifQ..aXY.Y2lwaGVy.dGFn")],
  ["T7", "of a hundred kilobytes of dots, cut", "not_a_token", () => Promise.resolve(".".repeat(16_000))],
  ["T7", "of 16 KiB and one byte", "too_long", async (issuer) => await tokenOfLength(issuer, 16_384) + "A"],
  ["T16", "of an unmapped identity", "no rule", (issuer) => mint(issuer, { sub: "alice@elsewhere.org" })],
  [
    "T16",
    "of somebody who may not be alice",
    "no rule",
    (issuer) => mint(issuer, { sub: "carol@example.com" }),
  ],
  ["T11", "with an unverified email", "no rule", (issuer) => mintEmail(issuer, { email_verified: false })],
  ["T11", "with an email of unknown state", "no rule", (issuer) => mintEmail(issuer, {})],
  ["T11", "of a look-alike", "no rule", (issuer) => mint(issuer, { sub: "alice@example.com@evil.org" })],
  ["T16", "that is none", "not_a_token", () => Promise.resolve("correct horse battery staple")],
  ["T16", "that is empty", "not_a_token", () => Promise.resolve("")],
])("%s a token %s is refused, for the reason %s, as every other", async (_id, _name, fault, make) => {
  const before = proxy.events.length;
  const { message, fields } = await refuse(proxy.port, remember(await make(proxy.issuer)));
  assert.deepEqual(fields, {
    S: "FATAL",
    V: "FATAL",
    C: "28P01",
    M: 'token authentication failed for user "alice"',
  });
  assert.deepEqual(message, REFUSAL);
  const refused = proxy.events.slice(before).filter((event) => event.kind === "login_refused");
  assert.equal(refused.length, 1);
  assert.ok(refused[0].reason?.startsWith(fault), `the reason was ${refused[0].reason}`);
});

Deno.test("T10 an ID token is refused where access tokens are required", async () => {
  const token = await forge(typed.issuer, {}, { typ: "JWT" });
  assert.equal((await refuse(typed.port, remember(token))).fields.C, "28P01");
  assert.ok(typed.events.some((event) => event.kind === "login_refused" && event.reason?.startsWith("type")));
  await using client = await logIn(typed.port, remember(await mint(typed.issuer, {})));
  assert.deepEqual(await firstRow(client, "select 1"), ["1"]);
});

Deno.test.each<[number, string, boolean, () => RunningProxy]>([
  [16_384, "of 16384, the default", true, () => proxy],
  [20_000, "of 16384, the default", false, () => proxy],
  [20_000, "of 20000", true, () => roomy],
  [20_004, "of 20000", false, () => roomy],
])(
  "T19 a token of %i bytes in pieces, under a limit %s, is let in: %o",
  async (length, _limit, isGood, which) => {
    const message = passwordMessage(remember(await tokenOfLength(which().issuer, length)));
    await using client = await connectToPassword(which().port);
    for (let at = 0; at < message.length; at += 1000) await client.send(message.subarray(at, at + 1000));
    if (isGood) assert.equal((await client.receiveMessagesUntil("Z"))[0].type, "R");
    else assert.equal((await refusal(client)).C, "28P01");
  },
);

Deno.test("A5 of rules that overlap the first decides, always", async () => {
  // dora's token satisfies three rules; the first of them leads to app_md5.
  const token = remember(await mint(proxy.issuer, { sub: "dora@example.com" }));
  const startup = startupMessage({ user: "dora", database: "postgres" });
  const users = await Promise.all(
    Array.from({ length: 12 }, async () => {
      await using client = await logIn(proxy.port, token, startup);
      return (await firstRow(client, "select current_user"))[0];
    }),
  );
  assert.deepEqual(new Set(users), new Set(["app_md5"]));
});

Deno.test("A5 a rule's pattern matches the whole value", async () => {
  const token = remember(await mint(proxy.issuer, { sub: "not-dora@example.com" }));
  const startup = startupMessage({ user: "not-dora", database: "postgres" });
  await using client = await logIn(proxy.port, token, startup);
  assert.deepEqual(await firstRow(client, "select current_user"), ["app_scram"]);
});

Deno.test("T17 no token, password or key is in any event or line of the log", async () => {
  const keys = await Promise.all([proxy, typed, roomy].map(({ issuer }) => exportJWK(issuer.signingKey)));
  const secrets = [
    ...presented.flatMap((token) => [token, ...token.split(".")]),
    ...Object.values(PASSWORDS),
    ...keys.map(({ d }) => d!),
  ].filter((secret) => secret.length > 8);
  const events: Parameters<Observer>[0][] = [...proxy.events, ...typed.events, ...roomy.events];
  const texts = {
    "the log as text": logLines({ events }, "text").join(""),
    "the log as JSON": logLines({ events }, "json").join(""),
    "the events": Deno.inspect(events, { depth: 50, iterableLimit: Infinity, strAbbreviateSize: Infinity }),
  };
  assert.ok(secrets.length > 60);
  for (const [what, text] of Object.entries(texts)) {
    assert.ok(text.includes("28P01"));
    for (const secret of secrets) assert.ok(!text.includes(secret), `${what} has ${secret.slice(0, 40)}`);
  }
});

/** The ErrorResponse that every refusal of alice is, byte for byte. */
const REFUSAL = new TextEncoder().encode(
  'SFATAL\0VFATAL\0C28P01\0Mtoken authentication failed for user "alice"\0\0',
);

function rules(port: number): string {
  const backend = (name: string, role: string) => `
[[backends]]
name = "${name}"
url = "postgres://${role}@localhost:${port}/postgres?sslmode=disable"
password_file = "${name}"
require_auth = ["scram-sha-256", "md5"]
`;
  return `
${backend("scram", "app_scram")}
${backend("md5", "app_md5")}

[[rules]]
issuer = "corp"
match = '/dora@example\\.com/'
backend = "md5"

[[rules]]
issuer = "corp"
match = '/(.*)@example\\.com/'
users = ['\\1']
backend = "scram"

[[rules]]
issuer = "corp"
match = '/d.*/'
backend = "scram"

[[rules]]
issuer = "corp"
claim = "email"
match = '/(.*)@mail\\.example\\.com/'
users = ['\\1']
backend = "scram"
`;
}

/** What a client that presents `token` as alice is told, as bytes and as fields. */
async function refuse(port: number, token: string) {
  await using client = await connectToPassword(port);
  await client.send(passwordMessage(token));
  const { type, body: message } = await client.receiveMessage();
  assert.equal(type, "E");
  assert.deepEqual(await client.receiveToEnd(), new Uint8Array());
  const entries = new TextDecoder().decode(message).split("\0").filter((field) => field !== "");
  return { message, fields: Object.fromEntries(entries.map((field) => [field[0], field.slice(1)])) };
}

function remember(token: string): string {
  presented.push(token);
  return token;
}

function nowSeconds(): number {
  return Math.floor(Date.now() / 1000);
}

/** A token of alice that the issuer really issues, with claims of our choice. */
async function mint(issuer: OidcIssuer, claims: Record<string, unknown>): Promise<string> {
  return await issuer.mint({ sub: "alice@example.com", claims });
}

async function mintEmail(issuer: OidcIssuer, claims: Record<string, unknown>): Promise<string> {
  return await issuer.mint({ sub: "4711", claims: { email: "alice@mail.example.com", ...claims } });
}

/** A token of alice that the issuer does not issue. */
async function forge(
  issuer: OidcIssuer,
  claims: Record<string, unknown>,
  header: Record<string, unknown>,
  key?: CryptoKey | null,
): Promise<string> {
  return await issuer.forge({ ...goodClaims(issuer), ...claims }, header, { key });
}

function goodClaims({ url }: OidcIssuer) {
  const now = nowSeconds();
  return { iss: url, sub: "alice@example.com", aud: "pg-auth-proxy", iat: now, exp: now + 600 };
}

async function tokenOfLength(issuer: OidcIssuer, length: number): Promise<string> {
  // Three bytes of padding become four of base64url: near the length wanted, it is found by trying.
  const shortest = (await forge(issuer, { pad: "" }, {})).length;
  const about = Math.floor((length - shortest) * 3 / 4);
  for (let pad = about - 3; pad <= about + 3; pad++) {
    const token = await forge(issuer, { pad: "x".repeat(pad) }, {});
    if (token.length === length) return token;
  }
  throw new Error(`No token of ${length} bytes was found`);
}

async function forgeByPublicKey(issuer: OidcIssuer): Promise<string> {
  const [jwk] = issuer.publicKeys;
  const pem = await exportSPKI(await importJWK(jwk, "ES256", { extractable: true }) as CryptoKey);
  return await forge(issuer, {}, { alg: "HS256" }, await hmacKey(new TextEncoder().encode(pem)));
}

async function forgeWithKeyInHeader(issuer: OidcIssuer): Promise<string> {
  const { publicKey, privateKey } = await generateKeyPair("ES256", { extractable: true });
  return await forge(issuer, {}, { jwk: await exportJWK(publicKey) }, privateKey);
}

async function withChangedPayload(issuer: OidcIssuer): Promise<string> {
  const [header, , signature] = (await issuer.mint({ sub: "mallory@example.com" })).split(".");
  const payload = new TextEncoder().encode(JSON.stringify(goodClaims(issuer)));
  return [header, payload.toBase64({ alphabet: "base64url", omitPadding: true }), signature].join(".");
}
