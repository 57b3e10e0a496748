import assert from "node:assert/strict";
import { fakeBackend, RawClient } from "../support/hostile_peer.ts";
import type { RawConnection } from "../support/raw_connection.ts";
import {
  loginIsComplete,
  passwordMessage,
  readFields,
  SSL_REQUEST,
  startupMessage,
  text,
} from "../support/raw_messages.ts";
import { RunningProxy } from "../support/running_proxy.ts";
import { tempDirectory } from "../support/temp_directory.ts";
import { waitUntil } from "../support/wait_until.ts";
import { loop, say } from "../token/validator/scripted_validator.ts";

/** As many as one address may have that are not logged in. */
const CROWD = 100;

/** How many of one address are judged at a time. */
const AT_ONCE = 4;

const EXPIRES = Math.floor(Date.now() / 1000) + 3600;

/** A proxy whose validator takes so long for each question, one behind the other, and writes down that it has answered. */
async function startScene({ seconds, listen }: { readonly seconds: number; readonly listen?: string }) {
  await using resources = new AsyncDisposableStack();
  const directory = resources.use(await tempDirectory());
  const backend = resources.use(
    await fakeBackend(async (connection) => {
      await connection.receiveUntyped();
      await connection.send(loginIsComplete());
      await connection.receiveToEnd();
    }),
  );
  const answers = `${directory.path}/answers`;
  const authorize = say({ authorized: true, identity: "alice", expires: EXPIRES });
  const refuse = say({ authorized: false });
  const answer = `case "$question" in *good*) ${authorize};; *) ${refuse};; esac`;
  const script = await directory.write("script", loop(`sleep ${seconds}; echo >> '${answers}'; ${answer}`));
  const proxy = resources.use(await RunningProxy.start({ toml: tomlOf(script, backend.port), listen }));
  const countAnswers = async () => (await Deno.readTextFile(answers).catch(() => "")).length;
  const held = resources.move();
  return { proxy, countAnswers, [Symbol.asyncDispose]: () => held.disposeAsync() };
}

Deno.test("W12 a crowd behind one address makes nobody else wait for a slow validator", async () => {
  await using scene = await startScene({ seconds: 0.05 });
  await using crowd = new AsyncDisposableStack();
  const { port } = scene.proxy;
  // Each with a name of its own: they are no failed logins of anybody who has failed before.
  const guessing = await Promise.all(Array.from({ length: CROWD }, async (_, index) => {
    return crowd.use(await asked(port, { user: `user ${index}`, localAddress: "127.0.0.2" }));
  }));
  await using alice = await asked(port, { user: "alice", localAddress: "127.0.0.1" });
  for (const client of guessing) await client.send(passwordMessage("guessed"));
  await waitUntil(async () => await scene.countAnswers() > 0, { what: "the validator to be busy" });

  const before = await scene.countAnswers();
  const atMs = performance.now();
  await alice.send(passwordMessage("good"));
  await alice.receiveMessagesUntil("Z");
  // Those whose turn it was, her own, and what has been asked between our looking and her being heard.
  assert(await scene.countAnswers() - before <= 2 * AT_ONCE);
  // Behind all of the crowd it would have been five seconds.
  assert(performance.now() - atMs < 1_500);
  // She leaves: the backend's patience is shorter than the crowd's wait.
  await alice[Symbol.asyncDispose]();

  // Nobody is refused for having had to wait.
  for (const client of guessing) assert.equal((await client.receiveMessage()).type, "E");
  const refused = scene.proxy.events.filter((event) => event.kind === "login_refused");
  assert.deepEqual(new Set(refused.map(({ fault }) => fault)), new Set(["not_authorized"]));
  assert.equal(refused.length, CROWD);
});

Deno.test("whoever waits for a turn waits no longer than login_timeout, and nobody is asked about it then", async () => {
  await using scene = await startScene({ seconds: 0.3, listen: 'login_timeout = "2s"' });
  await using crowd = new AsyncDisposableStack();
  const clients = await Promise.all(Array.from({ length: 5 * AT_ONCE }, async (_, index) => {
    return crowd.use(await asked(scene.proxy.port, { user: `user ${index}`, localAddress: "127.0.0.2" }));
  }));
  for (const client of clients) await client.send(passwordMessage("guessed"));
  const told = await Promise.all(
    clients.map(async (client) => readFields(await client.receiveMessage()).C),
  );
  const refused = told.filter((sqlstate) => sqlstate === "28P01").length;
  assert.equal(told.filter((sqlstate) => sqlstate === "57014").length, clients.length - refused);
  assert(refused < clients.length);
  await waitUntil(() => scene.proxy.connectionCount === 0, { what: "every login to be over" });
  assert(await scene.countAnswers() <= refused + AT_ONCE);
});

/** A connection that has been asked for its token. */
async function asked(
  port: number,
  { user, localAddress }: { readonly user: string; readonly localAddress: string },
): Promise<RawConnection> {
  const client = await RawClient.connect(port, { localAddress, timeoutMs: 30_000 });
  await client.send(SSL_REQUEST);
  assert.deepEqual(await client.receive(1), text("S"));
  await client.startTls();
  await client.send(startupMessage({ user, database: "orders" }));
  assert.equal((await client.receiveMessage()).type, "R");
  return client;
}

function tomlOf(script: string, port: number): string {
  return `
[[issuers]]
name = "legacy"
issuer = "https://legacy.example.com"
validator = { command = ["/bin/sh", "${script}"], timeout = "10s" }

[[ways_in]]
method = "password"
issuer = "legacy"

[[backends]]
name = "main"
url = "postgres://app@localhost:${port}?sslmode=disable"
require_auth = ["none"]

[[rules]]
issuer = "legacy"
match = "alice"
backend = "main"
`;
}
