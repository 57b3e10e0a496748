import assert from "node:assert/strict";
import { exportSPKI } from "jose";
import { createAuthority } from "../support/certificates.ts";
import { type FakeBackend, fakeBackend, RawClient } from "../support/hostile_peer.ts";
import { OidcIssuer } from "../support/oidc_issuer.ts";
import type { RawConnection } from "../support/raw_connection.ts";
import {
  loginIsComplete,
  passwordMessage,
  query,
  readFields,
  SSL_REQUEST,
  startupMessage,
  text,
} from "../support/raw_messages.ts";
import { tempDirectory } from "../support/temp_directory.ts";
import { Serving } from "./program.ts";

const authority = await createAuthority("flags");
const resources = new AsyncDisposableStack();
let issuer: OidcIssuer;
Deno.test.beforeAll(async () => {
  issuer = resources.use(await OidcIssuer.start({ authority }));
});
Deno.test.afterAll(() => resources.disposeAsync());

/** A directory to start the program in, and a backend that lets everybody in and notes what it is asked for. */
interface Scene extends AsyncDisposable {
  readonly directory: string;
  readonly backend: FakeBackend;
  /** The parameters of each StartupMessage, name and value by turns. */
  readonly startups: readonly (readonly string[])[];
}

async function setScene(): Promise<Scene> {
  await using resources = new AsyncDisposableStack();
  const directory = resources.use(await tempDirectory());
  const startups: string[][] = [];
  const backend = resources.use(
    await fakeBackend(async (connection) => {
      const packet = await connection.receiveUntyped().catch(() => null);
      // A probe asks for TLS and nothing else, if it asks at all.
      if (packet === null) return;
      if (packet.length === 4) return await connection.send(text("N"));
      startups.push(new TextDecoder().decode(packet.subarray(4)).split("\0"));
      await connection.send(loginIsComplete());
      await connection.receiveToEnd();
    }, { timeoutMs: 20_000 }),
  );
  const server = await authority.issueForLoopback();
  const files = {
    "server.crt": server.certificatePem,
    "server.key": server.keyPem,
    "ca.crt": authority.certificatePem,
    "signing.pem": await publicKeyPem(),
    "backends.json": JSON.stringify({
      "carol": urlOf(backend, "carol"),
      "/^(.*)@example\\.com$": urlOf(backend, "\\1"),
      "/.*/": urlOf(backend, "anybody"),
    }),
  };
  for (const [name, content] of Object.entries(files)) await directory.write(name, content);
  const moved = resources.move();
  const { path } = directory;
  return { directory: path, backend, startups, [Symbol.asyncDispose]: () => moved.disposeAsync() };
}

/** What is enough without a file, besides TLS. */
const alone = () => [
  "start",
  "--bindAddr=127.0.0.1:0",
  "--backends=backends.json",
  `--oidcDiscovery=${issuer.url}/.well-known/openid-configuration`,
  "--audience=other,pg-auth-proxy",
];

const TLS = ["--bindCert=server.crt", "--bindKey=server.key"];

Deno.test("A1 --bindAddr, --bindCert, --bindKey, --backends, --oidcDiscovery serve TLS without a file", async () => {
  await using scene = await setScene();
  await using program = serve(scene, [...alone(), ...TLS]);
  const token = await issuer.mint({ sub: "alice@example.com" });
  await using client = await logIn(program, { token, user: "whoever" });
  assert.equal((await client.receiveMessage()).type, "R");
  assert.equal(value(scene.startups.at(-1)!, "user"), "alice");
  assert.equal(value(scene.startups.at(-1)!, "database"), "db");
});

Deno.test("A5 --backends is asked in its order, whatever else would fit", async () => {
  await using scene = await setScene();
  await using program = serve(scene, [...alone(), ...TLS]);
  for (
    const [sub, role] of [["carol", "carol"], ["x@example.com.evil", "anybody"], ["dave@example.com", "dave"]]
  ) {
    await using client = await logIn(program, { token: await issuer.mint({ sub }) });
    assert.equal((await client.receiveMessage()).type, "R");
    assert.equal(value(scene.startups.at(-1)!, "user"), role);
  }
});

