import assert from "node:assert/strict";
import pg from "pg";
import { createAuthority } from "../support/certificates.ts";
import { freePort } from "../support/free_port.ts";
import { OidcIssuer } from "../support/oidc_issuer.ts";
import { PostgresCluster } from "../support/postgres_cluster.ts";
import { PASSWORDS } from "../support/postgres_roles.ts";
import { tempDirectory } from "../support/temp_directory.ts";
import { run, Serving } from "./program.ts";

Deno.test("permissions prints what is enough for a session, a log and metrics, and no more", async () => {
  await using scene = await setScene();
  const { directory, env } = scene;
  const args = ["permissions", "--config", "config.toml", "-v"];
  const { code, stdout, stderr } = await run(args, { cwd: directory, permissions: ["--allow-read"] });
  assert.deepEqual([code, stderr], [0, ""]);
  const [running, compiling] = stdout.trimEnd().split("\n\n").map((text) =>
    text.replaceAll(" \\\n  ", " ").split(" ")
  );
  const read = ["config.toml", "server.crt", "server.key", "ca.crt"];
  const flags = [
    "--no-prompt",
    `--allow-net=127.0.0.1:${scene.port},127.0.0.1:${scene.adminPort},localhost:${scene.issuerPort}` +
    `,localhost:${scene.cluster.port}`,
    `--allow-read=${read.map((name) => `${directory}/${name}`).join(",")}`,
    `--allow-write=${directory}/proxy.log`,
    `--allow-run=${directory}/validator`,
    "--allow-env=DB_PASSWORD",
  ];
  const sorted = (words: readonly string[]) => words.map((word) => word.split(/[=,]/).sort().join(" "));
  assert.deepEqual(running.slice(0, 2), ["deno", "run"]);
  assert.deepEqual(sorted(running.slice(2, 8)), sorted(flags));
  assert.deepEqual(running.slice(8), ["main.ts", "start", "--config", "config.toml", "-v"]);
  assert.deepEqual(compiling.slice(0, 8), ["deno", "compile", ...running.slice(2, 8)]);
  assert.deepEqual(compiling.slice(8), ["--output", "pg-auth-proxy", "main.ts"]);

  await using program = Serving.start(running.slice(9), {
    cwd: directory,
    env,
    permissions: running.slice(3, 8),
  });
  await program.until(/listening/, () => Deno.readTextFile(`${directory}/proxy.log`).catch(() => ""));
  const client = new pg.Client({
    ...{ host: "localhost", port: scene.port, user: "alice", database: "postgres" },
    ...{ password: await scene.issuer.mint({ sub: "alice" }), ssl: { ca: scene.ca } },
  });
  await client.connect();
  const { rows } = await client.query("select current_user");
  await client.end();
  assert.deepEqual(rows, [{ current_user: "app_scram" }]);
  const vars = await fetch(`http://127.0.0.1:${scene.adminPort}/vars`);
  assert.match(await vars.text(), /sql_auth_successes_total\S* 1/);
  program.kill("SIGHUP");
  await program.until(/configuration reloaded/, () => Deno.readTextFile(`${directory}/proxy.log`));
  program.kill("SIGTERM");
  assert.equal(await program.ended(), 0);
});

Deno.test("permissions quotes for a shell what needs it", async () => {
  await using scene = await setScene();
  const { directory } = scene;
  await Deno.rename(`${directory}/server.key`, `${directory}/a key,it's`);
  const args = ["permissions", "--config", "config.toml", "--bindKey", "a key,it's", "--bindAddr", ":0"];
  const { stdout } = await run(args, { cwd: directory });
  assert(stdout.includes(`${directory}/a key,,it'\\''s`), stdout);
  assert(stdout.includes("'--allow-net=[::],"), stdout);
  assert(stdout.includes(" --bindKey \\\n  'a key,it'\\''s' \\\n"), stdout);
});

Deno.test("permissions takes no file of its own name for the command", async () => {
  await using scene = await setScene();
  const { directory } = scene;
  await Deno.rename(`${directory}/config.toml`, `${directory}/permissions`);
  const { stdout } = await run(["permissions", "--config", "permissions"], { cwd: directory });
  assert.match(stdout, / start \\\n {2}--config \\\n {2}permissions\n/);
});

async function setScene() {
  await using resources = new AsyncDisposableStack();
  const authority = await createAuthority("permissions");
  const issuer = resources.use(await OidcIssuer.start({ authority }));
  const server = await authority.issueForLoopback();
  const cluster = resources.use(await PostgresCluster.start({ major: 18, tls: server }));
  const directory = resources.use(await tempDirectory());
  const [port, adminPort] = [await freePort(), await freePort()];
  const files = {
    "server.crt": server.certificatePem,
    "server.key": server.keyPem,
    "ca.crt": authority.certificatePem,
    "validator": "#!/bin/sh\nexec cat > /dev/null\n",
    "config.toml": `
[listen]
address = "127.0.0.1:${port}"
certificate = "server.crt"
private_key = "server.key"

[admin]
address = "127.0.0.1:${adminPort}"

[log]
file = "proxy.log"

[[issuers]]
name = "corp"
url = "${issuer.url}"
audience = ["pg-auth-proxy"]

[[issuers]]
name = "own"
validator = { command = ["./validator"] }

[[backends]]
name = "main"
url = "postgres://app_scram@localhost:${cluster.port}/postgres?sslrootcert=ca.crt"
password_env = "DB_PASSWORD"

[[rules]]
issuer = "corp"
match = "alice"
backend = "main"
`,
  };
  for (const [name, text] of Object.entries(files)) await directory.write(name, text, 0o700);
  const moved = resources.move();
  return {
    ...{ issuer, cluster, port, adminPort, directory: directory.path, ca: authority.certificatePem },
    issuerPort: Number(new URL(issuer.url).port),
    env: { DENO_CERT: `${directory.path}/ca.crt`, DB_PASSWORD: PASSWORDS.app_scram },
    [Symbol.asyncDispose]: () => moved.disposeAsync(),
  };
}
