import assert from "node:assert/strict";
import { createHmac } from "node:crypto";
import { exportSPKI } from "jose";
import type { TokenFault } from "../../lib/token/refused_token.ts";
import {
  claims,
  encode,
  FakeIssuer,
  faultOf,
  ISS,
  issuerWith,
  refusalOf,
  settings,
  sign,
  signBytes,
  signingKey,
  START_MS,
  START_SECONDS,
} from "./fake_issuer.ts";

const KEY = await signingKey("ES256", "k1");
const OTHER_KEY = await signingKey("ES256", "k1");
const RSA_KEY = await signingKey("RS256", "k2");

/** Every bad token carries it somewhere: no message may repeat it. */
const MARK = "confidential-mark";

async function hs256(secret: string, payload = claims({ jti: MARK })): Promise<string> {
  const input = `${encode(JSON.stringify({ alg: "HS256", kid: "k2" }))}.${encode(JSON.stringify(payload))}`;
  return await Promise.resolve(`${input}.${createHmac("sha256", secret).update(input).digest("base64url")}`);
}

function withSignature(token: string, signature: string): string {
  return token.replace(/[^.]*$/, signature);
}

const GOOD = await sign(KEY, claims({ jti: MARK }));
const GOOD_SIGNATURE = GOOD.split(".")[2];
const [GOOD_HEADER, GOOD_PAYLOAD] = GOOD.split(".");
const UNSIGNED_PAYLOAD = encode(JSON.stringify(claims({ jti: MARK })));

const marked = (changes: Record<string, unknown>) => sign(KEY, claims({ jti: MARK, ...changes }));
const headed = (header: Record<string, unknown>) => sign(KEY, claims({ jti: MARK }), header);
const bytes = (header: string, payload: string | Uint8Array) => signBytes(KEY, { header, payload });
const HEADER = '{"alg":"ES256","kid":"k1"}';