Deno.test("--audience decides whose tokens are good", async () => {
  await using scene = await setScene();
  await using program = serve(scene, [...alone().slice(0, -1), "--audience=other", ...TLS]);
  await using client = await logIn(program, { token: await issuer.mint({ sub: "carol" }) });
  assert.equal(readFields(await client.receiveMessage()).C, "28P01");
  await program.until(/login refused .*audience/);
});

Deno.test("--signingKeys, --issuer, --jwtField, --insecure and --reportRemoteAddr serve in plain text", async () => {
  await using scene = await setScene();
  await using program = serve(scene, [
    ...alone().filter((flag) => !flag.startsWith("--oidc")),
    ...["--signingKeys", "signing.pem", "--issuer", issuer.url, "--jwtField", "app.who", "--insecure"],
    "--reportRemoteAddr",
  ]);
  const token = await issuer.mint({ sub: "carol", claims: { app: { who: "erin@example.com" } } });
  await using client = await logIn(program, { token, isPlain: true });
  assert.equal((await client.receiveMessage()).type, "R");
  assert.equal(value(scene.startups.at(-1)!, "user"), "erin");
  assert.equal(value(scene.startups.at(-1)!, "crdb:remote_addr"), `127.0.0.1:${client.localPort}`);
});

Deno.test("--metricsAddr serves /vars and /health", async () => {
  await using scene = await setScene();
  await using program = serve(scene, [...alone(), ...TLS, "--metricsAddr", "localhost:0"]);
  const [, address] = await program.until(/admin.* address=(\S+)|address=(\S+).* admin/);
  const vars = await fetch(`http://${address}/vars`);
  assert.match(await vars.text(), /sql_auth_successes_total/);
  const health = await fetch(`http://${address}/health`);
  assert.match(await health.text(), /OK/);
});

Deno.test("--logDestination, --logFormat and -v write a log of their own", async () => {
  await using scene = await setScene();
  const permissions = ["--allow-net", "--allow-read", "--allow-write"];
  const flags = ["--logDestination", "proxy.log", "--logFormat", "fluent"];
  await using program = serve(scene, [...flags, "-v", ...alone(), ...TLS], permissions);
  const log = () => Deno.readTextFile(`${scene.directory}/proxy.log`).catch(() => "");
  const [line] = await program.until(/\{.*listening.*\}/, log);
  const { message, severity, timestamp } = JSON.parse(line);
  assert.deepEqual([message, severity, typeof timestamp], ["listening", "info", "string"]);
  const [, port] = /"address":"127\.0\.0\.1:(\d+)"/.exec(line)!;
  await (await RawClient.connect(Number(port)))[Symbol.asyncDispose]();
  await program.until(
    /"message":"connection opened","severity":"debug"|"severity":"debug".*connection opened/,
    log,
  );
  assert.equal(program.stderr, "");
});

Deno.test("-v twice writes a trace", async () => {
  await using scene = await setScene();
  await using program = serve(scene, [...alone(), ...TLS, "-vv"]);
  await using client = await logIn(program, { token: await issuer.mint({ sub: "carol" }) });
  await client.receiveMessage();
  await program.until(/ trace message .*AuthenticationOk/);
});

Deno.test("--gracePeriod is how long a busy session may take, and the exit code tells that it was cut", async () => {
  await using scene = await setScene();
  await using program = serve(scene, [...alone(), ...TLS, "--gracePeriod", "300ms"]);
  await using client = await logIn(program, { token: await issuer.mint({ sub: "carol" }) });
  await client.receiveMessagesUntil("Z");
  await client.send(query("select 1"));
  await program.until(/authenticated/);
  const beganMs = performance.now();
  program.kill("SIGTERM");
  const told = readFields(await client.receiveMessage());
  assert.equal(told.C, "57P01");
  assert(performance.now() - beganMs >= 290, "it was cut off before its time");
  await client.end();
  assert.equal(await program.ended(), 1);
});

