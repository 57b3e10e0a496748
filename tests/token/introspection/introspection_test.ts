import assert from "node:assert/strict";
import { FAILURES_TO_OPEN, OPEN_FOR_MS } from "../../../lib/token/introspection/breaker.ts";
import { MAX_AT_ONCE } from "../../../lib/token/introspection/remote_introspector.ts";
import { TokenRefused } from "../../../lib/token/refused_token.ts";
import type { TokenVerifier } from "../../../lib/token/token_verifier.ts";
import { waitUntil } from "../../support/wait_until.ts";
import {
  claims,
  faultOf,
  refusalOf,
  settings,
  sign,
  signingKey,
  START_MS,
  START_SECONDS,
} from "../fake_issuer.ts";
import { asking, ENDPOINT, FakeEndpoint, told } from "./fake_endpoint.ts";

const KEY = await signingKey("ES256", "k1");

/** An opaque token that nobody has seen. */
let serial = 0;
const fresh = () => `opaque-${serial++}`;

Deno.test("verify() gives of an opaque token what its issuer says", async () => {
  const endpoint = new FakeEndpoint();
  endpoint.tell(told({ scope: "a b", jti: "j1", iat: START_SECONDS, token_type: "Bearer" }));
  await using verifier = await endpoint.verifier();
  const { active: _active, ...expected } = told({
    scope: "a b",
    jti: "j1",
    iat: START_SECONDS,
    token_type: "Bearer",
  });
  assert.deepEqual(await verifier.verify("opaque"), {
    issuer: "corp",
    claims: expected,
    expiresAtMs: START_MS + 3_600_000,
    issuedAtMs: START_MS,
    tokenId: "j1",
    subject: "alice",
    requireEmailVerified: true,
  });
});

Deno.test.each<[string, Record<string, unknown>, string]>([
  ["inactive", { active: false }, "inactive"],
  ["T8 exp missing", { exp: undefined }, "expired"],
  ["T8 exp past", { exp: START_SECONDS - 61 }, "expired"],
  ["T8 exp a string", { exp: "9999999999" }, "expired"],
  ["T8 nbf in the future", { nbf: START_SECONDS + 61 }, "not_yet_valid"],
  ["T9 iss another", { iss: "https://evil.example" }, "unknown_issuer"],
  ["T9 aud missing", { aud: undefined }, "audience"],
  ["T9 aud another", { aud: "web" }, "audience"],
  ["T9 aud an array of others", { aud: ["web"] }, "audience"],
  ["T10 a refresh token", { token_type: "refresh_token" }, "type"],
  ["T15 bound to a certificate", { cnf: { "x5t#S256": "x" } }, "bound"],
  ["T15 bound to a DPoP key", { cnf: { jkt: "x" } }, "bound"],
  ["T15 cnf an empty object", { cnf: {} }, "bound"],
  ["sub a number", { sub: 1 }, "malformed"],
])("verify() of an opaque token, %s, is refused", async (_name, changes, fault) => {
  const endpoint = new FakeEndpoint();
  endpoint.tell(told(changes));
  await using verifier = await endpoint.verifier();
  assert.equal(await faultOf(verifier, "opaque"), fault);
  assert.deepEqual(endpoint.events, []);
});

Deno.test.each<[string, Record<string, unknown>, Record<string, unknown>, string | undefined]>([
  ["T10 another client", { clients: ["psql"] }, { client_id: "web" }, "client"],
  ["the client", { clients: ["psql"] }, { client_id: "psql" }, undefined],
  ["without a scope", { required_claims: { scope: "pg" } }, { scope: "openid email" }, "claim"],
  ["with the scope", { required_claims: { scope: "pg" } }, { scope: "openid pg" }, undefined],
  ["T15 not bound where it must be", { require_binding: true }, {}, "unbound"],
])("verify() of an opaque token of %s", async (_name, changes, said, fault) => {
  const endpoint = new FakeEndpoint();
  endpoint.tell(told(said));
  await using verifier = await endpoint.verifier([asking({}, changes)]);
  if (fault !== undefined) assert.equal(await faultOf(verifier, "opaque"), fault);
  else assert.equal((await verifier.verify("opaque")).subject, "alice");
});