const BAD_TOKENS: readonly (readonly [name: string, fault: TokenFault, token: string])[] = [
  ["T1 alg none", "algorithm", `${encode('{"alg":"none"}')}.${UNSIGNED_PAYLOAD}.${GOOD_SIGNATURE}`],
  ["T1 alg nOnE", "algorithm", `${encode('{"alg":"nOnE"}')}.${UNSIGNED_PAYLOAD}.${GOOD_SIGNATURE}`],
  ["T1 alg none, empty signature", "malformed", `${encode('{"alg":"none"}')}.${UNSIGNED_PAYLOAD}.`],
  ["T1 empty signature", "malformed", withSignature(GOOD, "")],
  ["T1 HS256 with the PEM of the public key", "algorithm", await hs256(await exportSPKI(RSA_KEY.publicKey))],
  ["T1 HS256 with the modulus of the public key", "algorithm", await hs256(RSA_KEY.jwk.n!)],
  [
    "T1 an algorithm not configured",
    "algorithm",
    await sign(await signingKey("ES384", "k1"), claims({ jti: MARK })),
  ],
  ["T1 an algorithm that does not fit the key", "algorithm", await sign(RSA_KEY, claims(), { kid: "k1" })],
  ["T1 alg that is a number", "malformed", await bytes('{"alg":256}', JSON.stringify(claims()))],
  ["T1 no alg", "malformed", await bytes("{}", JSON.stringify(claims()))],
  ["T2 unknown crit", "critical", await headed({ crit: ["odd"], odd: true })],
  [
    "T2 crit of b64",
    "critical",
    await bytes('{"alg":"ES256","crit":["b64"],"b64":true}', JSON.stringify(claims())),
  ],
  ["T2 empty crit", "critical", await bytes('{"alg":"ES256","crit":[]}', JSON.stringify(claims()))],
  ["T2 jwk of a stranger", "signature", await sign(OTHER_KEY, claims({ jti: MARK }), { jwk: OTHER_KEY.jwk })],
  [
    "T2 jku of a stranger",
    "signature",
    await sign(OTHER_KEY, claims(), { jku: "https://evil.example/jwks" }),
  ],
  ["T2 x5u of a stranger", "signature", await sign(OTHER_KEY, claims(), { x5u: "https://evil.example/x5u" })],
  ["T2 x5c of a stranger", "signature", await sign(OTHER_KEY, claims(), { x5c: ["MIIB"] })],
  ["T3 kid with ../", "unknown_key", await headed({ kid: "../../../../dev/null" })],
  ["T3 kid __proto__", "unknown_key", await headed({ kid: "__proto__" })],
  ["T3 kid constructor", "unknown_key", await headed({ kid: "constructor" })],
  ["T3 kid with NUL", "unknown_key", await headed({ kid: "k1\0" })],
  ["T3 kid of 10 kB", "unknown_key", await headed({ kid: "k".repeat(10_000) })],
  ["T3 kid that is a number", "malformed", await bytes('{"alg":"ES256","kid":1}', JSON.stringify(claims()))],
  ["T7 five-part JWE", "encrypted", "e30.AAAA.AAAA.AAAA.AAAA"],
  ["T7 100 kB of dots", "too_long", ".".repeat(100_000)],
  ["T7 16 kB of dots", "not_a_token", ".".repeat(16_384)],
  ["T7 one byte over the cap", "too_long", "a".repeat(16_385)],
  ["T7 a signed token over the cap", "too_long", await marked({ filler: "f".repeat(16_384) })],
  ["T8 exp missing", "expired", await marked({ exp: undefined })],
  ["T8 exp 0", "expired", await marked({ exp: 0 })],
  ["T8 exp negative", "expired", await marked({ exp: -1 })],
  ["T8 exp a string", "expired", await marked({ exp: String(START_SECONDS + 3600) })],
  ["T8 exp null", "expired", await marked({ exp: null })],
  ["T8 exp 1e309", "expired", await bytes(HEADER, `{"iss":"${ISS}","aud":"pg","sub":"${MARK}","exp":1e309}`)],
  ["T8 exp past", "expired", await marked({ exp: START_SECONDS - 3600 })],
  ["T8 exp 61 s ago", "expired", await marked({ exp: START_SECONDS - 61 })],
  ["T8 exp 60 s ago", "expired", await marked({ exp: START_SECONDS - 60 })],
  ["T8 nbf in 61 s", "not_yet_valid", await marked({ nbf: START_SECONDS + 61 })],
  ["T8 nbf a string", "not_yet_valid", await marked({ nbf: "0" })],
  ["T8 iat in 61 s", "not_yet_valid", await marked({ iat: START_SECONDS + 61 })],
  ["T8 iat 1e309", "not_yet_valid", await bytes(HEADER, `{"iss":"${ISS}","aud":"pg","exp":9e9,"iat":1e309}`)],
  ["T9 iss missing", "unknown_issuer", await marked({ iss: undefined })],
  ["T9 iss an array", "unknown_issuer", await marked({ iss: [ISS] })],
  ["T9 iss a prefix", "unknown_issuer", await marked({ iss: ISS.slice(0, -1) })],
  ["T9 iss with a slash more", "unknown_issuer", await marked({ iss: `${ISS}/` })],
  ["T9 iss in upper case", "unknown_issuer", await marked({ iss: ISS.toUpperCase() })],
  ["T9 iss of another", "unknown_issuer", await marked({ iss: "https://evil.example" })],
  ["T9 aud missing", "audience", await marked({ aud: undefined })],
  ["T9 aud another", "audience", await marked({ aud: "web" })],
  ["T9 aud holding ours as a substring", "audience", await marked({ aud: "pg-staging" })],
  ["T9 aud a substring of ours", "audience", await marked({ aud: "p" })],
  ["T9 aud an empty array", "audience", await marked({ aud: [] })],
  ["T9 aud an array of others", "audience", await marked({ aud: ["web", "pgx"] })],
  ["T9 aud a nested array", "audience", await marked({ aud: [["pg"]] })],
  ["T9 aud an object", "audience", await marked({ aud: { pg: "pg" } })],
  ["T10 a logout token", "type", await headed({ typ: "logout+jwt" })],
  ["T14 signature of another key", "signature", await sign(OTHER_KEY, claims({ jti: MARK }))],
  ["T14 signature one byte short", "signature", withSignature(GOOD, encode(new Uint8Array(63).fill(7)))],
  ["T14 signature one byte long", "signature", withSignature(GOOD, encode(new Uint8Array(65).fill(7)))],
  ["T14 signature of one byte", "signature", withSignature(GOOD, "AA")],
  ["T14 signature with r = s = 0", "signature", withSignature(GOOD, encode(new Uint8Array(64)))],
  ["T14 signature in DER", "signature", withSignature(GOOD, "MEUCIQD" + "A".repeat(88))],
  [
    "T14 payload exchanged",
    "signature",
    `${GOOD_HEADER}.${encode(JSON.stringify(claims({ sub: MARK })))}.${GOOD_SIGNATURE}`,
  ],
  [
    "T14 a claim twice",
    "malformed",
    await bytes(HEADER, `{"iss":"${ISS}","aud":"pg","exp":9e9,"sub":"a","sub":"b"}`),
  ],
  [
    "T14 a claim twice, once escaped",
    "malformed",
    await bytes(HEADER, `{"iss":"${ISS}","aud":"pg","exp":9e9,"sub":"a","s\\u0075b":"b"}`),
  ],
  [
    "T14 a nested member twice",
    "malformed",
    await bytes(HEADER, `{"iss":"${ISS}","aud":"pg","exp":9e9,"x":[{"a":1,"a":2}]}`),
  ],
  [
    "T14 alg twice",
    "malformed",
    await bytes('{"alg":"none","alg":"ES256","kid":"k1"}', JSON.stringify(claims())),
  ],
  [
    "T14 invalid UTF-8",
    "malformed",
    await bytes(HEADER, Uint8Array.of(0x7b, 0x22, 0xff, 0x22, 0x3a, 0x31, 0x7d)),
  ],
  [
    "T14 half a surrogate pair",
    "malformed",
    await bytes(HEADER, `{"iss":"${ISS}","aud":"pg","exp":9e9,"sub":"\\ud800"}`),
  ],
  ["T14 a byte order mark", "malformed", await bytes(HEADER, "\ufeff" + JSON.stringify(claims()))],
  ["T14 padding", "malformed", `${GOOD_HEADER}.${GOOD_PAYLOAD}.${GOOD_SIGNATURE}==`],
  ["T14 a space in a part", "malformed", `${GOOD_HEADER}.${GOOD_PAYLOAD} .${GOOD_SIGNATURE}`],
  ["T14 base64 instead of base64url", "malformed", withSignature(GOOD, "+/" + "A".repeat(84))],
  ["T14 stray bits in the last character", "malformed", withSignature(GOOD, "A".repeat(85) + "B")],
  ["T14 payload an array", "malformed", await bytes(HEADER, "[]")],
  ["T14 payload null", "malformed", await bytes(HEADER, "null")],
  ["T14 payload not JSON", "malformed", await bytes(HEADER, `{${MARK}`)],
  [
    "T14 payload nested too deeply",
    "malformed",
    await bytes(HEADER, `{"a":${"[".repeat(99)}${"]".repeat(99)}}`),
  ],
  ["T14 sub a number", "malformed", await marked({ sub: 1 })],
  ["T14 jti an object", "malformed", await marked({ jti: { a: MARK } })],
  ["T15 bound to a certificate", "bound", await marked({ cnf: { "x5t#S256": MARK } })],
  ["T15 bound to a DPoP key", "bound", await marked({ cnf: { jkt: MARK } })],
  ["T15 cnf null", "bound", await marked({ cnf: null })],
  ["a password", "not_a_token", MARK],
  ["an empty password", "not_a_token", ""],
  ["a password with two dots", "malformed", `${MARK}.x.y`],
  ["a token with a newline behind it", "malformed", `${GOOD}\n`],
  ["a token with Bearer before it", "malformed", `Bearer ${GOOD}`],
];

