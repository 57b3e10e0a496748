import assert from "node:assert/strict";
import pg from "pg";
import { createAuthority } from "./certificates.ts";
import { fakeBackend, RawClient } from "./hostile_peer.ts";
import { PostgresCluster } from "./postgres_cluster.ts";
import { PASSWORDS } from "./postgres_roles.ts";
import {
  authentication,
  errorResponse,
  loginIsComplete,
  passwordMessage,
  query,
  readFields,
  SSL_REQUEST,
  startupMessage,
  text,
} from "./raw_messages.ts";

const authority = await createAuthority("test authority");
const server = await authority.issueForLoopback();
const startup = (user: string) => startupMessage({ user, database: "postgres" });

Deno.test("RawClient logs in to a real server, over TLS that begins in band", async () => {
  await using cluster = await PostgresCluster.start({ major: 18, tls: server });
  await using client = await RawClient.connect(cluster.port);
  await client.send(SSL_REQUEST);
  assert.deepEqual(await client.receive(1), text("S"));
  await client.startTls({ ca: authority.certificatePem });
  await client.send(startup("app_cleartext"));
  assert.deepEqual(await client.receiveMessage(), { type: "R", body: Uint8Array.of(0, 0, 0, 3) });
  await client.send(passwordMessage(PASSWORDS.app_cleartext));
  const login = await client.receiveMessagesUntil("Z");
  assert.deepEqual(login[0], { type: "R", body: Uint8Array.of(0, 0, 0, 0) });
  await client.send(query("SELECT 1"));
  assert.equal((await client.receiveMessagesUntil("Z")).map(({ type }) => type).join(""), "TDCZ");
});

Deno.test("RawClient logs in to a real server, over TLS without an SSLRequest", async () => {
  await using cluster = await PostgresCluster.start({ major: 18, tls: server });
  await using client = await RawClient.connect(cluster.port);
  await client.startTls({ ca: authority.certificatePem, alpn: ["postgresql"] });
  assert.equal(client.alpnProtocol, "postgresql");
  await client.send(startup("app_trust"));
  assert.equal((await client.receiveMessagesUntil("Z"))[0].type, "R");
});

Deno.test("RawClient reads a real server's refusal to the end", async () => {
  await using cluster = await PostgresCluster.start({ major: 18 });
  await using client = await RawClient.connect(cluster.port);
  await client.send(startup("nobody"));
  const error = await client.receiveMessage();
  assert.equal(error.type, "E");
  assert.equal(readFields(error).C, "28000");
  assert.deepEqual(await client.receiveToEnd(), new Uint8Array());
  assert.equal(client.ending, "end");
});

Deno.test("RawClient.startTls() refuses a certificate of another authority", async () => {
  const stranger = await createAuthority("stranger");
  await using cluster = await PostgresCluster.start({ major: 18, tls: server });
  await using client = await RawClient.connect(cluster.port);
  await assert.rejects(client.startTls({ ca: stranger.certificatePem, alpn: ["postgresql"] }));
});

Deno.test("fakeBackend() lets a real driver in over TLS", async () => {
  await using backend = await fakeBackend(async (connection) => {
    assert.deepEqual(await connection.receiveUntyped(), SSL_REQUEST.subarray(4));
    await connection.send(text("S"));
    await connection.acceptTls(server);
    await connection.receiveUntyped();
    await connection.send(loginIsComplete());
    assert.equal((await connection.receiveMessage()).type, "X");
  });
  const ssl = { ca: authority.certificatePem };
  const client = new pg.Client({ host: "localhost", port: backend.port, user: "ada", ssl });
  await client.connect();
  await client.end();
  await backend.finished();
});

Deno.test("fakeBackend() refuses a real driver by what its script says", async () => {
  await using backend = await fakeBackend(async (connection) => {
    await connection.receiveUntyped();
    await connection.send(errorResponse("57P03", "the database system is starting up"));
  });
  const client = new pg.Client({ host: "127.0.0.1", port: backend.port, user: "ada" });
  await assert.rejects(client.connect(), { code: "57P03", message: "the database system is starting up" });
});

Deno.test("fakeBackend() throws what its script threw", async () => {
  const backend = await fakeBackend(() => Promise.reject(new Error("unexpected")));
  await using client = await RawClient.connect(backend.port);
  await client.receiveToEnd();
  await assert.rejects(backend.finished(), /unexpected/);
  await assert.rejects(async () => await backend[Symbol.asyncDispose](), /unexpected/);
});

Deno.test("fakeBackend() cuts a waiting script short when it goes out of scope", async () => {
  await using backend = await fakeBackend(async (connection) => void await connection.receive(1));
  await using client = await RawClient.connect(backend.port);
  await client.send(new Uint8Array());
  assert.equal(client.ending, undefined);
});

Deno.test("end() is seen as an end, and bytes still come back", async () => {
  await using backend = await fakeBackend(async (connection) => {
    await connection.receiveToEnd();
    assert.equal(connection.ending, "end");
    await connection.send(authentication(0));
  });
  await using client = await RawClient.connect(backend.port);
  client.end();
  assert.equal((await client.receiveMessage()).type, "R");
  await backend.finished();
});

Deno.test("reset() is seen as a reset", async () => {
  await using backend = await fakeBackend(async (connection) => {
    await connection.receive(1);
    await connection.receiveToEnd();
    assert.equal(connection.ending, "reset");
  });
  await using client = await RawClient.connect(backend.port);
  await client.send(text("x"));
  client.reset();
  await backend.finished();
});

Deno.test("receive() says how much had come when the peer left", async () => {
  await using backend = await fakeBackend((connection) => connection.send(text("ab")));
  await using client = await RawClient.connect(backend.port);
  await assert.rejects(client.receive(3), { message: "The peer left after 2 of 3 bytes" });
});

Deno.test("receive() does not wait for ever", async () => {
  await using backend = await fakeBackend(async (connection) => void await connection.receiveToEnd());
  await using client = await RawClient.connect(backend.port, { timeoutMs: 20 });
  await assert.rejects(client.receive(1), { message: "Waited in vain for 1 bytes (20 ms)" });
});
