import assert from "node:assert/strict";
import {
  COOLDOWN_MS,
  REFRESH_AFTER_MS,
  RemoteKeySet,
  USABLE_FOR_MS,
} from "../../lib/token/remote_key_set.ts";
import type { TokenEvent } from "../../lib/token/token_event.ts";
import { claims, encode, FakeIssuer, faultOf, issuerWith, sign, signingKey } from "./fake_issuer.ts";

const KEY = await signingKey("ES256", "k1");
const NEXT_KEY = await signingKey("ES256", "k2");
const RSA_KEY = await signingKey("RS256", "k3");

const KNOWN = await sign(KEY);
const UNKNOWN = await Promise.all(
  Array.from({ length: 100 }, (_, index) => sign(KEY, claims(), { kid: `no-${index}` })),
);

/** A good token that no verifier remembers. */
let serial = 0;
const fresh = () => sign(KEY, claims({ jti: String(serial++), exp: claims().exp as number + 7200 }));

/** A verifier that has its keys, past the cooldown of having fetched them. */
async function warm(issuer: FakeIssuer) {
  const verifier = await issuer.verifier();
  assert.deepEqual(await verifier.probe(), []);
  issuer.nowMs += COOLDOWN_MS;
  issuer.requests.length = 0;
  return verifier;
}

Deno.test.each(
  [
    ["up", (issuer: FakeIssuer) => issuer.serve(KEY.jwk)],
    ["down", (issuer: FakeIssuer) => issuer.goDown()],
    ["up with an empty key set", (issuer: FakeIssuer) => issuer.serve()],
    [
      "answering with errors",
      (issuer: FakeIssuer) =>
        issuer.answer("https://issuer.example/jwks", () => new Response("", { status: 500 })),
    ],
  ] as const,
)("T4 a flood of unknown kids costs one fetch per cooldown, the issuer %s", async (_state, become) => {
  const issuer = issuerWith(KEY);
  await using verifier = await warm(issuer);
  become(issuer);
  for (const token of UNKNOWN) assert.equal(await faultOf(verifier, token), "unknown_key");
  assert.equal(issuer.requests.length, 1);
  assert.equal((await verifier.verify(await fresh())).subject, "alice");

  issuer.nowMs += COOLDOWN_MS - 1;
  for (const token of UNKNOWN) assert.equal(await faultOf(verifier, token), "unknown_key");
  assert.equal(issuer.requests.length, 1);

  issuer.nowMs += 1;
  for (const token of UNKNOWN) assert.equal(await faultOf(verifier, token), "unknown_key");
  assert.equal(issuer.requests.length, 2);
  assert.equal((await verifier.verify(await fresh())).subject, "alice");
});

Deno.test("T4 with a slow issuer all unknown kids wait for one fetch, and known keys do not wait", async () => {
  const issuer = issuerWith(KEY);
  await using verifier = await warm(issuer);
  const release = issuer.hold(KEY.jwk);
  const flood = UNKNOWN.map((token) => faultOf(verifier, token));
  assert.equal((await verifier.verify(await fresh())).subject, "alice");
  release();
  assert.deepEqual(new Set(await Promise.all(flood)), new Set(["unknown_key"]));
  assert.equal(issuer.requests.length, 1);
});

Deno.test("T4 with an issuer down from the start, one fetch per cooldown and keys_unavailable", async () => {
  const issuer = new FakeIssuer();
  issuer.goDown();
  await using verifier = await issuer.verifier();
  for (const token of UNKNOWN) assert.equal(await faultOf(verifier, token), "keys_unavailable");
  assert.equal(issuer.requests.length, 1);
  issuer.serve(KEY.jwk);
  issuer.nowMs += COOLDOWN_MS;
  assert.equal((await verifier.verify(KNOWN)).subject, "alice");
});

Deno.test("T3 a kid of 10 kB does not even cost a fetch", async () => {
  const issuer = issuerWith(KEY);
  await using verifier = await warm(issuer);
  await faultOf(verifier, await sign(KEY, claims(), { kid: "k".repeat(10_000) }));
  assert.deepEqual(issuer.requests, []);
});

Deno.test("a clock set back by a day does not stop the fetching", async () => {
  const issuer = issuerWith(KEY);
  await using verifier = await warm(issuer);
  issuer.nowMs -= 86_400_000;
  await faultOf(verifier, UNKNOWN[0]);
  assert.equal(issuer.requests.length, 1);
});