Deno.test.each<[string]>([["a b"], ["päss"], ["a\nb"], ["a=b"], ["a%20b"], ["'; --"], ["=="], ["a\0"]])(
  "verify() shows nobody %j, which no token can be",
  async (token) => {
    const endpoint = new FakeEndpoint();
    await using verifier = await endpoint.verifier();
    assert.equal(await faultOf(verifier, token), "not_a_token");
    assert.deepEqual(endpoint.requests, []);
  },
);

type Become = (endpoint: FakeEndpoint) => void;
const json = (text: string): Become => (endpoint) => {
  endpoint.answer = () => new Response(text, { headers: { "content-type": "application/json" } });
};

Deno.test.each<[string, Become]>([
  ["is down", (endpoint) => endpoint.goDown()],
  ["answers 500", (endpoint) => endpoint.tell({ error: "server_error" }, { status: 500 })],
  ["answers 503", (endpoint) => endpoint.tell({}, { status: 503 })],
  ["answers 404", (endpoint) => endpoint.tell({}, { status: 404 })],
  ["answers 429", (endpoint) => endpoint.tell({}, { status: 429 })],
  ["redirects", (endpoint) => {
    endpoint.answer = () =>
      new Response(null, { status: 302, headers: { location: "https://evil.example/" } });
  }],
  ["answers with a page", json("<html>")],
  ["answers with nothing", json("")],
  ["answers with an array", json("[]")],
  ["T14 gives active twice", json('{"active":false,"active":true,"aud":"pg","exp":9e9}')],
  ["T14 gives invalid UTF-8", (endpoint) => {
    endpoint.answer = () => new Response(Uint8Array.of(0x7b, 0x22, 0xff, 0x22, 0x3a, 0x31, 0x7d));
  }],
  ["does not say active", (endpoint) => endpoint.tell(told({ active: undefined }))],
  ["says active in text", (endpoint) => endpoint.tell(told({ active: "true" }))],
  ["T5 goes on for ever", (endpoint) => {
    endpoint.answer = () =>
      new Response(
        new ReadableStream({ pull: (controller) => controller.enqueue(new Uint8Array(4096).fill(0x20)) }),
      );
  }],
  ["does not know the proxy", (endpoint) => endpoint.tell({ error: "invalid_client" }, { status: 401 })],
  ["lets the proxy not ask", (endpoint) => endpoint.tell({}, { status: 403 })],
])("verify() refuses an opaque token while its issuer %s, and opens the breaker", async (_name, become) => {
  const endpoint = new FakeEndpoint();
  become(endpoint);
  await using verifier = await endpoint.verifier();
  for (let attempt = 0; attempt < FAILURES_TO_OPEN; attempt++) {
    assert.equal(await faultOf(verifier, fresh()), "issuer_unavailable");
  }
  assert.equal(endpoint.events.filter(({ kind }) => kind === "introspection_stopped").length, 1);
  endpoint.tell(told());
  assert.equal(await faultOf(verifier, fresh()), "issuer_unavailable");
  assert.equal(askedByLogins(endpoint), FAILURES_TO_OPEN);
});

Deno.test.each([400, 403, 500, 503])(
  "T18 tokens that an issuer answers with %i about keep nobody else out for longer than one question takes",
  async (status) => {
    const endpoint = new FakeEndpoint();
    endpoint.answer = ({ form: { token } }) => {
      if (token.includes("..")) return Response.json({ error: "access_denied" }, { status });
      return Response.json(token.startsWith("opaque-") ? told() : { active: false });
    };
    await using verifier = await endpoint.verifier();
    for (let attempt = 0; attempt < FAILURES_TO_OPEN; attempt++) {
      assert.equal(await faultOf(verifier, `../${fresh()}`), "issuer_unavailable");
    }
    const isTold = (what: string) => endpoint.events.some(({ kind }) => kind === what);
    assert(isTold("introspection_stopped"));
    await waitUntil(() => isTold("introspection_resumed"), { what: "an answer about a token of our own" });
    assert.equal((await verifier.verify(fresh())).subject, "alice");
    assert.equal(endpoint.requests.length, FAILURES_TO_OPEN + 2);
  },
);

