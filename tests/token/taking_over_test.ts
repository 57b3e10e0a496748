import assert from "node:assert/strict";
import type { IssuerSettings } from "../../lib/token/schema.ts";
import { TokenVerifier } from "../../lib/token/token_verifier.ts";
import { tempDirectory } from "../support/temp_directory.ts";
import { faultOf, issuerWith, settings, sign, signingKey } from "./fake_issuer.ts";
import { asking, FakeEndpoint } from "./introspection/fake_endpoint.ts";
import { good, loop, NOW_MS, say } from "./validator/scripted_validator.ts";

const key = await signingKey("ES256", "one");
const MINUTE_MS = 60_000;

Deno.test("a reload while the issuer is down keeps its keys, and says so only when they are asked for again", async () => {
  const issuer = issuerWith(key);
  const token = await sign(key);
  const before = await issuer.verifier();
  assert.deepEqual(await before.probe(), []);
  issuer.goDown();
  await using after = await issuer.verifier([settings()], { before });
  assert.deepEqual(await after.probe(), []);
  await before.close();
  assert.equal((await after.verify(token)).subject, "alice");
  await after.recheck();
  assert.deepEqual(issuer.events.map(({ kind }) => kind), ["key_set_changed", "key_set_failed"]);
  issuer.nowMs += 59 * MINUTE_MS;
  assert.equal((await after.verify(token)).subject, "alice");
  issuer.nowMs += MINUTE_MS;
  assert.equal(await faultOf(after, token), "keys_unavailable");
});

Deno.test("what was taken over is fetched once more by recheck() and no more, what was not by probe()", async () => {
  const issuer = issuerWith(key);
  await using before = await issuer.verifier();
  await before.probe();
  const other = settings({ name: "other", issuer: "https://other.example" });
  await using after = await issuer.verifier([settings(), other], { before });
  await after.probe();
  assert.equal(issuer.requests.length, 2);
  await after.recheck();
  assert.equal(issuer.requests.length, 3);
});

Deno.test("keys that were withdrawn are so by both verifiers", async () => {
  const issuer = issuerWith(key);
  await using before = await issuer.verifier();
  await before.probe();
  await using after = await issuer.verifier([settings()], { before });
  issuer.serve((await signingKey("ES256", "two")).jwk);
  await after.recheck();
  assert.equal(await faultOf(before, await sign(key)), "unknown_key");
  assert.equal(await faultOf(after, await sign(key)), "unknown_key");
});

Deno.test.each<[string, IssuerSettings]>([
  ["another name", settings({ name: "other" })],
  ["another place of its keys", settings({ jwks_url: "https://issuer.example/keys" })],
  ["other algorithms", settings({ algorithms: ["RS256"] })],
])("an issuer with %s is another one: a reload while it is down finds that out", async (_name, changed) => {
  const issuer = issuerWith(key);
  await using before = await issuer.verifier();
  await before.probe();
  issuer.goDown();
  await using after = await issuer.verifier([changed], { before });
  assert.equal((await after.probe()).length, 1);
});

Deno.test("an issuer of which other things are asked keeps its keys", async () => {
  const issuer = issuerWith(key);
  await using before = await issuer.verifier();
  await before.probe();
  issuer.goDown();
  await using after = await issuer.verifier([settings({ audience: ["other"] })], { before });
  assert.deepEqual(await after.probe(), []);
  assert.equal(await faultOf(after, await sign(key)), "audience");
});

Deno.test("a verifier that comes to nothing leaves the one of before what it has", async () => {
  const issuer = issuerWith(key);
  await using before = await issuer.verifier();
  await before.probe();
  const broken = settings({
    name: "broken",
    jwks_url: undefined,
    issuer: "https://b.example",
    signing_keys: ["none.pem"],
  });
  await assert.rejects(issuer.verifier([settings(), broken], { before }));
  const unused = await issuer.verifier([settings()], { before });
  await unused.close();
  assert.equal((await before.verify(await sign(key))).subject, "alice");
  await before.refresh();
  assert.equal(issuer.requests.length, 2);
});

Deno.test("keys from files are read anew", async () => {
  const reads: string[] = [];
  const issuer = issuerWith();
  const files = settings({ jwks_url: undefined, signing_keys: ["key.pem"] });
  const outside = {
    readTextFile: (path: string) => {
      reads.push(path);
      return Promise.reject(new Deno.errors.NotFound());
    },
  };
  await using before = await issuer.verifier([]);
  await assert.rejects(issuer.verifier([files], { ...outside, before }));
  await assert.rejects(issuer.verifier([files], { ...outside, before }));
  assert.equal(reads.length, 2);
});

Deno.test("an introspection that is the same is not tried before a reload, but behind it", async () => {
  const endpoint = new FakeEndpoint();
  endpoint.tell({ active: false });
  const before = await endpoint.verifier();
  assert.deepEqual(await before.probe(), []);
  endpoint.goDown();
  await using after = await endpoint.verifier([asking()], { before });
  await before.close();
  assert.deepEqual(await after.probe(), []);
  await after.recheck();
  assert.deepEqual(endpoint.events.map(({ kind }) => kind), ["introspection_unusable"]);
});

Deno.test("an introspection whose secret is another one is tried before a reload", async () => {
  const endpoint = new FakeEndpoint();
  endpoint.tell({ active: false });
  await using before = await endpoint.verifier();
  await before.probe();
  endpoint.tell({ error: "invalid_client" }, { status: 401 });
  await using after = await endpoint.verifier([asking()], { before, getEnv: () => "another" });
  assert.equal((await after.probe()).length, 1);
});

Deno.test("a validator that is the same goes on running, and ends with the last who holds it", async () => {
  await using directory = await tempDirectory();
  const script = await directory.write("script", `echo started >> started\n${loop(say(good("alice")))}`);
  const issuer = (timeout: string) =>
    settings({
      ...{ jwks_url: undefined, issuer: undefined, audience: undefined },
      validator: { command: ["/bin/sh", script], timeout },
    });
  const outside = {
    fetch: () => Promise.reject(new Error("nothing is fetched")),
    now: () => NOW_MS,
    baseDirectory: directory.path,
  };
  const started = async () =>
    (await Deno.readTextFile(`${directory.path}/started`)).trim().split("\n").length;
  const before = await TokenVerifier.create([issuer("5s")], outside);
  const asked = { user: "alice", database: "orders", clientAddress: "192.0.2.1" };
  assert.equal((await before.verify("a-token", { asked })).subject, "alice");
  const after = await TokenVerifier.create([issuer("5s")], { ...outside, before });
  await before.close();
  assert.equal((await after.verify("a-token", { asked })).subject, "alice");
  assert.equal(await started(), 1);
  await using last = await TokenVerifier.create([issuer("6s")], { ...outside, before: after });
  await after.close();
  assert.equal((await last.verify("a-token", { asked })).subject, "alice");
  assert.equal(await started(), 2);
});
