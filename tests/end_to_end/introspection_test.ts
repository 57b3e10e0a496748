import assert from "node:assert/strict";
import pg from "pg";
import { FAILURES_TO_OPEN, OPEN_FOR_MS } from "../../lib/token/introspection/breaker.ts";
import { createAuthority } from "../support/certificates.ts";
import { fakeBackend } from "../support/hostile_peer.ts";
import { CLIENTS } from "../support/oidc_provider.ts";
import { PostgresCluster } from "../support/postgres_cluster.ts";
import { PASSWORDS } from "../support/postgres_roles.ts";
import { loginIsComplete, passwordMessage, readFields } from "../support/raw_messages.ts";
import { type ProxyScenario, RunningProxy } from "../support/running_proxy.ts";
import { connectToPassword, logLines } from "./hostile_scene.ts";

/** An issuer that is asked by discovery, each time. */
const INTROSPECTION =
  `introspection = { client_id = "${CLIENTS.proxy.id}", client_secret_file = "client-secret", remember_for = "0" }`;
const FILES = { "client-secret": CLIENTS.proxy.secret };

Deno.test("an opaque token opens a session on a real PostgreSQL, until it is revoked", async () => {
  await using resources = new AsyncDisposableStack();
  const authority = await createAuthority("introspection");
  const { certificatePem, keyPem } = await authority.issueForLoopback();
  const tls = { certificatePem, keyPem, caPem: authority.certificatePem };
  const cluster = resources.use(await PostgresCluster.start({ major: 18, tls }));
  const toml = `
[[backends]]
name = "main"
url = "postgres://app_scram@localhost:${cluster.port}/postgres?sslrootcert=ca.crt"
password_file = "password"

[[rules]]
issuer = "corp"
match = '/(.*)@example\\.com/'
users = ['\\1']
require = { groups = "dba" }
backend = "main"

[log]
level = "trace"
`;
  const files = { ...FILES, password: PASSWORDS.app_scram };
  const proxy = resources.use(
    await RunningProxy.start({ toml, issuer: INTROSPECTION, files }, authority),
  );
  const order = { sub: "alice@example.com", claims: { groups: ["dba"] }, format: "opaque" } as const;
  const token = await proxy.issuer.mint(order);
  assert(!token.includes("."));
  assert.equal(await currentUser(proxy, token), "app_scram");
  const { identity } = await proxy.observed("authenticated");
  assert.equal(identity, "alice@example.com");

  const revoked = await proxy.issuer.post("/token/revocation", { token }, CLIENTS.service);
  await revoked.body?.cancel();
  await assert.rejects(currentUser(proxy, token), { code: "28P01" });
  const { reason, blame } = await proxy.observed("login_refused");
  assert.deepEqual([reason, blame], ["inactive: The issuer says that the token is not active", "frontend"]);

  await assert.rejects(currentUser(proxy, "nobody-has-issued-this"), { code: "28P01" });
  assert.equal(await currentUser(proxy, await proxy.issuer.mint(order)), "app_scram");
  assertNothingSecret(proxy, [token, "nobody-has-issued-this"]);
});

Deno.test("an issuer that is down costs logins nothing once the breaker is open, and is asked again in a while", async () => {
  let aheadMs = 0;
  await using scene = await beforeFakeBackend({
    issuer: INTROSPECTION,
    files: FILES,
    now: () => Date.now() + aheadMs,
  });
  const { proxy } = scene;
  const token = await proxy.issuer.mint({ sub: "alice", format: "opaque" });
  assert.equal(await logInWith(proxy, token), "in");

  proxy.issuer.isDown = true;
  for (let login = 0; login < FAILURES_TO_OPEN; login++) assert.equal(await logInWith(proxy, token), "28P01");
  const stopped = await proxy.observed("issuer_introspection_stopped");
  assert.match(stopped.reason, /\/token\/introspection answered with status 503$/);
  const asked = proxy.issuer.requestedPaths.length;
  const refused = await Promise.all(Array.from({ length: 20 }, () => logInWith(proxy, token)));
  assert.deepEqual(new Set(refused), new Set(["28P01"]));
  assert.equal(proxy.issuer.requestedPaths.length, asked);
  const { blame, reason } = await proxy.observed("login_refused");
  assert.equal(blame, "issuer");
  assert.match(reason!, /^issuer_unavailable: Issuer "corp" cannot be asked: /);

  proxy.issuer.isDown = false;
  aheadMs += OPEN_FOR_MS;
  assert.equal(await logInWith(proxy, token), "in");
  await proxy.observed("issuer_introspection_resumed");
  assertNothingSecret(proxy, [token]);
});