Deno.test("a dead issuer costs no login its whole deadline: after the first few each is refused at once", async () => {
  const endpoint = new FakeEndpoint();
  endpoint.goSilent();
  await using verifier = await endpoint.verifier([asking({ timeout: "100ms" })]);
  const many = Array.from({ length: 20 * MAX_AT_ONCE }, () => faultOf(verifier, fresh()));
  assert.deepEqual(new Set(await Promise.all(many)), new Set(["issuer_unavailable"]));
  // Those in line behind the first were refused without being asked about.
  assert.equal(askedByLogins(endpoint), MAX_AT_ONCE);
  const beganMs = performance.now();
  for (let login = 0; login < 100; login++) await faultOf(verifier, fresh());
  assert(performance.now() - beganMs < 100);
  assert.equal(askedByLogins(endpoint), MAX_AT_ONCE);
});

Deno.test("the breaker lets one login try in a period, and an answer lets everyone in again", async () => {
  const endpoint = new FakeEndpoint();
  endpoint.goDown();
  await using verifier = await endpoint.verifier();
  for (let attempt = 0; attempt < FAILURES_TO_OPEN; attempt++) await faultOf(verifier, fresh());
  const { events } = endpoint;

  endpoint.nowMs += OPEN_FOR_MS - 1;
  await faultOf(verifier, fresh());
  assert.equal(askedByLogins(endpoint), FAILURES_TO_OPEN);

  endpoint.nowMs += 1;
  await Promise.all(Array.from({ length: 10 }, () => faultOf(verifier, fresh())));
  assert.equal(askedByLogins(endpoint), FAILURES_TO_OPEN + 1);

  endpoint.nowMs += OPEN_FOR_MS;
  endpoint.tell(told());
  assert.equal((await verifier.verify(fresh())).subject, "alice");
  assert.equal((await verifier.verify(fresh())).subject, "alice");
  assert.deepEqual(events.map(({ kind }) => kind), ["introspection_stopped", "introspection_resumed"]);
  assert.deepEqual(events[0], {
    kind: "introspection_stopped",
    issuer: "corp",
    problem: `${ENDPOINT} could not be fetched: connection refused`,
  });
});

Deno.test.each<[number, unknown]>([[400, { error: "unsupported_token_type" }], [400, "<html>"], [413, {}], [
  422,
  {},
]])(
  "a token that the issuer answers with %i about is inactive, and opens no breaker: anyone can send one",
  async (status, body) => {
    const endpoint = new FakeEndpoint();
    endpoint.tell(body, { status });
    await using verifier = await endpoint.verifier();
    for (let attempt = 0; attempt < 3 * FAILURES_TO_OPEN; attempt++) {
      assert.equal(await faultOf(verifier, fresh()), "inactive");
    }
    assert.equal(endpoint.requests.length, 3 * FAILURES_TO_OPEN);
    assert.deepEqual(endpoint.events, []);
  },
);

Deno.test("inactive tokens between failures keep the breaker closed", async () => {
  const endpoint = new FakeEndpoint();
  await using verifier = await endpoint.verifier();
  for (let round = 0; round < 5; round++) {
    endpoint.goDown();
    for (let attempt = 1; attempt < FAILURES_TO_OPEN; attempt++) await faultOf(verifier, fresh());
    endpoint.tell({ active: false });
    assert.equal(await faultOf(verifier, fresh()), "inactive");
  }
  assert.deepEqual(endpoint.events, []);
});

