import assert from "node:assert/strict";
import type { BackendAccess } from "../../lib/backend_link.ts";
import { probeBackend } from "../../lib/backend_probe.ts";
import { loadConfiguration } from "../../lib/config/load.ts";
import { decodeProxyHeader } from "../../lib/stream/proxy_header.ts";
import { outsideOf, PEM, SMALLEST } from "../config/files.ts";
import { createAuthority } from "../support/certificates.ts";
import { freePort } from "../support/free_port.ts";
import { fakeBackend } from "../support/hostile_peer.ts";
import { PostgresCluster } from "../support/postgres_cluster.ts";

const authority = await createAuthority("probes");
const stranger = await createAuthority("somebody else");

/** The backend of a configuration with this URL and further lines. */
async function accessTo(url: string, ...lines: string[]): Promise<BackendAccess> {
  const toml = SMALLEST.replace("postgres://app@db1.internal/orders", url)
    .replace("[[rules]]", [...lines, "[[rules]]"].join("\n"));
  const files = { ...PEM, "ca.crt": authority.certificatePem, "other.crt": stranger.certificatePem };
  const { backends } = await loadConfiguration(
    "/etc/proxy/config.toml",
    outsideOf({ ...files, "config.toml": toml }),
  );
  return backends.get("orders")!;
}

/** What a probe rejects with, in the words for the operator; undefined where the backend is there. */
async function problemOf(access: BackendAccess): Promise<string | undefined> {
  return await probeBackend(access).then(() => undefined, ({ message, reason }) => reason ?? message);
}

Deno.test("probeBackend() before a real PostgreSQL", async (t) => {
  const { certificatePem, keyPem } = await authority.issueForLoopback();
  await using cluster = await PostgresCluster.start({ major: 18, tls: { certificatePem, keyPem } });
  const at = `postgres://app@localhost:${cluster.port}/orders`;
  const before = await cluster.log();

  for (
    const [name, url] of [
      ["inside TLS, its certificate checked", `${at}?sslrootcert=ca.crt`],
      ["by direct TLS", `${at}?sslrootcert=ca.crt&sslnegotiation=direct`],
      ["outside TLS", `${at}?sslmode=disable`],
      [
        "by a socket of this machine",
        `postgres://app@${encodeURIComponent(cluster.socketDirectory)}:${cluster.port}/x`,
      ],
      [
        "by the second of its hosts",
        `postgres://app@localhost:${freePort()},localhost:${cluster.port}/x?sslrootcert=ca.crt`,
      ],
    ]
  ) {
    await t.step(`finds it there ${name}`, async () => {
      for (let time = 0; time < 5; time++) assert.equal(await problemOf(await accessTo(url)), undefined);
    });
  }

  await t.step("leaves nothing in its log but that somebody came", async () => {
    // A session that is over has come to the log behind all that was before it.
    await cluster.sql("select 1");
    const log = (await cluster.log()).slice(before.length);
    const lines = log.split("\n").filter((line) =>
      line !== "" && !/connection received|\[local\]|postgres/.test(line)
    );
    assert.deepEqual(lines, []);
    assert.match(log, /connection received/);
  });

  await t.step("does not take it for there when another authority has signed its certificate", async () => {
    assert.match(await problemOf(await accessTo(`${at}?sslrootcert=other.crt`)) ?? "", /sslrootcert/);
  });
});

Deno.test("probeBackend() tells that nobody listens", async () => {
  const access = await accessTo(`postgres://app@127.0.0.1:${freePort()}/x?sslmode=disable`);
  assert.match(await problemOf(access) ?? "", /ECONNREFUSED/);
});

Deno.test("probeBackend() does not take a port for a backend behind which nobody says a word", async () => {
  await using silent = await fakeBackend(async (connection) => void await connection.receiveToEnd());
  const access = await accessTo(
    `postgres://app@127.0.0.1:${silent.port}/x?sslmode=disable&connect_timeout=2`,
  );
  assert.match(await problemOf(access) ?? "", /time/i);
});

Deno.test("probeBackend() does not take anybody else for PostgreSQL", async () => {
  await using other = await fakeBackend(async (connection) => {
    await connection.send(new TextEncoder().encode("HTTP/1.1 400 Bad Request\r\n\r\n"));
    await connection.receiveToEnd();
  });
  const access = await accessTo(`postgres://app@127.0.0.1:${other.port}/x?sslmode=disable`);
  assert.match(await problemOf(access) ?? "", /neither S nor N/);
});

Deno.test("probeBackend() speaks for itself to a backend that wants a PROXY header", async () => {
  let received: Uint8Array = new Uint8Array();
  await using backend = await fakeBackend(async (connection) => {
    received = await connection.receive(16);
    await connection.receiveUntyped();
    await connection.send(new TextEncoder().encode("N"));
    await connection.receiveToEnd();
  });
  const url = `postgres://app@127.0.0.1:${backend.port}/x?sslmode=disable`;
  assert.equal(await problemOf(await accessTo(url, "send_proxy_protocol = true")), undefined);
  assert.deepEqual(decodeProxyHeader(received), { proxied: null, length: 16 });
});