Deno.test("a new kid is fetched and accepted at once", async () => {
  const issuer = issuerWith(KEY);
  await using verifier = await warm(issuer);
  issuer.serve(KEY.jwk, NEXT_KEY.jwk);
  assert.equal((await verifier.verify(await sign(NEXT_KEY))).subject, "alice");
});

Deno.test("keys of 5 minutes are fetched again without making the login wait", async () => {
  const issuer = issuerWith(KEY);
  await using verifier = await warm(issuer);
  issuer.nowMs += REFRESH_AFTER_MS;
  const release = issuer.hold(NEXT_KEY.jwk);
  assert.equal((await verifier.verify(KNOWN)).subject, "alice");
  assert.equal(issuer.requests.length, 1);
  release();
  // Joins the fetch in flight.
  await verifier.refresh();
  assert.equal(issuer.requests.length, 1);
  assert.equal(await faultOf(verifier, KNOWN), "unknown_key");
});

Deno.test("keys younger than 5 minutes are not fetched again", async () => {
  const issuer = issuerWith(KEY);
  await using verifier = await issuer.verifier();
  await verifier.probe();
  issuer.nowMs += REFRESH_AFTER_MS - 1;
  await verifier.verify(KNOWN);
  assert.equal(issuer.requests.length, 1);
});

Deno.test("keys are used up to an hour while the issuer is down, and no longer", async () => {
  const issuer = issuerWith(KEY);
  await using verifier = await issuer.verifier();
  await verifier.probe();
  issuer.goDown();
  issuer.nowMs += USABLE_FOR_MS - 1;
  assert.equal((await verifier.verify(await fresh())).subject, "alice");
  issuer.nowMs += COOLDOWN_MS;
  assert.equal(await faultOf(verifier, await fresh()), "keys_unavailable");
});

Deno.test("problems() asks nobody: it tells of keys that were never fetched, and of those that are too old", async () => {
  const issuer = issuerWith(KEY);
  await using verifier = await issuer.verifier();
  assert.deepEqual(verifier.problems(), [{ issuer: "corp", message: "Its keys have not been fetched" }]);
  await verifier.probe();
  assert.deepEqual(verifier.problems(), []);
  issuer.goDown();
  issuer.nowMs += USABLE_FOR_MS - 1;
  await verifier.refresh();
  assert.deepEqual(verifier.problems(), []);
  issuer.nowMs += 1;
  const message = "https://issuer.example/jwks could not be fetched: connection refused";
  assert.deepEqual(verifier.problems(), [{ issuer: "corp", message }]);
  assert.equal(issuer.requests.length, 2);
});

Deno.test("a remembered token goes with the keys that are too old", async () => {
  const issuer = issuerWith(KEY);
  await using verifier = await issuer.verifier();
  await verifier.probe();
  issuer.goDown();
  issuer.nowMs += USABLE_FOR_MS - 1;
  const token = await fresh();
  await verifier.verify(token);
  issuer.nowMs += COOLDOWN_MS;
  assert.equal(await faultOf(verifier, token), "keys_unavailable");
});

Deno.test("T4 with an issuer slow from the start all logins wait for one fetch", async () => {
  const issuer = new FakeIssuer();
  const release = issuer.hold(KEY.jwk);
  await using verifier = await issuer.verifier();
  const logins = Array.from({ length: 20 }, async () => (await verifier.verify(await fresh())).subject);
  release();
  assert.deepEqual(new Set(await Promise.all(logins)), new Set(["alice"]));
  assert.equal(issuer.requests.length, 1);
});

/** A key set by itself, whose fetches are counted. */
function keySet() {
  const state = { nowMs: 0, fetches: 0, set: undefined as unknown as RemoteKeySet };
  state.set = new RemoteKeySet({
    issuer: "corp",
    algorithms: ["ES256"],
    fetchKeySet: () => {
      state.fetches++;
      return Promise.resolve({ keys: [KEY.jwk] });
    },
    now: () => state.nowMs,
    report: () => {},
  });
  return state;
}

Deno.test("tick() fetches keys that have never been fetched", async () => {
  const state = keySet();
  state.set.tick();
  await state.set.close();
  assert.equal(state.fetches, 1);
});