Deno.test.each<[number, unknown]>([[401, {}], [400, { error: "invalid_client" }], [403, {
  error: "access_denied",
}]])(
  "that the issuer refuses the proxy's credentials with %i is told once until it answers again",
  async (status, body) => {
    const endpoint = new FakeEndpoint();
    const refused = () => endpoint.events.filter(({ kind }) => kind === "introspection_refused");
    await using verifier = await endpoint.verifier();
    endpoint.tell(body, { status });
    await faultOf(verifier, fresh());
    await faultOf(verifier, fresh());
    assert.equal(refused().length, 1);
    const [{ problem }] = refused() as { problem: string }[];
    assert(problem.startsWith(`${ENDPOINT} refused the proxy's credentials (status ${status}`), problem);
    endpoint.tell(told());
    await verifier.verify(fresh());
    endpoint.tell(body, { status });
    await faultOf(verifier, fresh());
    assert.equal(refused().length, 2);
  },
);

Deno.test("T17 neither token nor secret is in a refusal, an event or the verifier", async () => {
  const token = "confidential-mark";
  const endpoint = new FakeEndpoint();
  await using verifier = await endpoint.verifier();
  const answers: Become[] = [
    (endpoint) => endpoint.goDown(),
    (endpoint) => endpoint.tell({ error: token }, { status: 400 }),
    (endpoint) => endpoint.tell({ error: `${token} is bad` }, { status: 401 }),
    (endpoint) => endpoint.tell({ error: token }, { status: 500 }),
    json(`{"active":${token}`),
    (endpoint) => endpoint.tell(told({ iss: token })),
    (endpoint) => endpoint.tell(told({ token_type: token })),
    (endpoint) => endpoint.tell(told({ aud: token })),
  ];
  for (const become of answers) {
    become(endpoint);
    const refusal = await refusalOf(verifier, token);
    assert(!/confidential|hunter2/.test(Deno.inspect(refusal)));
    assert(!/confidential|hunter2/.test(JSON.stringify({ ...refusal, message: refusal.message })));
  }
  endpoint.tell(told({ jti: token }));
  assert.equal((await verifier.verify(token)).tokenId, undefined);
  assert(!/confidential|hunter2/.test(JSON.stringify(endpoint.events)));
  assert(!/confidential|hunter2/.test(Deno.inspect(verifier, { depth: 20 })));
});

Deno.test("a good token is asked about once a minute, a bad one each time", async () => {
  const endpoint = new FakeEndpoint();
  await using verifier = await endpoint.verifier();
  await verifier.verify("good");
  endpoint.nowMs += 59_999;
  await verifier.verify("good");
  assert.equal(endpoint.requests.length, 1);
  endpoint.nowMs += 1;
  await verifier.verify("good");
  assert.equal(endpoint.requests.length, 2);
  endpoint.tell({ active: false });
  await faultOf(verifier, "bad");
  await faultOf(verifier, "bad");
  assert.equal(endpoint.requests.length, 4);
});

Deno.test.each<[string, number, number]>([["0", 0, 2], ["5s", 4_999, 1], ["5s", 5_000, 2]])(
  "remember_for = %s: %i ms later there have been %i questions",
  async (rememberFor, laterMs, expected) => {
    const endpoint = new FakeEndpoint();
    await using verifier = await endpoint.verifier([asking({ remember_for: rememberFor })]);
    await verifier.verify("good");
    endpoint.nowMs += laterMs;
    await verifier.verify("good");
    assert.equal(endpoint.requests.length, expected);
  },
);

Deno.test("an opaque token of an issuer that has keys as well is remembered too", async () => {
  const endpoint = new FakeEndpoint();
  await using verifier = await endpoint.verifier([asking({}, { jwks_url: "https://issuer.example/jwks" })]);
  endpoint.answer = ({ url }) => Response.json(url === ENDPOINT ? told() : { keys: [KEY.jwk] });
  await verifier.probe();
  endpoint.requests.length = 0;
  await verifier.verify("good");
  await verifier.verify("good");
  assert.equal(endpoint.requests.length, 1);
});

Deno.test("everyone who presents one token at once waits for one question", async () => {
  const endpoint = new FakeEndpoint();
  await using verifier = await endpoint.verifier();
  await Promise.all(Array.from({ length: 100 }, () => verifier.verify("good")));
  assert.equal(endpoint.requests.length, 1);
});

