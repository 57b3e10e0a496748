import assert from "node:assert/strict";
import pg from "pg";
import { createAuthority } from "../support/certificates.ts";
import { PASSWORDS } from "../support/postgres_roles.ts";
import { PostgresCluster } from "../support/postgres_cluster.ts";
import { RunningProxy } from "../support/running_proxy.ts";

Deno.test("a token opens a session on a real PostgreSQL, over TLS on both sides", async () => {
  await using scene = await startScene("info");
  const { rows } = await scene.query(
    "select current_user, ssl from pg_stat_ssl where pid = pg_backend_pid()",
  );
  assert.deepEqual(rows, [{ current_user: "app_scram", ssl: true }]);
  const { identity, issuer, rule, role, backend } = await scene.proxy.observed("authenticated");
  assert.deepEqual({ identity, issuer, rule, role, backend }, {
    identity: "alice@example.com",
    issuer: "corp",
    rule: "staff",
    role: "app_scram",
    backend: "main",
  });
  const { how } = await scene.proxy.observed("session_ended");
  assert.equal(how, "client_left");
});

Deno.test("T17 a trace of the login shows its messages, and neither token nor password", async () => {
  await using scene = await startScene("trace");
  await scene.query("select 1");
  await scene.proxy.observed("session_ended");
  const lines = scene.proxy.events.flatMap((event) => event.kind === "message_traced" ? [event] : []);
  const names = lines.map(({ peer, message }) => {
    const [direction, , name] = message.split("\t");
    return `${peer} ${direction} ${name}`;
  });
  for (
    const name of [
      "client F SSLRequest",
      "client B AuthenticationCleartextPassword",
      "client F PasswordMessage",
      "backend F SSLRequest",
      "backend F SASLInitialResponse",
      "backend B AuthenticationSASLFinal",
      "client B ReadyForQuery",
    ]
  ) assert(names.includes(name), `${name} is not among ${names.join(", ")}`);
  const text = JSON.stringify(scene.proxy.events);
  for (const secret of [...scene.token.split("."), PASSWORDS.app_scram]) assert(!text.includes(secret));
});

async function startScene(level: "info" | "trace") {
  await using resources = new AsyncDisposableStack();
  const authority = await createAuthority("login");
  const { certificatePem, keyPem } = await authority.issueForLoopback();
  const tls = { certificatePem, keyPem, caPem: authority.certificatePem };
  const cluster = resources.use(await PostgresCluster.start({ major: 18, tls }));
  const proxy = resources.use(
    await RunningProxy.start({
      toml: `
[[backends]]
name = "main"
url = "postgres://app_scram@localhost:${cluster.port}/postgres?sslrootcert=ca.crt"
password_file = "password"

[[rules]]
name = "staff"
issuer = "corp"
match = '/(.*)@example\\.com/'
users = ['\\1']
backend = "main"

[log]
level = "${level}"
`,
      files: { password: PASSWORDS.app_scram },
    }, authority),
  );
  const token = await proxy.issuer.mint({ sub: "alice@example.com" });
  const moved = resources.move();
  return {
    proxy,
    token,
    async query(text: string) {
      const client = new pg.Client({ ...proxy.driverOptions(token), user: "alice", database: "postgres" });
      await client.connect();
      try {
        return await client.query(text);
      } finally {
        await client.end();
      }
    },
    [Symbol.asyncDispose]: () => moved.disposeAsync(),
  };
}