Deno.test("an issuer that never answers holds a crowd of logins up for one deadline, and the next for none", async () => {
  await using endpoint = handWrittenEndpoint();
  await using scene = await beforeFakeBackend({ issuer: endpoint.issuer("opaque"), files: FILES });
  const { proxy } = scene;
  const token = await proxy.issuer.mint({ sub: "alice", format: "opaque" });
  endpoint.isSilent = true;
  const crowd = Array.from({ length: 60 }, (_, login) => logInWith(proxy, `${token}${login}`));
  assert.deepEqual(new Set(await Promise.all(crowd)), new Set(["28P01"]));
  const beganMs = performance.now();
  assert.equal(await logInWith(proxy, token), "28P01");
  assert(performance.now() - beganMs < TIMEOUT_MS);
});

Deno.test("with introspect = always a signed token that was revoked is refused at the next login", async () => {
  await using endpoint = handWrittenEndpoint();
  await using scene = await beforeFakeBackend({ issuer: endpoint.issuer("always"), files: FILES });
  const { proxy } = scene;
  const token = await proxy.issuer.mint({ sub: "alice" });
  assert.equal(token.split(".").length, 3);
  assert.equal(await logInWith(proxy, token), "in");
  endpoint.revoked.add(token);
  assert.equal(await logInWith(proxy, token), "28P01");
  assert.equal(await logInWith(proxy, await proxy.issuer.mint({ sub: "alice" })), "in");
  assertNothingSecret(proxy, [token]);
});

Deno.test("an issuer that does not know the proxy is told of in the log", async () => {
  const files = { "client-secret": "not-the-secret" };
  await using scene = await beforeFakeBackend({ issuer: INTROSPECTION, files });
  const { proxy } = scene;
  const token = await proxy.issuer.mint({ sub: "alice", format: "opaque" });
  assert.equal(await logInWith(proxy, token), "28P01");
  await proxy.observed("issuer_refused_proxy");
  const line = logLines(proxy, "text").find((one) => one.includes("issuer refused the proxy's credentials"));
  assert.match(
    line!,
    /issuer=corp reason=".*\/token\/introspection refused the proxy's credentials \(status 401/,
  );
  assert(!line!.includes("not-the-secret"));
});

const TIMEOUT_MS = 300;

/** An issuer's endpoint that answers about signed tokens as well, which oidc-provider does not. */
function handWrittenEndpoint() {
  const revoked = new Set<string>();
  const silent = Promise.withResolvers<void>();
  const made = { isSilent: false };
  const server = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen: () => {} }, async (request) => {
    const { token } = Object.fromEntries(new URLSearchParams(await request.text()));
    if (made.isSilent) await silent.promise;
    return Response.json({ active: !revoked.has(token) });
  });
  return Object.assign(made, {
    revoked,
    /** Keys of the issuer's table. */
    issuer: (introspect: "opaque" | "always") => `
insecure_http = true
introspect = "${introspect}"

[issuers.introspection]
endpoint = "http://127.0.0.1:${server.addr.port}/introspect"
client_id = "proxy"
client_secret_file = "client-secret"
timeout = "${TIMEOUT_MS}ms"
remember_for = "0"
`,
    async [Symbol.asyncDispose]() {
      silent.resolve();
      await server.shutdown();
    },
  });
}

/** A proxy before a backend that lets everybody in. */
async function beforeFakeBackend(scenario: Omit<ProxyScenario, "toml">) {
  await using resources = new AsyncDisposableStack();
  const backend = resources.use(
    await fakeBackend(async (connection) => {
      await connection.receiveUntyped();
      await connection.send(loginIsComplete());
      await connection.receiveToEnd();
    }),
  );
  const proxy = resources.use(
    await RunningProxy.start({
      ...scenario,
      toml: `
[[backends]]
name = "main"
url = "postgres://app@localhost:${backend.port}/postgres?sslmode=disable"
require_auth = ["none"]

[[rules]]
issuer = "corp"
match = "alice"
backend = "main"

[log]
level = "trace"
`,
    }),
  );
  const moved = resources.move();
  return { proxy, [Symbol.asyncDispose]: () => moved.disposeAsync() };
}

async function currentUser(proxy: RunningProxy, token: string): Promise<string> {
  const client = new pg.Client({ ...proxy.driverOptions(token), user: "alice", database: "postgres" });
  try {
    await client.connect();
    return (await client.query("select current_user")).rows[0].current_user;
  } finally {
    await client.end();
  }
}

/** "in", or the SQLSTATE of the refusal. */
async function logInWith(proxy: RunningProxy, token: string): Promise<string> {
  await using client = await connectToPassword(proxy.port);
  await client.send(passwordMessage(token));
  const first = await client.receiveMessage();
  if (first.type === "E") return readFields(first).C;
  await client.receiveMessagesUntil("Z");
  return "in";
}

/** T17: no token, and not the secret that the proxy asks with. */
function assertNothingSecret(proxy: RunningProxy, tokens: readonly string[]): void {
  const told = Deno.inspect(proxy.events, { depth: 20, strAbbreviateSize: 1e6, iterableLimit: 1e6 });
  for (const secret of [...tokens.flatMap((token) => token.split(".")), CLIENTS.proxy.secret]) {
    assert(!told.includes(secret));
  }
}
