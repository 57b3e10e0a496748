import assert from "node:assert/strict";
import { TokenMemory } from "../../lib/token/token_memory.ts";
import { claims, faultOf, issuerWith, sign, signingKey, START_MS, START_SECONDS } from "./fake_issuer.ts";

const KEY = await signingKey("ES256", "k1");

Deno.test("TokenMemory recalls for 60 s and no longer", () => {
  const memory = new TokenMemory<string>();
  memory.remember("token", "verdict", { nowMs: 0, notPastMs: Infinity });
  assert.equal(memory.recall("token", 59_999), "verdict");
  assert.equal(memory.recall("token", 60_000), undefined);
});

Deno.test("TokenMemory never recalls past the end it was given", () => {
  const memory = new TokenMemory<string>();
  memory.remember("token", "verdict", { nowMs: 0, notPastMs: 1000 });
  assert.equal(memory.recall("token", 999), "verdict");
  assert.equal(memory.recall("token", 1000), undefined);
});

Deno.test("TokenMemory forgets when the clock is set back", () => {
  const memory = new TokenMemory<string>();
  memory.remember("token", "verdict", { nowMs: 1000, notPastMs: Infinity });
  assert.equal(memory.recall("token", 999), undefined);
});

Deno.test("TokenMemory drops the oldest when it is full", () => {
  const memory = new TokenMemory<number>(3);
  for (const [index, token] of ["a", "b", "a", "c", "d"].entries()) {
    memory.remember(token, index, { nowMs: 0, notPastMs: Infinity });
  }
  assert.equal(memory.size, 3);
  assert.deepEqual(["a", "b", "c", "d"].map((token) => memory.recall(token, 0)), [2, undefined, 3, 4]);
});

Deno.test("verify() checks a remembered token's signature once", async () => {
  const issuer = issuerWith(KEY);
  await using verifier = await issuer.verifier();
  const token = await sign(KEY);
  assert.equal(await verifier.verify(token), await verifier.verify(token));
});

Deno.test("T8 a remembered token is refused when its exp has passed", async () => {
  const issuer = issuerWith(KEY);
  await using verifier = await issuer.verifier();
  const token = await sign(KEY, claims({ exp: START_SECONDS - 30 }));
  await verifier.verify(token);
  issuer.nowMs = START_MS + 29_999;
  await verifier.verify(token);
  issuer.nowMs = START_MS + 30_000;
  assert.equal(await faultOf(verifier, token), "expired");
});

Deno.test("a remembered token is refused as soon as its key is withdrawn", async () => {
  const issuer = issuerWith(KEY);
  await using verifier = await issuer.verifier();
  const token = await sign(KEY);
  await verifier.verify(token);
  issuer.serve((await signingKey("ES256", "k2")).jwk);
  await verifier.refresh();
  assert.equal(await faultOf(verifier, token), "unknown_key");
});

Deno.test("a key set that comes again unchanged forgets nothing", async () => {
  const issuer = issuerWith(KEY);
  await using verifier = await issuer.verifier();
  const token = await sign(KEY);
  const verified = await verifier.verify(token);
  await verifier.refresh();
  assert.equal(await verifier.verify(token), verified);
});

Deno.test("T17 a verifier that remembers a token does not hold it", async () => {
  const memory = new TokenMemory<string>();
  const token = await sign(KEY);
  const kept: unknown[] = [];
  const set = Map.prototype.set;
  Map.prototype.set = function (key, value) {
    kept.push(key, value);
    return set.call(this, key, value);
  };
  try {
    memory.remember(token, "verdict", { nowMs: 0, notPastMs: 1 });
  } finally {
    Map.prototype.set = set;
  }
  assert.equal(kept.length, 2);
  assert.ok(!Deno.inspect(kept, { strAbbreviateSize: 1e6 }).includes(token.split(".")[2]));
});
