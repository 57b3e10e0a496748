import assert from "node:assert/strict";
import { testWithLibpq18 } from "../support/libpq18.ts";
import { waitUntil } from "../support/wait_until.ts";
import { DISCOVERY, I_AM_ALICE, OauthScene, SCOPE, SESSION, WHO_AM_I } from "./oauth_scene.ts";

const WHO = ["-At", "-c", WHO_AM_I];

let scene: OauthScene;

Deno.test.beforeAll(async () => {
  scene = await OauthScene.start();
});

Deno.test.afterEach(() => scene.isQuiet());

Deno.test.afterAll(async () => {
  await scene[Symbol.asyncDispose]();
});

testWithLibpq18("psql goes from a code in a browser to the result of its query", "psql", async (t) => {
  let page = "";
  const { result, events, lives } = await scene.eventsOf(() =>
    scene.logInByDevice("psql", {
      args: WHO,
      account: "alice",
      // A person may take minutes, and psql keeps its first connection until then: the proxy must not.
      async onPrompt(verificationUrl) {
        page = verificationUrl;
        await waitUntil(() => scene.proxy.connectionCount === 0, {
          what: "the proxy to keep nothing open meanwhile",
        });
      },
    })
  );
  const { code, stdout, stderr } = result;

  await t.step("the query is answered at the backend, as the role and with the name of its person", () => {
    assert.deepEqual({ code, stdout }, { code: 0, stdout: I_AM_ALICE });
  });

  await t.step("the person was sent to the issuer's page", () => {
    assert.equal(page, `${scene.issuer.url}/device`);
  });

  await t.step("psql has asked for the way in's scope", () => {
    const { searchParams } = new URL(`?${/^\[libcurl\] > (scope=.*)$/m.exec(stderr)?.[1]}`, scene.issuer.url);
    assert.equal(searchParams.get("scope"), SCOPE);
  });

  await t.step("the proxy saw one discovery, no failed login, and one session", () => {
    assert.deepEqual(lives, [DISCOVERY, SESSION]);
  });

  await t.step("T17 the token is in none of what it saw", () => {
    const token = /"access_token":"([^"]+)"/.exec(stderr)?.[1] ?? "";
    assert.equal(token.split(".").length, 3);
    const seen = JSON.stringify(events);
    for (const part of token.split(".")) assert(!seen.includes(part));
  });
});

testWithLibpq18("pg_dump logs in by the device flow", "pg_dump", async () => {
  const { code, stdout } = await scene.logInByDevice("pg_dump", {
    args: ["--schema-only"],
    account: "alice",
  });
  assert.equal(code, 0);
  assert.match(stdout, /-- PostgreSQL database dump complete/);
});

testWithLibpq18("T16 psql brings the token of a person whom no rule lets in", "psql", async () => {
  const { result: { code, stderr }, events } = await scene.eventsOf(() =>
    scene.logInByDevice("psql", { args: WHO, account: "mallory" })
  );
  assert.equal(code, 2);
  assert.equal(
    stderr.trimEnd().split("\n").at(-1),
    `connection to server at "localhost" (127.0.0.1), port ${scene.proxy.port} failed: FATAL:  ${REFUSAL}`,
  );
  const refusals = events.flatMap((event) => event.kind === "login_refused" ? [event] : []);
  assert.deepEqual(refusals.map(({ sqlstate, message }) => ({ sqlstate, message })), [
    { sqlstate: "28000", message: REFUSAL },
  ]);
  assert.match(refusals[0].reason ?? "", /^no rule lets in /);
  assert.doesNotMatch(stderr.replaceAll(/^\[libcurl\].*$/gm, ""), /no rule|mallory/);
});

testWithLibpq18(
  "psql says that its person has refused, and comes back to the proxy no more",
  "psql",
  async () => {
    const { result: { code, stderr }, lives } = await scene.eventsOf(() =>
      scene.logInByDevice("psql", { args: WHO, account: "alice", fetch: pressAbort(scene.issuer.fetch) })
    );
    assert.equal(code, 2);
    assert.match(stderr, /failed to obtain access token: End-User aborted interaction \(access_denied\)\n$/);
    assert.deepEqual(lives, [DISCOVERY]);
  },
);

testWithLibpq18(
  "psql fetches no token when the proxy names another issuer than it was told",
  "psql",
  async () => {
    const requests = scene.issuer.requestedPaths.length;
    const parameters = { oauth_issuer: "https://login.example.com" };
    const { code, stderr } = await scene.logInByDevice("psql", { args: WHO, account: "alice", parameters });
    assert.equal(code, 2);
    assert(
      stderr.endsWith(
        `(issuer "${scene.issuer.url}") is incompatible with oauth_issuer (${parameters.oauth_issuer})\n`,
      ),
      stderr,
    );
    assert.equal(scene.issuer.requestedPaths.length, requests);
  },
);

const REFUSAL = 'OAuth bearer authentication failed for user "alice"';

/** A browser whose person presses the other button when asked whether they have begun this, and leaves. */
function pressAbort(fetch: typeof globalThis.fetch): typeof fetch {
  return async (input, init) => {
    const form = init?.body;
    if (!(form instanceof URLSearchParams) || !form.has("confirm")) return await fetch(input, init);
    form.delete("confirm");
    form.set("abort", "yes");
    const response = await fetch(input, init);
    await response.body?.cancel();
    return new Response("The tab is closed");
  };
}
