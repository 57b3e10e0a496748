import assert from "node:assert/strict";
import { createServerCertificate } from "../../lib/stream/server_certificate.ts";
import { createAuthority } from "../support/certificates.ts";

const authority = await createAuthority("certificates");
const one = await authority.issueForLoopback();
const other = await authority.issueForLoopback();

function create(certificatePem: string, privateKeyPem: string) {
  return createServerCertificate({ certificatePem, privateKeyPem, minimumTlsVersion: "TLSv1.2" });
}

Deno.test("createServerCertificate() takes a certificate with its key", () => {
  assert.match(create(one.certificatePem, one.keyPem).certificate.subject, /localhost/);
});

Deno.test("createServerCertificate() takes a chain, the leaf first", async () => {
  const intermediate = await authority.issueAuthority("intermediate");
  const leaf = await intermediate.issueForLoopback();
  const chain = leaf.certificatePem + intermediate.certificatePem;
  assert.match(create(chain, leaf.keyPem).certificate.subject, /localhost/);
});

Deno.test.each<["rsa-2048" | "ecdsa-p384"]>([["rsa-2048"], ["ecdsa-p384"]])(
  "createServerCertificate() takes a key of %s",
  async (algorithm) => {
    const leaf = await authority.issue({ commonName: "localhost", algorithm });
    assert.match(create(leaf.certificatePem, leaf.keyPem).certificate.subject, /localhost/);
  },
);

Deno.test.each<[string, string, string, string]>([
  ["another's key", one.certificatePem, other.keyPem, "private_key does not belong to certificate"],
  ["no PEM for a certificate", "hello", one.keyPem, "certificate is not readable PEM"],
  ["an empty certificate", "", one.keyPem, "certificate is not readable PEM"],
  ["no PEM for a key", one.certificatePem, "hello", "private_key is not readable PEM"],
  ["the two in each other's place", one.keyPem, one.certificatePem, "certificate is not readable PEM"],
  ["a key cut short", one.certificatePem, one.keyPem.slice(0, 80), "private_key is not readable PEM"],
])("createServerCertificate() refuses %s", (_name, certificatePem, keyPem, message) => {
  assert.throws(() => create(certificatePem, keyPem), { message });
});
