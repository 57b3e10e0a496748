import assert from "node:assert/strict";
import { X509Certificate } from "node:crypto";
import { type CertificateAlgorithm, createAuthority } from "./certificates.ts";

Deno.test("issue() makes a certificate that its authority has signed", async () => {
  const authority = await createAuthority("test authority");
  const { certificatePem } = await authority.issueForLoopback();
  const issuer = new X509Certificate(authority.certificatePem);
  const certificate = new X509Certificate(certificatePem);
  assert.ok(certificate.checkIssued(issuer));
  assert.ok(certificate.verify(issuer.publicKey));
});

Deno.test("issue() writes the names it was given", async () => {
  const authority = await createAuthority("test authority");
  const { certificatePem } = await authority.issue({
    commonName: "db",
    dnsNames: ["db.example.com"],
    ipAddresses: ["192.0.2.1"],
  });
  const certificate = new X509Certificate(certificatePem);
  assert.equal(certificate.subject, "CN=db");
  assert.equal(certificate.subjectAltName, "DNS:db.example.com, IP Address:192.0.2.1");
});

Deno.test("issue() makes a certificate that has expired", async () => {
  const authority = await createAuthority("test authority");
  const notAfter = new Date("2020-01-02T00:00:00Z");
  const { certificatePem } = await authority.issue({
    commonName: "db",
    notBefore: new Date("2020-01-01T00:00:00Z"),
    notAfter,
  });
  assert.equal(new Date(new X509Certificate(certificatePem).validTo).getTime(), notAfter.getTime());
});

Deno.test("issueAuthority() makes a second link of the chain", async () => {
  const root = await createAuthority("root");
  const subordinate = await root.issueAuthority("subordinate");
  const certificate = new X509Certificate(subordinate.certificatePem);
  assert.ok(certificate.verify(new X509Certificate(root.certificatePem).publicKey));
  assert.ok(certificate.ca);
});

Deno.test.each<{ algorithm: CertificateAlgorithm }>([
  { algorithm: "ecdsa-p256" },
  { algorithm: "ecdsa-p384" },
  { algorithm: "rsa-2048" },
])("a TLS handshake with $algorithm is accepted by who trusts the authority", async ({ algorithm }) => {
  const authority = await createAuthority("test authority", algorithm);
  const { certificatePem, keyPem } = await authority.issue({
    commonName: "localhost",
    dnsNames: ["localhost"],
    algorithm,
  });
  using listener = Deno.listenTls({ hostname: "127.0.0.1", port: 0, cert: certificatePem, key: keyPem });
  const accepting = listener.accept();
  using client = await Deno.connectTls({
    hostname: "localhost",
    port: listener.addr.port,
    caCerts: [authority.certificatePem],
  });
  using server = await accepting;
  await Promise.all([client.handshake(), server.handshake()]);
  assert.equal(server.localAddr.port, client.remoteAddr.port);
});