Deno.test.each([[REFRESH_AFTER_MS - 1, 1], [REFRESH_AFTER_MS, 2]])(
  "tick() when the keys are %i ms old leaves %i fetches in all",
  async (ageMs, fetches) => {
    const state = keySet();
    await state.set.refresh();
    state.nowMs += ageMs;
    state.set.tick();
    await state.set.close();
    assert.equal(state.fetches, fetches);
  },
);

Deno.test("a failure nobody foresaw is a problem, not an unhandled rejection", async () => {
  const events: TokenEvent[] = [];
  const set = new RemoteKeySet({
    issuer: "corp",
    algorithms: ["ES256"],
    fetchKeySet: () => Promise.reject(new RangeError("odd")),
    now: () => 0,
    report: (event) => events.push(event),
  });
  assert.equal(await set.usable(), undefined);
  assert.equal(set.problem(), "odd");
  assert.deepEqual(events, [{ kind: "key_set_failed", issuer: "corp", problem: "odd" }]);
});

Deno.test("refresh() fetches at once, the cooldown notwithstanding", async () => {
  const issuer = issuerWith(KEY);
  await using verifier = await issuer.verifier();
  await verifier.probe();
  issuer.serve(NEXT_KEY.jwk);
  await verifier.refresh();
  assert.equal((await verifier.verify(await sign(NEXT_KEY))).subject, "alice");
});

Deno.test("probe() names the issuer that cannot be reached, and why", async () => {
  const issuer = new FakeIssuer();
  issuer.goDown();
  await using verifier = await issuer.verifier();
  const message = "https://issuer.example/jwks could not be fetched: connection refused";
  assert.deepEqual(await verifier.probe(), [{ issuer: "corp", message }]);
  assert.deepEqual(issuer.events, [{ kind: "key_set_failed", issuer: "corp", problem: message }]);
});

Deno.test("close() ends a fetch that nobody answers", async () => {
  const issuer = issuerWith(KEY);
  const verifier = await warm(issuer);
  issuer.hold();
  const waiting = faultOf(verifier, UNKNOWN[0]);
  await verifier.close();
  assert.equal(await waiting, "unknown_key");
  // Had it waited for the deadline, that would have been reported.
  assert.deepEqual(issuer.events, [{ kind: "key_set_changed", issuer: "corp", keys: 1 }]);
});

Deno.test("a large key set lets others have their turn every 32 keys", async () => {
  let pauses = 0;
  const keySet = new RemoteKeySet({
    issuer: "corp",
    algorithms: ["ES256"],
    fetchKeySet: () => Promise.resolve({ keys: Array.from({ length: 100 }, () => KEY.jwk) }),
    now: () => 0,
    report: () => {},
    pause: () => Promise.resolve(void pauses++),
  });
  await keySet.refresh();
  assert.equal(keySet.current()?.size, 100);
  assert.equal(pauses, 3);
});

Deno.test.each(
  [
    ["no keys array", { keys: "none" }, "The key set has no array of keys"],
    ["an error document", { error: "busy" }, "The key set has no array of keys"],
    ["no key at all", { keys: [] }, "The key set has no key that fits the issuer's algorithms"],
    [
      "129 keys",
      { keys: Array(129).fill(KEY.jwk) },
      "The key set has more than 128 keys; remove those no longer in use",
    ],
    [
      "only unusable keys",
      { keys: [{ kty: "oct", k: "AA" }] },
      "The key set has no key that fits the issuer's algorithms",
    ],
  ] as const,
)("a key set with %s leaves the keys as they were", async (_name, document, problem) => {
  const issuer = issuerWith(KEY);
  await using verifier = await warm(issuer);
  issuer.answer("https://issuer.example/jwks", () => Response.json(document));
  await verifier.refresh();
  assert.equal((await verifier.verify(KNOWN)).subject, "alice");
  assert.deepEqual(issuer.events.at(-1), { kind: "key_set_failed", issuer: "corp", problem });
});

const SHORT_RSA = await crypto.subtle.exportKey(
  "jwk",
  (await crypto.subtle.generateKey(
    { name: "RSA-PSS", modulusLength: 1024, publicExponent: Uint8Array.of(1, 0, 1), hash: "SHA-256" },
    true,
    ["sign", "verify"],
  )).publicKey,
);

