import assert from "node:assert/strict";
import { join } from "node:path";
import pg from "pg";
import { Serving } from "../commands/program.ts";
import { NEEDS_PROMTOOL, PROMTOOL, promtool } from "../observe/promtool.ts";
import { createAuthority } from "../support/certificates.ts";
import { fakeBackend } from "../support/hostile_peer.ts";
import { OidcIssuer } from "../support/oidc_issuer.ts";
import { OtlpCollector, type ReceivedSpan } from "../support/otlp_collector.ts";
import { loginIsComplete } from "../support/raw_messages.ts";
import { tempDirectory } from "../support/temp_directory.ts";

const authority = await createAuthority("trace");

Deno.test("the program tells of logins by metrics and traces, with net and read permission alone", async (t) => {
  await using scene = await startScene();
  const refused = scene.client("not.a.token");
  await assert.rejects(refused.connect(), { code: "28P01" });
  const client = scene.client(scene.token);
  await client.connect();
  await client.end();
  const [metrics, vars] = [await scene.scrape("/metrics"), await scene.scrape("/vars")];
  // What is not exported yet is when the program ends.
  await scene.stop();
  const spans = scene.collector.spans.get("pg-auth-proxy") ?? [];
  const logins = spans.filter(({ name }) => name === "login");
  const stagesOf = (login: ReceivedSpan) =>
    spans.filter(({ parentSpanId }) => parentSpanId === login.spanId).sort((a, b) => a.startMs - b.startMs);

  await t.step("its metrics are what Prometheus expects, by the ancestor's name for them too", () => {
    assert.equal(metrics.type, "text/plain; version=0.0.4; charset=utf-8");
    for (const { text } of [metrics, vars]) {
      assert.match(text, /^pg_auth_proxy_logins_total\{result="success",.*\} 1$/m);
      assert.match(text, /^pg_auth_proxy_logins_total\{result="failure",reason="malformed",.*\} 1$/m);
      assert.match(text, /^pg_auth_proxy_key_set_keys\{issuer="corp"\} [1-9]/m);
    }
  });

  await t.step({
    name: `promtool finds nothing wrong with them, but for a name of the ancestor${NEEDS_PROMTOOL}`,
    ignore: PROMTOOL === undefined,
    async fn() {
      assert.deepEqual((await promtool(["check", "metrics"], metrics.text)).says, [
        'open_connection_count non-histogram and non-summary metrics should not have "_count" suffix',
      ]);
    },
  });

  await t.step("a login is a trace with its stages in order", () => {
    const login = logins.find(({ statusCode }) => statusCode === 0)!;
    const stages = stagesOf(login);
    assert.deepEqual(stages.map(({ name }) => name), ["tls", "token", "backend"]);
    for (const { traceId, startMs, endMs } of stages) {
      assert.equal(traceId, login.traceId);
      assert(startMs >= login.startMs - 1 && endMs >= startMs && endMs <= login.endMs + 1);
    }
    assert.deepEqual(login.attributes, {
      "db.system.name": "postgresql",
      "pg_auth_proxy.connection": 2,
      "pg_auth_proxy.method": "password",
      "pg_auth_proxy.issuer": "corp",
      "pg_auth_proxy.rule": "staff",
      "pg_auth_proxy.backend": "main",
    });
  });

  await t.step("a refused login is a trace that says why in a word", () => {
    const login = logins.find(({ statusCode }) => statusCode === 2)!;
    assert.deepEqual(stagesOf(login).map(({ name }) => name), ["tls", "token"]);
    assert.deepEqual(login.attributes, {
      "db.system.name": "postgresql",
      "pg_auth_proxy.connection": 1,
      "pg_auth_proxy.method": "password",
      "pg_auth_proxy.blame": "frontend",
      "db.response.status_code": "28P01",
      "error.type": "malformed",
    });
  });

  await t.step("T17 nothing told holds a token, a password or whose they are", () => {
    assert.equal(logins.length, 2);
    const text = [...scene.collector.bodies, metrics.text].join("\n");
    for (const secret of [...scene.token.split("."), "hunter2", "alice"]) {
      assert(!text.includes(secret), secret);
    }
  });
});

/** The real program, its traces collected, its metrics to be asked for. */
async function startScene() {
  await using resources = new AsyncDisposableStack();
  const collector = resources.use(new OtlpCollector());
  const issuer = resources.use(await OidcIssuer.start({ authority }));
  const backend = resources.use(
    await fakeBackend(async (connection) => {
      await connection.receiveUntyped();
      await connection.send(loginIsComplete());
      await connection.receiveToEnd();
    }),
  );
  const directory = resources.use(await tempDirectory());
  const server = await authority.issueForLoopback();
  const files = {
    "ca.crt": authority.certificatePem,
    "server.crt": server.certificatePem,
    "server.key": server.keyPem,
    "password": "hunter2",
    "config.toml": `
[listen]
address = "127.0.0.1:0"
certificate = "server.crt"
private_key = "server.key"

[admin]
address = "127.0.0.1:0"

[[issuers]]
name = "corp"
url = "${issuer.url}"
audience = ["pg-auth-proxy"]

[[backends]]
name = "main"
url = "postgres://app@127.0.0.1:${backend.port}/app?sslmode=disable"
password_file = "password"
require_auth = ["none"]

[[rules]]
name = "staff"
issuer = "corp"
match = "alice"
backend = "main"
`,
  };
  for (const [name, text] of Object.entries(files)) {
    await Deno.writeTextFile(join(directory.path, name), text);
  }
  const program = resources.use(
    Serving.start(["start", "--config", join(directory.path, "config.toml")], {
      env: { DENO_CERT: join(directory.path, "ca.crt"), ...collector.environment },
    }),
  );
  const [, port] = await program.until(/listening address=127\.0\.0\.1:(\d+)/);
  const [, adminPort] = await program.until(/listening for admin address=127\.0\.0\.1:(\d+)/);
  const token = await issuer.mint({ sub: "alice" });
  const moved = resources.move();
  return {
    collector,
    token,
    /** What the program answers to a request for metrics. */
    async scrape(path: string) {
      const response = await fetch(`http://127.0.0.1:${adminPort}${path}`);
      return { type: response.headers.get("content-type"), text: await response.text() };
    },
    async stop() {
      program.kill("SIGTERM");
      assert.equal(await program.ended(), 0);
    },
    client: (password: string) =>
      new pg.Client({
        host: "localhost",
        port: Number(port),
        ssl: { ca: authority.certificatePem },
        user: "alice",
        database: "app",
        password,
      }),
    [Symbol.asyncDispose]: () => moved.disposeAsync(),
  };
}
