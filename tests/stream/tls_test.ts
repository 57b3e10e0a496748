import assert from "node:assert/strict";
import { connect as connectTls } from "node:tls";
import type { PgError } from "../../lib/errors.ts";
import { acceptTlsOver } from "../../lib/stream/accept_tls.ts";
import { type BackendTls, dial, secureBackend } from "../../lib/stream/dial.ts";
import type { ByteStream } from "../../lib/stream/byte_stream.ts";
import type { NodeStream } from "../../lib/stream/node_stream.ts";
import { createServerCertificate, type ServerCertificate } from "../../lib/stream/server_certificate.ts";
import { createAuthority, type IssuedCertificate } from "../support/certificates.ts";
import { freePort } from "../support/free_port.ts";
import { concat, text } from "../support/raw_messages.ts";
import { readToEnd, type SocketPair, socketPair } from "./sockets.ts";

const authority = await createAuthority("tls");
const stranger = await createAuthority("a stranger");
const DAY_MS = 86_400_000;

const certificates = {
  good: await authority.issueForLoopback(),
  "of another name": await authority.issue({ commonName: "x", dnsNames: ["db.example.com"] }),
  "of another authority": await stranger.issueForLoopback(),
  expired: await authority.issue({
    commonName: "localhost",
    dnsNames: ["localhost"],
    notBefore: new Date(Date.now() - 2 * DAY_MS),
    notAfter: new Date(Date.now() - DAY_MS),
  }),
} satisfies Record<string, IssuedCertificate>;

function serverCertificate(issued: IssuedCertificate): ServerCertificate {
  return createServerCertificate({
    certificatePem: issued.certificatePem,
    privateKeyPem: issued.keyPem,
    minimumTlsVersion: "TLSv1.2",
  });
}

function accept(stream: ByteStream, issued: IssuedCertificate, begun?: Uint8Array): Promise<ByteStream> {
  return acceptTlsOver(stream, {
    certificate: serverCertificate(issued),
    begun,
    signal: AbortSignal.timeout(5000),
  });
}

function secure(stream: ByteStream, tls: Partial<BackendTls> = {}): Promise<ByteStream> {
  return secureBackend(stream, {
    mode: "verify-full",
    host: "localhost",
    isAlpnRequired: false,
    authoritiesPem: authority.certificatePem,
    signal: AbortSignal.timeout(5000),
    ...tls,
  });
}

/** Both ends inside TLS. */
async function tlsPair(pair: SocketPair): Promise<SocketPair<ByteStream>> {
  const [server, client] = await Promise.all([accept(pair.server, certificates.good), secure(pair.client)]);
  return {
    client,
    server,
    [Symbol.dispose]() {
      client.destroy();
      server.destroy();
    },
  };
}

Deno.test("TLS in both directions of node:tls carries bytes, both ways and in quantity", async () => {
  using plain = await socketPair();
  using pair = await tlsPair(plain);
  const bulk = crypto.getRandomValues(new Uint8Array(60_000));
  const much = concat(...Array.from({ length: 50 }, () => bulk));
  for (const [from, to] of [["client", "server"], ["server", "client"]] as const) {
    const writing = pair[from].write(much.slice()).then(() => pair[from].end());
    assert.deepEqual(await readToEnd(pair[to]), much);
    await writing;
  }
});

Deno.test("TLS is of version 1.3, with our protocol by ALPN", async () => {
  using plain = await socketPair();
  using pair = await tlsPair(plain);
  for (const { tls } of [pair.client, pair.server]) {
    assert.equal(tls?.version, "TLSv1.3");
    assert.equal(tls?.alpn, "postgresql");
    assert.match(tls!.cipher, /^TLS_/);
  }
});

Deno.test("TLS shows the certificate of a server, and none of a client that has none", async () => {
  using plain = await socketPair();
  using pair = await tlsPair(plain);
  assert.deepEqual(pair.client.tls?.peerCertificate, derOf(certificates.good));
  assert.equal(pair.server.tls?.peerCertificate, null);
});

Deno.test("write() of nothing inside TLS does nothing", async () => {
  using plain = await socketPair();
  using pair = await tlsPair(plain);
  await pair.client.write(new Uint8Array());
  await pair.client.write(text("x"));
  assert.deepEqual(new Uint8Array((await pair.server.read())!), text("x"));
});

Deno.test("acceptTlsOver() goes on with a handshake that has begun", async () => {
  using plain = await socketPair();
  const securing = secure(plain.client);
  const begun = (await plain.server.read())!;
  assert.equal(begun[0], 0x16);
  const [server, client] = await Promise.all([accept(plain.server, certificates.good, begun), securing]);
  await client.write(text("direct"));
  assert.deepEqual(new Uint8Array((await server.read())!), text("direct"));
  client.destroy();
  server.destroy();
});

Deno.test("W5 acceptTlsOver() refuses a handshake that has begun without ALPN", async () => {
  using plain = await socketPair();
  const accepting = (async () => accept(plain.server, certificates.good, (await plain.server.read())!))();
  const client = connectTls({ socket: plain.client.handOver(), rejectUnauthorized: false });
  client.on("error", () => {}); // it may see the connection reset
  await assert.rejects(accepting, {
    sqlstate: "08P01",
    message: 'direct TLS connection without ALPN protocol "postgresql"',
  });
  client.destroy();
});