Deno.test("A10 --refresh loads anew by the clock, and 0 never does", async () => {
  await using scene = await setScene();
  await using still = serve(scene, [...alone(), ...TLS, "--refresh", "0"]);
  await portOf(still);
  await using program = serve(scene, [...alone(), ...TLS, "--refresh=1s"]);
  await program.until(/configuration reloaded[^]*configuration reloaded/);
  assert(!still.stderr.includes("reload"), still.stderr);
});

Deno.test("a backends file is read anew at SIGHUP, all or nothing", async () => {
  await using scene = await setScene();
  await using program = serve(scene, [...alone(), ...TLS]);
  await portOf(program);
  const path = `${scene.directory}/backends.json`;
  await Deno.writeTextFile(path, '{ "carol": 5 }');
  program.kill("SIGHUP");
  await program.until(/configuration not reloaded.*this backends file must be one JSON object/);
  await Deno.writeTextFile(path, JSON.stringify({ carol: urlOf(scene.backend, "another") }));
  program.kill("SIGHUP");
  await program.until(/configuration reloaded/);
  await using client = await logIn(program, { token: await issuer.mint({ sub: "carol" }) });
  assert.equal((await client.receiveMessage()).type, "R");
  assert.equal(value(scene.startups.at(-1)!, "user"), "another");
});

Deno.test("flags go before the file of --config", async () => {
  await using scene = await setScene();
  const toml = `
[listen]
address = "127.0.0.9:1"
certificate = "none.crt"
private_key = "none.key"

[[issuers]]
name = "corp"
url = "${issuer.url}"
audience = ["nobody"]

[[backends]]
name = "main"
url = "${urlOf(scene.backend, "main")}"

[[rules]]
issuer = "corp"
match = "frank"
backend = "main"
`;
  await Deno.writeTextFile(`${scene.directory}/config.toml`, toml);
  const flags = ["--bindAddr", "127.0.0.1:0", "--audience", "pg-auth-proxy", "--jwtField=name"];
  await using program = serve(scene, ["start", "-c", "config.toml", ...flags, ...TLS]);
  const token = await issuer.mint({ sub: "carol", claims: { name: "frank" } });
  await using client = await logIn(program, { token });
  assert.equal((await client.receiveMessage()).type, "R");
  assert.equal(value(scene.startups.at(-1)!, "user"), "main");
});

function serve({ directory }: Scene, args: readonly string[], permissions?: readonly string[]): Serving {
  return Serving.start(args, { cwd: directory, env: { DENO_CERT: `${directory}/ca.crt` }, permissions });
}

async function portOf(program: Serving): Promise<number> {
  return Number((await program.until(/ listening address=127\.0\.0\.1:(\d+)/))[1]);
}

/** A client that has sent its token. */
async function logIn(
  program: Serving,
  { token, user = "somebody", isPlain = false }: { token: string; user?: string; isPlain?: boolean },
): Promise<RawConnection> {
  const client = await RawClient.connect(await portOf(program), { timeoutMs: 10_000 });
  if (!isPlain) {
    await client.send(SSL_REQUEST);
    await client.receive(1);
    await client.startTls({ ca: authority.certificatePem, serverName: "localhost" });
  }
  await client.send(startupMessage({ user, database: "db" }));
  await client.receiveMessage(); // AuthenticationCleartextPassword
  await client.send(passwordMessage(token));
  return client;
}

function urlOf({ port }: FakeBackend, user: string): string {
  return `postgres://${user}@127.0.0.1:${port}?sslmode=disable`;
}

async function publicKeyPem(): Promise<string> {
  const algorithm = { name: "ECDSA", namedCurve: "P-256" };
  return await exportSPKI(
    await crypto.subtle.importKey("jwk", issuer.publicKeys[0], algorithm, true, ["verify"]),
  );
}

function value(startup: readonly string[], name: string): string | undefined {
  const at = startup.findIndex((word, index) => word === name && index % 2 === 0);
  return at < 0 ? undefined : startup[at + 1];
}
