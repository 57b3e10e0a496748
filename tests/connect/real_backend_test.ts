import assert from "node:assert/strict";
import type { Reach, Reached } from "../../lib/connect/reach_backend.ts";
import { reachBackend } from "../../lib/connect/reach_backend.ts";
import { deriveScramKeys, dial, hangUp, randomBytes, startTls } from "../../lib/connect/questions.ts";
import { ScramKeyMemory } from "../../lib/connect/scram_key_memory.ts";
import { parseTarget } from "../../lib/connect/target.ts";
import { answer } from "../../lib/dialogue.ts";
import { Channel } from "../../lib/stream/channel.ts";
import * as sockets from "../../lib/stream/dial.ts";
import { createAuthority } from "../support/certificates.ts";
import { PostgresCluster } from "../support/postgres_cluster.ts";
import { PASSWORDS, type TestRole } from "../support/postgres_roles.ts";

const authority = await createAuthority("test authority");
const server = await authority.issueForLoopback();
const client = await authority.issue({ commonName: "app_cert", usage: "client" });
const tls = { ...server, caPem: authority.certificatePem };
const SIGNAL_MS = 20_000;

interface Case {
  readonly role: TestRole;
  readonly auth: Reach["requireAuth"];
  readonly binding?: Reach["channelBinding"];
  readonly query?: string;
}

const OVER_TLS: readonly Case[] = [
  { role: "app_scram", auth: ["scram-sha-256-plus"], binding: "require" },
  { role: "app_scram", auth: ["scram-sha-256"], binding: "disable" },
  { role: "app_md5", auth: ["md5"] },
  { role: "app_cleartext", auth: ["password"] },
  { role: "app_cert", auth: ["cert"], query: "&sslcert=c&sslkey=k" },
  { role: "app_trust", auth: ["none"] },
  { role: "app_trust", auth: ["none"], query: "&target_session_attrs=read-write" },
];

Deno.test("a real PostgreSQL 18 lets reachBackend() in by every method over TLS, and 14 by asking it", async () => {
  for (const major of [14, 18] as const) {
    await using cluster = await PostgresCluster.start({ major, tls });
    for (const { role, auth, binding = "prefer", query = "" } of OVER_TLS) {
      const reached = await reach(cluster, { role, auth, binding, query: `?sslmode=verify-full${query}` });
      assert.equal(reached.isEncrypted, true);
      assert.equal(reached.transactionStatus, "I");
      assert.equal(reached.backendKey?.secretKey.length, major === 18 ? 32 : 4);
      assert.equal(reached.protocolVersion.minor, major === 18 ? 2 : 0);
      assert.ok(reached.parameterStatuses.some(({ name }) => name === "server_version"));
    }
  }
});

Deno.test("a real PostgreSQL lets reachBackend() in by direct TLS", async () => {
  await using cluster = await PostgresCluster.start({ major: 18, tls });
  const query = "?sslnegotiation=direct";
  const reached = await reach(cluster, {
    role: "app_scram",
    auth: ["scram-sha-256"],
    binding: "require",
    query,
  });
  assert.equal(reached.isEncrypted, true);
});

Deno.test("a real PostgreSQL without TLS lets SCRAM in, and is not spoken to where TLS is wanted", async () => {
  await using cluster = await PostgresCluster.start({ major: 18 });
  const scram = { role: "app_scram", auth: ["scram-sha-256"], binding: "prefer" } as const;
  const reached = await reach(cluster, { ...scram, query: "?sslmode=disable" });
  assert.equal(reached.isEncrypted, false);
  await assert.rejects(reach(cluster, { ...scram, query: "?sslmode=require" }), {
    sqlstate: "08001",
    message: 'could not reach backend "orders"',
  });
});

Deno.test("a real PostgreSQL's refusal of a password reaches the client without its words", async () => {
  await using cluster = await PostgresCluster.start({ major: 18 });
  const wrong = {
    role: "app_scram",
    auth: ["scram-sha-256"],
    binding: "prefer",
    query: "?sslmode=disable",
  } as const;
  await assert.rejects(reach(cluster, { ...wrong, password: "wrong" }), {
    sqlstate: "28P01",
    message: 'backend "orders" refused the proxy\'s login',
  });
});

type Attempt = Required<Case> & { readonly password?: string };

async function reach(cluster: PostgresCluster, attempt: Attempt): Promise<Reached> {
  const { role, auth: requireAuth, binding: channelBinding, query } = attempt;
  const password = attempt.password ?? ({ app_cert: "", app_trust: "", ...PASSWORDS })[role];
  const target = parseTarget(`postgres://${role}:${password}@localhost:${cluster.port}/postgres${query}`);
  const parameters = new Map([["user", role], ["database", "postgres"]]);
  const startup = { protocolVersion: { major: 3, minor: 2 }, parameters };
  const deadline = AbortSignal.timeout(SIGNAL_MS);
  using channel = new Channel(null, deadline);
  return await channel.converse(
    reachBackend(target, { backend: "orders", startup, requireAuth, channelBinding }),
    [
      answer(
        dial,
        async ({ host }) =>
          channel.attach(await sockets.dial(host, { transport: "socket", signal: deadline })),
      ),
      answer(startTls, async ({ serverName, sslmode, isAlpnRequired }) => {
        const secured = await sockets.secureBackend(channel.detach(), {
          mode: sslmode,
          isAlpnRequired,
          host: serverName,
          authoritiesPem: authority.certificatePem,
          certificatePem: target.sslcert && client.certificatePem,
          privateKeyPem: target.sslkey && client.keyPem,
          signal: deadline,
        });
        channel.attach(secured);
        return { certificate: secured.tls?.peerCertificate ?? undefined };
      }),
      answer(hangUp, () => channel.detach().destroy()),
      answer(randomBytes, (length) => crypto.getRandomValues(new Uint8Array(length))),
      answer(deriveScramKeys, (salting) => new ScramKeyMemory().keysOf(salting)),
    ],
  );
}