Deno.test.each<[string, RegExp, (client: NodeStream) => Promise<void> | void]>([
  ["something else comes", /corrupt message/, (client) => client.write(text("hello, hello"))],
  ["the client ends", /the peer closed/, async (client) => void await client.end()],
  ["the client leaves", /the peer closed/, (client) => client.destroy()],
  ["the client resets", /the peer closed/, (client) => void client.handOver().resetAndDestroy()],
])("acceptTlsOver() throws 08P01 at once when %s", async (_name, cause, act) => {
  using plain = await socketPair();
  const accepting = accept(plain.server, certificates.good);
  await Promise.all([
    assert.rejects(accepting, (error: PgError) => {
      assert.equal(error.sqlstate, "08P01");
      assert.equal(error.message, "TLS handshake failed");
      assert.match((error.cause as Error).message, cause);
      return true;
    }),
    act(plain.client),
  ]);
});

Deno.test("W7 acceptTlsOver() ends with its signal, and lets the client go", async () => {
  using plain = await socketPair();
  const deadline = new AbortController();
  const accepting = acceptTlsOver(plain.server, {
    certificate: serverCertificate(certificates.good),
    signal: deadline.signal,
  });
  deadline.abort(new Error("too late"));
  await assert.rejects(accepting, { sqlstate: "08P01" });
  assert.equal(await plain.client.read().catch(() => null), null);
});

type Verdict = "good" | "refused";

// libpq's table, row by row: what each mode looks at.
Deno.test.each<[keyof typeof certificates, BackendTls["mode"], Verdict]>([
  ["good", "verify-full", "good"],
  ["good", "verify-ca", "good"],
  ["good", "require", "good"],
  ["of another name", "verify-full", "refused"],
  ["of another name", "verify-ca", "good"],
  ["of another name", "require", "good"],
  ["of another authority", "verify-full", "refused"],
  ["of another authority", "verify-ca", "refused"],
  ["of another authority", "require", "refused"],
  ["expired", "verify-full", "refused"],
  ["expired", "verify-ca", "refused"],
  ["expired", "require", "refused"],
])(
  "secureBackend() finds a certificate that is %s by mode %s, with authorities: %s",
  async (name, mode, is) => {
    assert.equal(await verdict(certificates[name], { mode }), is);
  },
);

Deno.test.each<[BackendTls["mode"], Verdict]>([
  ["verify-full", "refused"],
  ["verify-ca", "refused"],
  ["require", "good"],
])(
  "secureBackend() finds an unknown authority by mode %s, without authorities of its own: %s",
  async (mode, is) => {
    assert.equal(await verdict(certificates.good, { mode, authoritiesPem: undefined }), is);
  },
);

Deno.test.each<[string, Verdict]>([["127.0.0.1", "good"], ["::1", "good"], ["127.0.0.2", "refused"]])(
  "secureBackend() checks the certificate for the address %s: %s",
  async (host, is) => assert.equal(await verdict(certificates.good, { host }), is),
);

Deno.test("W7 secureBackend() ends with its signal", async () => {
  using plain = await socketPair();
  const deadline = new AbortController();
  const securing = secure(plain.client, { signal: deadline.signal });
  deadline.abort(new Error("too late"));
  await assert.rejects(securing, { sqlstate: "08001" });
});

Deno.test("secureBackend() throws 08001 when the backend leaves in the middle", async () => {
  using plain = await socketPair();
  const securing = secure(plain.client);
  await plain.server.read();
  plain.server.destroy();
  await assert.rejects(securing, { sqlstate: "08001", reason: /closed|disconnected/ });
});

Deno.test("dial() throws 08001 when nobody listens", async () => {
  const endpoint = { kind: "tcp", host: "127.0.0.1", port: freePort() } as const;
  await assert.rejects(dial(endpoint, { transport: "socket", signal: AbortSignal.timeout(5000) }), {
    sqlstate: "08001",
    message: "could not connect to the backend",
    blame: "backend",
  });
});

Deno.test("dial() throws 08001 when there is no such socket", async () => {
  const endpoint = { kind: "unix", path: "/nonexistent/.s.PGSQL.5432" } as const;
  await assert.rejects(dial(endpoint, { transport: "socket", signal: AbortSignal.timeout(5000) }), {
    sqlstate: "08001",
  });
});

Deno.test("dial() ends with its signal", async () => {
  const endpoint = { kind: "tcp", host: "127.0.0.1", port: freePort() } as const;
  await assert.rejects(
    dial(endpoint, { transport: "socket", signal: AbortSignal.abort(new Error("too late")) }),
    { sqlstate: "08001" },
  );
});

/** Whether a server's certificate passes. */
async function verdict(issued: IssuedCertificate, tls: Partial<BackendTls>): Promise<Verdict> {
  using plain = await socketPair();
  const accepting = accept(plain.server, issued).catch(() => null);
  try {
    const client = await secure(plain.client, tls);
    client.destroy();
    return "good";
  } catch (error) {
    assert.equal((error as { sqlstate?: string }).sqlstate, "08001");
    return "refused";
  } finally {
    (await accepting)?.destroy();
  }
}

function derOf({ certificatePem }: IssuedCertificate): Uint8Array {
  return Uint8Array.fromBase64(certificatePem.replaceAll(/-----[^-]+-----|\s/g, ""));
}
