import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import fc from "fast-check";
import { certificateHash } from "../../lib/connect/certificate_hash.ts";
import { type CertificateAlgorithm, createAuthority } from "../support/certificates.ts";
import { bytes } from "../wire/bytes.ts";

const RSA = "2a864886f70d0101";
const ECDSA = "2a8648ce3d04";
const NIST_HASH = "6086480165030402";

Deno.test.each<{ algorithm: CertificateAlgorithm; hash: string }>([
  { algorithm: "ecdsa-p256", hash: "sha256" },
  { algorithm: "ecdsa-p384", hash: "sha384" },
  { algorithm: "rsa-2048", hash: "sha256" },
])("certificateHash() of a certificate signed with $algorithm uses $hash", async ({ algorithm, hash }) => {
  const certificate = await certificateSignedWith(algorithm);
  assert.deepEqual(certificateHash(certificate), digest(hash, certificate));
});

Deno.test("certificateHash() of a certificate signed with Ed25519 is undefined", async () => {
  assert.equal(certificateHash(await certificateSignedWith("ed25519")), undefined);
});

Deno.test.each([
  { name: "md5WithRSAEncryption", oid: `${RSA}04`, hash: "sha256" },
  { name: "sha1WithRSAEncryption", oid: `${RSA}05`, hash: "sha256" },
  { name: "sha384WithRSAEncryption", oid: `${RSA}0c`, hash: "sha384" },
  { name: "sha512WithRSAEncryption", oid: `${RSA}0d`, hash: "sha512" },
  { name: "sha224WithRSAEncryption", oid: `${RSA}0e`, hash: "sha224" },
  { name: "ecdsa-with-SHA1", oid: `${ECDSA}01`, hash: "sha256" },
  { name: "ecdsa-with-SHA512", oid: `${ECDSA}0304`, hash: "sha512" },
])("certificateHash() hashes $name with $hash", ({ oid, hash }) => {
  const certificate = certificateWith(identifier(oid), element(0x05));
  assert.deepEqual(certificateHash(certificate), digest(hash, certificate));
});

Deno.test.each([
  { named: "no hash, which means SHA-1", parameters: element(0x30), hash: "sha256" },
  { named: "SHA-1", parameters: pss("2b0e03021a"), hash: "sha256" },
  { named: "SHA-256", parameters: pss(`${NIST_HASH}01`), hash: "sha256" },
  { named: "SHA-384", parameters: pss(`${NIST_HASH}02`), hash: "sha384" },
  { named: "SHA-512", parameters: pss(`${NIST_HASH}03`), hash: "sha512" },
])("certificateHash() hashes RSASSA-PSS that names $named with $hash", ({ parameters, hash }) => {
  const certificate = certificateWith(identifier(`${RSA}0a`), parameters);
  assert.deepEqual(certificateHash(certificate), digest(hash, certificate));
});

Deno.test("certificateHash() knows no hash it has not heard of", () => {
  assert.equal(certificateHash(certificateWith(identifier("2a0304"))), undefined);
  assert.equal(certificateHash(certificateWith(identifier(`${RSA}0a`), pss("2a0304"))), undefined);
});

Deno.test("certificateHash() gives undefined or a hash for whatever bytes", () => {
  fc.assert(fc.property(fc.uint8Array({ maxLength: 64 }), (certificate) => {
    assert.equal(certificateHash(certificate), undefined);
  }));
});

Deno.test("certificateHash() of every truncation is undefined", async () => {
  const certificate = await certificateSignedWith("ecdsa-p256");
  for (let length = 0; length < certificate.length; length++) {
    assert.equal(certificateHash(certificate.subarray(0, length)), undefined);
  }
});

async function certificateSignedWith(algorithm: CertificateAlgorithm): Promise<Uint8Array> {
  const authority = await createAuthority("test authority", algorithm);
  const { certificatePem } = await authority.issueForLoopback();
  return Uint8Array.fromBase64(certificatePem.replaceAll(/-----[A-Z ]+-----|\s/g, ""));
}

/** Just enough of a certificate: a tbsCertificate, a signature algorithm, a signature. */
function certificateWith(...algorithm: readonly Uint8Array[]): Uint8Array {
  return element(0x30, element(0x30), element(0x30, ...algorithm), element(0x03, bytes(0)));
}

function pss(hashOid: string): Uint8Array {
  return element(0x30, element(0xa0, element(0x30, identifier(hashOid))));
}

function identifier(hex: string): Uint8Array {
  return element(0x06, Uint8Array.fromHex(hex));
}

function element(tag: number, ...content: readonly Uint8Array[]): Uint8Array {
  const joined = bytes(...content);
  return bytes(tag, joined.length, joined);
}

function digest(hash: string, data: Uint8Array): Uint8Array {
  return new Uint8Array(createHash(hash).update(data).digest());
}