Deno.test.each(
  [
    ["null", null, "is not an object"],
    ["without kty", { kid: "x" }, "fits none of the issuer's algorithms"],
    ["of an unknown kty", { kty: "AKP" }, "fits none of the issuer's algorithms"],
    ["a shared secret", { kty: "oct", k: "c2VjcmV0" }, "is a shared secret"],
    ["a private key", { ...KEY.jwk, d: "AAAA" }, "is a private key"],
    ["for encryption", { ...KEY.jwk, use: "enc" }, "is not for signatures (use)"],
    ["for signing only", { ...KEY.jwk, key_ops: ["sign"] }, "is not for verifying (key_ops)"],
    ["whose key_ops is text", { ...KEY.jwk, key_ops: "verify" }, "is not for verifying (key_ops)"],
    ["for another algorithm", { ...KEY.jwk, alg: "ES512" }, "fits none of the issuer's algorithms"],
    [
      "of another curve",
      { ...KEY.jwk, alg: undefined, crv: "P-384" },
      "fits none of the issuer's algorithms",
    ],
    ["with a kid that is a number", { ...KEY.jwk, kid: 1 }, "has a kid that is not a string"],
    ["with half an x", { ...KEY.jwk, x: KEY.jwk.x!.slice(0, 22) }, "cannot be imported"],
    ["with half its coordinates", { ...KEY.jwk, y: undefined }, "cannot be imported"],
    ["off its curve", { ...KEY.jwk, x: KEY.jwk.y }, "cannot be imported"],
    ["RSA with exponent 1", { ...RSA_KEY.jwk, e: "AQ" }, "cannot be imported"],
    ["RSA with exponent 2", { ...RSA_KEY.jwk, e: "Ag" }, "cannot be imported"],
    [
      "RSA of 8192 bits",
      { ...RSA_KEY.jwk, n: encode(new Uint8Array(1024).fill(0xff)) },
      "is an RSA key of more than 4096 bits",
    ],
    [
      "RSA of 1024 bits",
      { kty: "RSA", n: SHORT_RSA.n, e: SHORT_RSA.e },
      "is an RSA key of less than 2048 bits",
    ],
  ] as const,
)("T5 a bad key among good is skipped: %s", async (_name, bad, reason) => {
  const issuer = new FakeIssuer();
  issuer.serve(bad, KEY.jwk);
  await using verifier = await issuer.verifier();
  assert.equal((await verifier.verify(KNOWN)).subject, "alice");
  assert.deepEqual(issuer.events, [
    { kind: "key_skipped", issuer: "corp", index: 0, reason },
    { kind: "key_set_changed", issuer: "corp", keys: 1 },
  ]);
});

Deno.test("T5 a doubled kid: each of its keys verifies", async () => {
  const twin = await signingKey("ES256", "k1");
  await using verifier = await issuerWith(KEY, twin).verifier();
  assert.equal((await verifier.verify(KNOWN)).subject, "alice");
  assert.equal((await verifier.verify(await sign(twin))).subject, "alice");
});

Deno.test("only 16 keys of one kid are tried", async () => {
  const decoys = await Promise.all(Array.from({ length: 16 }, () => signingKey("ES256", "k1")));
  await using verifier = await issuerWith(...decoys, KEY).verifier();
  assert.equal(await faultOf(verifier, KNOWN), "signature");
});

Deno.test("a key set that is fetched again and is the same is told as such", async () => {
  const issuer = issuerWith(KEY);
  await using verifier = await warm(issuer);
  await verifier.refresh();
  assert.deepEqual(issuer.events.at(-1), { kind: "key_set_unchanged", issuer: "corp" });
});

Deno.test("keySets() tells how many keys there are, and how old they are", async () => {
  const issuer = issuerWith(KEY, NEXT_KEY);
  await using verifier = await warm(issuer);
  issuer.nowMs += 1234;
  assert.deepEqual(verifier.keySets(), [{ issuer: "corp", keys: 2, ageMs: COOLDOWN_MS + 1234 }]);
});

Deno.test("keySets() counts no keys that are too old to be used", async () => {
  const issuer = issuerWith(KEY);
  await using verifier = await warm(issuer);
  issuer.goDown();
  issuer.nowMs += USABLE_FOR_MS;
  assert.deepEqual(verifier.keySets(), [{ issuer: "corp", keys: 0, ageMs: COOLDOWN_MS + USABLE_FOR_MS }]);
});