Deno.test.each(BAD_TOKENS)("verify() %s is refused as %s", async (_name, fault, token) => {
  const issuer = issuerWith(KEY, RSA_KEY);
  await using verifier = await issuer.verifier();
  assert.equal(await faultOf(verifier, token), fault);
});

Deno.test.each(BAD_TOKENS)("T17 %s: nothing of it is in the error", async (_name, _fault, token) => {
  const issuer = issuerWith(KEY, RSA_KEY);
  await using verifier = await issuer.verifier();
  const refusal = await refusalOf(verifier, token);
  const shown = `${Deno.inspect(refusal)} ${JSON.stringify({ ...refusal })} ${Deno.inspect(issuer.events)}`;
  assert.ok(!shown.includes(MARK));
  for (const part of token.split(".").filter((part) => part.length > 4)) assert.ok(!shown.includes(part));
});

Deno.test.each(
  [
    ["T8 exp 59 s ago", await marked({ exp: START_SECONDS - 59 })],
    ["T8 nbf in 59 s", await marked({ nbf: START_SECONDS + 59 })],
    ["T8 iat in 59 s", await marked({ iat: START_SECONDS + 59 })],
    ["T8 exp with a fraction", await marked({ exp: START_SECONDS + 0.5 })],
    ["T8 iat absent", await marked({ iat: undefined })],
    ["T9 aud an array holding ours", await marked({ aud: ["web", "pg"] })],
    ["T10 typ JWT", await headed({ typ: "JWT" })],
    ["T10 typ at+jwt", await headed({ typ: "at+jwt" })],
    ["T10 typ application/at+jwt in upper case", await headed({ typ: "application/AT+JWT" })],
    ["T2 a jku that nobody asks", await headed({ jku: "https://evil.example/jwks" })],
    ["no kid, the only key that fits", await sign(KEY, claims(), { kid: undefined })],
    ["RS256", await sign(RSA_KEY)],
    [
      "a claim named __proto__",
      await bytes(HEADER, JSON.stringify(claims()).replace("{", '{"__proto__":{"a":1},')),
    ],
  ] as const,
)("verify() %s is accepted", async (_name, token) => {
  const issuer = issuerWith(KEY, RSA_KEY);
  await using verifier = await issuer.verifier();
  assert.equal((await verifier.verify(token)).issuer, "corp");
});