Deno.test("only so many questions are under way, and the others wait for their turn", async () => {
  const endpoint = new FakeEndpoint();
  let underWay = 0;
  let most = 0;
  endpoint.answer = async () => {
    most = Math.max(most, ++underWay);
    await Promise.resolve();
    underWay -= 1;
    return Response.json(told());
  };
  await using verifier = await endpoint.verifier();
  const tokens = Array.from({ length: 3 * MAX_AT_ONCE }, fresh);
  const verified = await Promise.all(tokens.map((token) => verifier.verify(token)));
  assert.deepEqual(new Set(verified.map(({ subject }) => subject)), new Set(["alice"]));
  assert.deepEqual([most, endpoint.requests.length], [MAX_AT_ONCE, 3 * MAX_AT_ONCE]);
});

Deno.test("close() ends a question that is under way, and counts it for nothing", async () => {
  const endpoint = new FakeEndpoint();
  endpoint.goSilent();
  const verifier = await endpoint.verifier([asking({ timeout: "10s" })]);
  const asked = faultOf(verifier, "opaque");
  await waitUntil(() => endpoint.requests.length === 1, { what: "the question" });
  await verifier.close();
  assert.equal(await asked, "issuer_unavailable");
  assert.deepEqual(endpoint.events, []);
});

Deno.test("a signed token of an issuer without keys is asked about, in whatever form", async () => {
  const endpoint = new FakeEndpoint();
  await using verifier = await endpoint.verifier();
  const encrypted = "eyJhbGciOiJkaXIifQ..a.b.c";
  for (
    const token of [await sign(KEY), await sign(KEY, claims({ iss: "https://evil.example" })), encrypted]
  ) {
    assert.equal((await verifier.verify(token)).subject, "alice");
    assert.equal(endpoint.requests.at(-1)?.form.token, token);
  }
});

Deno.test("a signed token is asked about only where introspect is always", async () => {
  for (const [introspect, questions] of [["opaque", 0], ["always", 1]] as const) {
    const endpoint = new FakeEndpoint();
    endpoint.answer = ({ url }) => Response.json(url === ENDPOINT ? { active: true } : { keys: [KEY.jwk] });
    const issuer = asking({}, { jwks_url: "https://issuer.example/jwks", introspect });
    await using verifier = await endpoint.verifier([issuer]);
    assert.equal((await verifier.verify(await sign(KEY))).subject, "alice");
    assert.equal(endpoint.requests.filter(({ url }) => url === ENDPOINT).length, questions);
  }
});

/** A verifier of an issuer with keys that is asked about every token, which says this. */
async function always(said: Record<string, unknown>): Promise<readonly [FakeEndpoint, TokenVerifier]> {
  const endpoint = new FakeEndpoint();
  endpoint.answer = ({ url }) => Response.json(url === ENDPOINT ? said : { keys: [KEY.jwk] });
  const changes = { jwks_url: "https://issuer.example/jwks", introspect: "always" };
  return [endpoint, await endpoint.verifier([asking({}, changes)])];
}

Deno.test.each<[string, Record<string, unknown>, string]>([
  ["is revoked", { active: false }, "inactive"],
  ["is another issuer's by now", { active: true, iss: "https://evil.example" }, "unknown_issuer"],
  ["T15 is bound, as its issuer says", { active: true, cnf: { "x5t#S256": "x" } }, "bound"],
  ["T10 is a refresh token, as its issuer says", { active: true, typ: "Refresh" }, "type"],
])("with introspect = always a signed token that %s is refused", async (_name, said, fault) => {
  const [, verifier] = await always(said);
  await using _ = verifier;
  assert.equal(await faultOf(verifier, await sign(KEY)), fault);
});

Deno.test("with introspect = always a signed token keeps what its signature covers, and gains what its issuer adds", async () => {
  const [, verifier] = await always({ active: true, sub: "mallory", username: "al", groups: ["dba"] });
  await using _ = verifier;
  const { subject, claims: known } = await verifier.verify(await sign(KEY));
  assert.deepEqual([subject, known.username, known.groups], ["alice", "al", ["dba"]]);
});

