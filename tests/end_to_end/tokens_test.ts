import assert from "node:assert/strict";
import { exportJWK, exportSPKI, generateKeyPair, importJWK } from "jose";
import type { Observer } from "../../lib/observe/events.ts";
import { createAuthority } from "../support/certificates.ts";
import { hmacKey } from "../support/forged_token.ts";
import { OidcIssuer } from "../support/oidc_issuer.ts";
import { PostgresCluster } from "../support/postgres_cluster.ts";
import { PASSWORDS } from "../support/postgres_roles.ts";
import { startupMessage } from "../support/raw_messages.ts";
import { RunningProxy } from "../support/running_proxy.ts";
import { waitUntil } from "../support/wait_until.ts";
import { firstRow, logLines } from "./hostile_scene.ts";
import {
  BOTH_WAYS_IN,
  byEveryWay,
  connectBy,
  expectLetIn,
  expectRefusal,
  logInBy,
  PRESENTERS,
  reasonOfRefusal,
  type WayIn,
  WAYS_IN,
} from "./presenter.ts";

const resources = new AsyncDisposableStack();
let proxy: RunningProxy;
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
  [proxy, roomy, stranger] = await Promise.all([
    RunningProxy.start({ toml, files: FILES }),
    RunningProxy.start({ toml, files: FILES, listen: "max_token_bytes = 20000" }),
    OidcIssuer.start({ authority: await createAuthority("stranger") }),
  ]);
  for (const one of [proxy, roomy, stranger]) resources.use(one);
});

// What a session still has to do when its client has left belongs to the test that opened it.
Deno.test.afterEach(async () => {
  const count = () => proxy.connectionCount + roomy.connectionCount;
  await waitUntil(() => count() === 0, { what: "every session to end" });
});

Deno.test.afterAll(() => resources.disposeAsync());

type MakeToken = (issuer: OidcIssuer) => Promise<string>;

Deno.test.each(byEveryWay<[string, MakeToken]>([
  ["as the issuer mints it", (issuer) => issuer.mint({ sub: "alice@example.com" })],
  ["with ours among its audiences", (issuer) => mint(issuer, { aud: ["other", "pg-auth-proxy"] })],
  ["that expired less than a minute ago", (issuer) => mint(issuer, { exp: nowSeconds() - 30 })],
  ["with a verified email", (issuer) => mintEmail(issuer, { email_verified: true })],
  ["of typ JWT", (issuer) => forge(issuer, {}, { typ: "JWT" })],
  ["of exactly 16 KiB", (issuer) => tokenOfLength(issuer, 16_384)],
]))("a token %s is good by %s", async (_name, by, make) => {
  const token = remember(await make(proxy.issuer));
  await using client = await logInBy(by, { port: proxy.port, token });
  assert.deepEqual(await firstRow(client, "select current_user"), ["app_scram"]);
});

// Claims are looked at last: how long a refusal takes tells a stranger nothing of which would do.
Deno.test.each(byEveryWay<[id: string, name: string, fault: string, make: MakeToken]>([
  ["T8", "expired", "expired", (issuer) => mint(issuer, { exp: nowSeconds() - 120 })],
  ["T8 A6", "without exp", "expired", (issuer) => mint(issuer, { exp: undefined })],
  ["T8 A6", "with exp 0", "expired", (issuer) => mint(issuer, { exp: 0 })],
  ["T8", "with exp in a string", "expired", (issuer) => mint(issuer, { exp: `${nowSeconds() + 600}` })],
  ["T8", "of the future", "not_yet_valid", (issuer) => mint(issuer, { nbf: nowSeconds() + 3600 })],
  ["T9 A6", "for another audience", "audience", (issuer) => mint(issuer, { aud: "other" })],
  ["T9 A6", "without audience", "audience", (issuer) => forge(issuer, { aud: undefined }, {})],
  ["T9", "for a part of our audience", "audience", (issuer) => mint(issuer, { aud: "pg-auth" })],
  ["T9 A6", "of another issuer", "unknown_issuer", () => mint(stranger, {})],
  ["T9 A6", "with another iss", "unknown_issuer", (issuer) => mint(issuer, { iss: `${issuer.url}/` })],
  ["T9", "with iss in an array", "unknown_issuer", (issuer) => mint(issuer, { iss: [issuer.url] })],
  ["T1", "with alg none", "malformed", (issuer) => forge(issuer, {}, { alg: "none" }, null)],
  ["T1", "with alg none and a signature", "algorithm", (issuer) => forge(issuer, {}, { alg: "none" })],
  ["T1", "with alg nOnE and a signature", "algorithm", (issuer) => forge(issuer, {}, { alg: "nOnE" })],
  ["T1", "with an empty signature", "malformed", (issuer) => forge(issuer, {}, {}, null)],
  ["T1", "signed by HS256 with the public key", "algorithm", forgeByPublicKey],
  ["T2", "with a key of its own in its header", "signature", forgeWithKeyInHeader],
  ["T2", "with crit", "critical", (issuer) => forge(issuer, {}, { crit: ["b64"], b64: true })],
  ["T3", "with an unknown kid", "unknown_key", (issuer) => forge(issuer, {}, { kid: "../../etc/passwd" })],
  ["T3", "with the kid __proto__", "unknown_key", (issuer) => forge(issuer, {}, { kid: "__proto__" })],
  ["T3", "with a kid of 10 kB", "unknown_key", (issuer) => forge(issuer, {}, { kid: "k".repeat(10_000) })],
  ["T14", "with a changed payload", "signature", withChangedPayload],
  ["T14", "with a signature of zeros", "signature", withSignatureOfZeros],
  ["A6", "signed by another's key", "signature", (issuer) => forge(issuer, {}, {}, stranger.signingKey)],
  [
    "T16",
    "by a stranger, and expired",
    "signature",
    (issuer) => forge(issuer, { exp: 1 }, {}, stranger.signingKey),
  ],
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
  ["T16", "that is none", "not_a_token", () => Promise.resolve("guessed-and-guessed-again")],
]))(
  "%s by %s, a token %s is refused, for the reason %s, as every other",
  async (_id, by, _name, fault, make) => {
    const reason = await reasonOfRefusal(by, proxy, remember(await make(proxy.issuer)));
    assert.ok(reason.startsWith(fault), `the reason was ${reason}`);
  },
);