Deno.test("T8 exp 0 is refused even while the clock stands at 1970", async () => {
  const issuer = issuerWith(KEY);
  issuer.nowMs = 0;
  await using verifier = await issuer.verifier();
  assert.equal(await faultOf(verifier, await sign(KEY, claims({ exp: 0, iat: 0 }))), "expired");
});

Deno.test("T2 nothing is fetched from a token's word", async () => {
  const issuer = issuerWith(KEY);
  await using verifier = await issuer.verifier();
  const evil = { jku: "https://evil.example/jwks", x5u: "https://evil.example/x5u" };
  await faultOf(verifier, await sign(OTHER_KEY, claims(), evil));
  assert.deepEqual(issuer.requests, ["https://issuer.example/jwks"]);
});

Deno.test("T1 an oct key in the key set verifies nothing", async () => {
  const issuer = new FakeIssuer();
  issuer.serve(KEY.jwk, { kty: "oct", kid: "k2", k: encode("shared"), alg: "HS256" });
  await using verifier = await issuer.verifier();
  await verifier.probe();
  assert.equal(await faultOf(verifier, await hs256("shared")), "algorithm");
  assert.deepEqual(issuer.events[0], {
    kind: "key_skipped",
    issuer: "corp",
    index: 1,
    reason: "is a shared secret",
  });
});

Deno.test.each(
  [
    ["T10 an ID token where access tokens are required", { types: ["at+jwt"] }, {}, { typ: "JWT" }, "type"],
    ["T10 no typ where one is required", { types: ["at+jwt"] }, {}, {}, "type"],
    ["T10 a token of another client", { clients: ["psql"] }, { azp: "web" }, {}, "client"],
    [
      "T10 a token whose client_id is another",
      { clients: ["psql"] },
      { azp: "psql", client_id: "web" },
      {},
      "client",
    ],
    ["T10 a token that names no client", { clients: ["psql"] }, {}, {}, "client"],
    ["T10 azp an array", { clients: ["psql"] }, { azp: ["psql"] }, {}, "client"],
    ["a required claim is missing", { required_claims: { groups: "dba" } }, {}, {}, "claim"],
    ["a required claim is another", { required_claims: { groups: "dba" } }, { groups: "dev" }, {}, "claim"],
    [
      "a required claim is a substring",
      { required_claims: { groups: "dba" } },
      { groups: "dbas" },
      {},
      "claim",
    ],
    ["a required claim of another type", { required_claims: { level: 1 } }, { level: "1" }, {}, "claim"],
    [
      "a required claim on the prototype",
      { required_claims: { "constructor.name": "Object" } },
      {},
      {},
      "claim",
    ],
  ] as const,
)("verify() %s", async (_name, changes, payload, header, fault) => {
  const issuer = issuerWith(KEY);
  await using verifier = await issuer.verifier([settings(changes)]);
  assert.equal(await faultOf(verifier, await sign(KEY, claims(payload), header)), fault);
});

Deno.test.each(
  [
    ["a typ of the list", { types: ["at+jwt"] }, {}, { typ: "at+jwt" }],
    ["a client of the list by azp", { clients: ["psql"] }, { azp: "psql" }],
    ["a client of the list by client_id", { clients: ["web", "psql"] }, { client_id: "psql" }],
    ["a required claim", { required_claims: { groups: "dba" } }, { groups: "dba" }],
    ["a required claim by membership", { required_claims: { groups: ["dba", "ops"] } }, {
      groups: ["dev", "ops"],
    }],
    ["a required claim by its path", { required_claims: { "realm.roles": "dba" } }, {
      realm: { roles: ["dba"] },
    }],
    ["a required claim with dots in its name", { required_claims: { '"https://a.b/r"': true } }, {
      "https://a.b/r": true,
    }],
  ] as const,
)("verify() accepts %s", async (_name, changes, payload, header: Record<string, unknown> = {}) => {
  const issuer = issuerWith(KEY);
  await using verifier = await issuer.verifier([settings(changes)]);
  assert.equal((await verifier.verify(await sign(KEY, claims(payload), header))).subject, "alice");
});