Deno.test("with introspect = always nobody is asked about a token whose signature is wrong", async () => {
  const [endpoint, verifier] = await always({ active: true });
  await using _ = verifier;
  const token = await sign(KEY);
  assert.equal(await faultOf(verifier, token.replace(/[^.]*$/, "A".repeat(86))), "signature");
  assert.deepEqual(endpoint.requests.filter(({ url }) => url === ENDPOINT), []);
});

Deno.test("an opaque token is shown to the issuer that the way in names, and to no other", async () => {
  const endpoint = new FakeEndpoint();
  endpoint.answer = ({ url }) =>
    Response.json(told({ iss: url.includes("partner") ? "partner" : undefined }));
  const partner = asking({ endpoint: "https://partner.example/introspect" }, {
    name: "partner",
    issuer: "partner",
  });
  const signed = settings({ name: "signed", issuer: "signed" });
  await using verifier = await endpoint.verifier([asking(), partner, signed]);
  assert.equal((await verifier.verify("one", { issuer: "partner" })).issuer, "partner");
  assert.deepEqual(endpoint.requests.map(({ url }) => url), ["https://partner.example/introspect"]);
  // With two that could be asked and none named, nobody is; nor is another than the one that is named.
  assert.equal(await faultOf(verifier, "two"), "not_a_token");
  await assert.rejects(
    verifier.verify("three", { issuer: "signed" }),
    (error: unknown) => error instanceof TokenRefused && error.fault === "not_a_token",
  );
  assert.equal(endpoint.requests.length, 1);
});

Deno.test("introspectAgain() asks anew, whatever is remembered", async () => {
  const endpoint = new FakeEndpoint();
  await using verifier = await endpoint.verifier();
  const verified = await verifier.verify("opaque");
  assert.equal(await verifier.introspectAgain("opaque", verified), "good");
  assert.equal(endpoint.requests.length, 2);
});

Deno.test.each<[string, Become, string]>([
  ["is revoked", (endpoint) => endpoint.tell({ active: false }), "revoked"],
  ["is no longer for us", (endpoint) => endpoint.tell(told({ aud: "web" })), "revoked"],
  ["has been shortened", (endpoint) => endpoint.tell(told({ exp: START_SECONDS - 3600 })), "revoked"],
  ["is good and the answer short", (endpoint) => endpoint.tell({ active: true }), "good"],
  ["cannot be asked about", (endpoint) => endpoint.goDown(), "unknown"],
  ["is not ours to ask about", (endpoint) => endpoint.tell({}, { status: 401 }), "unknown"],
  ["is answered about with nonsense", json("{}"), "unknown"],
])("introspectAgain() of a token that %s", async (_name, become, expected) => {
  const endpoint = new FakeEndpoint();
  await using verifier = await endpoint.verifier();
  const verified = await verifier.verify("opaque");
  become(endpoint);
  assert.equal(await verifier.introspectAgain("opaque", verified), expected);
});

Deno.test("introspectAgain() believes of a signed token what its signature covers, as verify() does", async () => {
  const [, verifier] = await always({ active: true, aud: "web" });
  await using _ = verifier;
  const token = await sign(KEY);
  assert.equal(await verifier.introspectAgain(token, await verifier.verify(token)), "good");
});

Deno.test("introspectAgain() of an issuer without introspection is unknown", async () => {
  const endpoint = new FakeEndpoint();
  endpoint.tell({ keys: [KEY.jwk] });
  await using verifier = await endpoint.verifier([settings()]);
  const token = await sign(KEY);
  assert.equal(await verifier.introspectAgain(token, await verifier.verify(token)), "unknown");
});

/** How often it was asked for logins: what the proxy asks for itself is about no token of anybody's. */
function askedByLogins({ requests }: FakeEndpoint): number {
  return requests.filter(({ form: { token } }) => !token.startsWith("not-a-token-")).length;
}
