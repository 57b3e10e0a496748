import assert from "node:assert/strict";
import { join } from "node:path";
import pg from "pg";
import { createAuthority } from "../support/certificates.ts";
import { fakeBackend } from "../support/hostile_peer.ts";
import { OidcIssuer } from "../support/oidc_issuer.ts";
import { OtlpCollector, type ReceivedSpan } from "../support/otlp_collector.ts";
import { loginIsComplete } from "../support/raw_messages.ts";
import { tempDirectory } from "../support/temp_directory.ts";

const MAIN = new URL("../../main.ts", import.meta.url).pathname;
const authority = await createAuthority("trace");

Deno.test("Deno exports the trace of a login, and of one that is refused, with net and read permission alone", async (t) => {
  await using scene = await startScene();
  const refused = scene.client("not.a.token");
  await assert.rejects(refused.connect(), { code: "28P01" });
  const client = scene.client(scene.token);
  await client.connect();
  await client.end();
  // What is not exported yet is when the program ends.
  await scene.stop();
  const spans = scene.collector.spans.get("pg-auth-proxy") ?? [];
  const logins = spans.filter(({ name }) => name === "login");
  const stagesOf = (login: ReceivedSpan) =>
    spans.filter(({ parentSpanId }) => parentSpanId === login.spanId).sort((a, b) => a.startMs - b.startMs);

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

  await t.step("T17 nothing exported holds a token, a password or whose they are", () => {
    assert.equal(logins.length, 2);
    const text = scene.collector.bodies.join("\n");
    for (const secret of [...scene.token.split("."), "hunter2", "alice"]) {
      assert(!text.includes(secret), secret);
    }
  });
});

/** The real program, its traces collected. */
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
  const program = new Deno.Command(Deno.execPath(), {
    args: [
      ...["run", "--no-prompt", "--allow-net", "--allow-read"],
      ...[MAIN, "start", "--config", join(directory.path, "config.toml")],
    ],
    env: { NO_COLOR: "1", DENO_CERT: join(directory.path, "ca.crt"), ...collector.environment },
    stdin: "null",
    stdout: "null",
    stderr: "piped",
  }).spawn();
  let isStopped = false;
  const stop = async () => {
    if (isStopped) return;
    isStopped = true;
    program.kill("SIGTERM");
    await program.status;
    await program.stderr.cancel();
  };
  resources.defer(stop);
  const port = await listeningPort(program.stderr);
  const token = await issuer.mint({ sub: "alice" });
  const moved = resources.move();
  return {
    collector,
    token,
    stop,
    client: (password: string) =>
      new pg.Client({
        host: "localhost",
        port,
        ssl: { ca: authority.certificatePem },
        user: "alice",
        database: "app",
        password,
      }),
    [Symbol.asyncDispose]: () => moved.disposeAsync(),
  };
}

/** The port of the log's line `listening`. */
async function listeningPort(stderr: ReadableStream<Uint8Array<ArrayBuffer>>): Promise<number> {
  const reader = stderr.getReader();
  let text = "";
  for (;;) {
    const { value, done } = await reader.read();
    assert(!done, `the program ended: ${text}`);
    text += new TextDecoder().decode(value);
    const found = /listening address=127\.0\.0\.1:(\d+)/.exec(text);
    if (found === null) continue;
    reader.releaseLock();
    return Number(found[1]);
  }
}