Deno.test("verify() gives issuer, claims, times and identifiers", async () => {
  const issuer = issuerWith(KEY);
  await using verifier = await issuer.verifier();
  const verified = await verifier.verify(await sign(KEY, claims({ jti: "j1" })));
  assert.deepEqual(verified, {
    issuer: "corp",
    claims: claims({ jti: "j1" }),
    expiresAtMs: START_MS + 3_600_000,
    issuedAtMs: START_MS,
    tokenId: "j1",
    subject: "alice",
    requireEmailVerified: true,
  });
});

Deno.test("verify() cuts expiresAtMs to what a Date can hold", async () => {
  const issuer = issuerWith(KEY);
  await using verifier = await issuer.verifier();
  const { expiresAtMs } = await verifier.verify(await sign(KEY, claims({ exp: 1e308 })));
  assert.equal(expiresAtMs, 8.64e15);
});

Deno.test("verify() gives claims that nobody can change for the next session", async () => {
  const issuer = issuerWith(KEY);
  await using verifier = await issuer.verifier();
  const verified = await verifier.verify(await sign(KEY, claims({ groups: ["dev"] })));
  assert.throws(() => (verified.claims.groups as string[]).push("dba"), TypeError);
});

Deno.test.each([[true], [false]])(
  "T11 require_email_verified = %s goes along with the token",
  async (flag) => {
    const issuer = issuerWith(KEY);
    await using verifier = await issuer.verifier([settings({ require_email_verified: flag })]);
    assert.equal((await verifier.verify(await sign(KEY))).requireEmailVerified, flag);
  },
);

Deno.test("T9 among several issuers iss chooses, and a key of one is not a key of the other", async () => {
  const issuer = issuerWith(KEY);
  issuer.answer("https://partner.example/jwks", () => Response.json({ keys: [OTHER_KEY.jwk] }));
  const partner = settings({ name: "partner", jwks_url: "https://partner.example/jwks", issuer: "partner" });
  await using verifier = await issuer.verifier([settings(), partner]);
  assert.equal((await verifier.verify(await sign(OTHER_KEY, claims({ iss: "partner" })))).issuer, "partner");
  assert.equal(await faultOf(verifier, await sign(KEY, claims({ iss: "partner" }))), "signature");
});

Deno.test("T19 a token as long as max_token_bytes is accepted", async () => {
  const issuer = issuerWith(KEY);
  const token = await sign(KEY, claims({ filler: "f".repeat(20_000) }));
  await using verifier = await issuer.verifier([settings()], { maxTokenBytes: token.length });
  assert.equal((await verifier.verify(token)).subject, "alice");
});

Deno.test("T19 a token one byte longer than max_token_bytes is refused", async () => {
  const issuer = issuerWith(KEY);
  const token = await sign(KEY);
  await using verifier = await issuer.verifier([settings()], { maxTokenBytes: token.length - 1 });
  assert.equal(await faultOf(verifier, token), "too_long");
});

Deno.test("verify() tries each key that shares a kid", async () => {
  const issuer = issuerWith(OTHER_KEY, KEY);
  await using verifier = await issuer.verifier();
  assert.equal((await verifier.verify(await sign(KEY))).subject, "alice");
});

Deno.test("verify() imports no key again, however many tokens come", async () => {
  const issuer = issuerWith(KEY);
  await using verifier = await issuer.verifier();
  await verifier.verify(await sign(KEY, claims({ jti: "first" })));
  const imports: unknown[] = [];
  const { importKey } = crypto.subtle;
  crypto.subtle.importKey = (...words: unknown[]) => {
    imports.push(words);
    return Reflect.apply(importKey, crypto.subtle, words);
  };
  try {
    for (const jti of ["second", "third"]) await verifier.verify(await sign(KEY, claims({ jti })));
    assert.deepEqual(imports, []);
    await using another = await issuerWith(KEY).verifier();
    await another.verify(await sign(KEY));
    assert.equal(imports.length, 1);
  } finally {
    crypto.subtle.importKey = importKey;
  }
});

Deno.test("create() tells of doubled names and doubled iss at once", async () => {
  const issuer = issuerWith(KEY);
  await assert.rejects(issuer.verifier([settings(), settings()]), {
    name: "IssuersMisconfigured",
    problems: [
      { issuer: "corp", message: "Two issuers have this name; rename one" },
      {
        issuer: "corp",
        message: "Another issuer expects the same iss; make them one, audience takes several",
      },
    ],
  });
});