Deno.test.each<[by: WayIn, name: string, fault: string, token: string]>([
  ["password", "several words", "not_a_token", "correct horse battery staple"],
  ["OAUTHBEARER", "several words", "the bearer token has characters", "correct horse battery staple"],
  ["password", "nothing", "not_a_token", ""],
  ["OAUTHBEARER", "nothing", "the bearer token is empty", ""],
])("T16 by %s, %s for a token is refused as every token is", async (by, _name, fault, token) => {
  const reason = await reasonOfRefusal(by, proxy, remember(token));
  assert.ok(reason.startsWith(fault), `the reason was ${reason}`);
});

Deno.test.each(byEveryWay<[number, string, boolean, () => RunningProxy]>([
  [16_384, "of 16384, the default", true, () => proxy],
  [20_000, "of 16384, the default", false, () => proxy],
  [20_000, "of 20000", true, () => roomy],
  [20_004, "of 20000", false, () => roomy],
]))(
  "T19 a token of %i bytes by %s in pieces, under a limit %s, is let in: %o",
  async (length, by, _limit, isGood, which) => {
    const message = PRESENTERS[by].message(remember(await tokenOfLength(which().issuer, length)));
    await using client = await connectBy(by, which().port);
    for (let at = 0; at < message.length; at += 1000) await client.send(message.subarray(at, at + 1000));
    if (isGood) await expectLetIn(client);
    else await expectRefusal(by, client, which());
  },
);

Deno.test.each(WAYS_IN)("A5 by %s, of rules that overlap the first decides, always", async (by) => {
  // dora's token satisfies three rules; the first of them leads to app_md5.
  const token = remember(await mint(proxy.issuer, { sub: "dora@example.com" }));
  const startup = startupMessage({ user: "dora", database: "postgres" });
  const users = await Promise.all(
    Array.from({ length: 12 }, async () => {
      await using client = await logInBy(by, { port: proxy.port, token, startup });
      return (await firstRow(client, "select current_user"))[0];
    }),
  );
  assert.deepEqual(new Set(users), new Set(["app_md5"]));
});

Deno.test.each(WAYS_IN)("A5 by %s, a rule's pattern matches the whole value", async (by) => {
  const token = remember(await mint(proxy.issuer, { sub: "not-dora@example.com" }));
  const startup = startupMessage({ user: "not-dora", database: "postgres" });
  await using client = await logInBy(by, { port: proxy.port, token, startup });
  assert.deepEqual(await firstRow(client, "select current_user"), ["app_scram"]);
});

Deno.test("T17 no token, password or key is in any event or line of the log, traces among them", async () => {
  const keys = await Promise.all([proxy, roomy].map(({ issuer }) => exportJWK(issuer.signingKey)));
  const secrets = [
    ...presented.flatMap((token) => [token, ...token.split(".")]),
    ...Object.values(PASSWORDS),
    ...keys.map(({ d }) => d!),
  ].filter((secret) => secret.length > 8);
  const events: Parameters<Observer>[0][] = [...proxy.events, ...roomy.events];
  const texts = {
    "the log as text": logLines({ events }, "text").join(""),
    "the log as JSON": logLines({ events }, "json").join(""),
    "the events": Deno.inspect(events, { depth: 50, iterableLimit: Infinity, strAbbreviateSize: Infinity }),
  };
  assert.ok(secrets.length > 120);
  for (const [what, text] of Object.entries(texts)) {
    for (const seen of ["28P01", "28000", "PasswordMessage", "SASLInitialResponse"]) {
      assert.ok(text.includes(seen), `${what} lacks ${seen}`);
    }
    for (const secret of secrets) assert.ok(!text.includes(secret), `${what} has ${secret.slice(0, 40)}`);
  }
});

function rules(port: number): string {
  const backend = (name: string, role: string) => `
[[backends]]
name = "${name}"
url = "postgres://${role}@localhost:${port}/postgres?sslmode=disable"
password_file = "${name}"
require_auth = ["scram-sha-256", "md5"]
`;
  return `
${BOTH_WAYS_IN}
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

[log]
level = "trace"
`;
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

/** A signature of the right length that some libraries have taken for that of anything (CVE-2022-21449). */
async function withSignatureOfZeros(issuer: OidcIssuer): Promise<string> {
  const [header, payload] = (await mint(issuer, {})).split(".");
  return [header, payload, "A".repeat(86)].join(".");
}
