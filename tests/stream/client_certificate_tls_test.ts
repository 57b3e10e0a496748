import assert from "node:assert/strict";
import { X509Certificate } from "node:crypto";
import { acceptTlsOver } from "../../lib/stream/accept_tls.ts";
import { createServerCertificate } from "../../lib/stream/server_certificate.ts";
import { createAuthority } from "../support/certificates.ts";
import { type ClientTls, RawConnection } from "../support/raw_connection.ts";
import { socketPair } from "./sockets.ts";

const authority = await createAuthority("client certificates");
const between = await authority.issueAuthority("between");
const stranger = await createAuthority("a stranger");
const server = await authority.issueForLoopback();
const alice = await authority.issue({ commonName: "alice", usage: "client" });
const bob = await between.issue({ commonName: "bob", usage: "client" });
const mallory = await stranger.issue({ commonName: "mallory", usage: "client" });
const rsa = await authority.issue({ commonName: "rsa", usage: "client", algorithm: "rsa-2048" });
const ed25519 = await authority.issue({ commonName: "ed25519", usage: "client", algorithm: "ed25519" });

const VERSIONS = ["TLSv1.2", "TLSv1.3"] as const;
const GARBAGE = "-----BEGIN CERTIFICATE-----\nAAAAAAAA\n-----END CERTIFICATE-----\n";

Deno.test.each(VERSIONS.flatMap((version) =>
  [
    [version, "none", {}, null, []],
    [version, "a certificate", alice, alice, []],
    [version, "a certificate of RSA", rsa, rsa, []],
    [version, "a certificate of Ed25519", ed25519, ed25519, []],
    [version, "a certificate of a stranger", mallory, mallory, []],
    [
      version,
      "a certificate with its chain",
      { ...bob, certificatePem: bob.certificatePem + between.certificatePem + authority.certificatePem },
      bob,
      [between, authority],
    ],
    [
      version,
      "garbage behind its certificate",
      { ...alice, certificatePem: alice.certificatePem + GARBAGE },
      alice,
      [],
    ],
  ] as [typeof version, string, ClientTls, Pem | null, Pem[]][]
))(
  "acceptTlsOver() by %s shows what the client has shown: %s",
  async (version, _name, shown, certificate, intermediates) => {
    await using pair = await meet({ ...shown, version });
    const { tls } = pair.stream;
    assert.equal(tls?.version, version);
    assert.deepEqual(tls?.peerCertificate, certificate && der(certificate));
    assert.deepEqual(tls?.peerIntermediates, intermediates.map(der));
  },
);

Deno.test("acceptTlsOver() asks for no certificate unless told to", async () => {
  await using pair = await meet(alice, false);
  assert.equal(pair.stream.tls?.peerCertificate, null);
});

interface Pem {
  readonly certificatePem: string;
}

/** Both ends inside TLS. */
async function meet(tls: ClientTls, asksForCertificate = true) {
  const plain = await socketPair();
  const accepting = acceptTlsOver(plain.server, {
    certificate: createServerCertificate({
      certificatePem: server.certificatePem,
      privateKeyPem: server.keyPem,
      minimumTlsVersion: "TLSv1.2",
    }),
    asksForCertificate,
    signal: AbortSignal.timeout(5000),
  });
  const client = new RawConnection(plain.client.handOver());
  const [stream] = await Promise.all([accepting, client.startTls({ ...tls, ca: authority.certificatePem })]);
  return {
    stream,
    client,
    async [Symbol.asyncDispose]() {
      stream.destroy();
      await client[Symbol.asyncDispose]();
    },
  };
}

function der({ certificatePem }: Pem): Uint8Array {
  return new Uint8Array(new X509Certificate(certificatePem).raw);
}
