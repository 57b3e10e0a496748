// In: names and lifetimes. Out: certificates and keys in PEM, signed by a private authority that lives as long as the test.
// Chapter: the ground that the tests of TLS stand on. Nothing here is good for anything but tests and the demo.

import "reflect-metadata"; // @peculiar/x509 refuses to load without it
import * as x509 from "@peculiar/x509";

const DAY_MS = 86_400_000;

/** Key and signature algorithms by their everyday names. */
export type CertificateAlgorithm = "ecdsa-p256" | "ecdsa-p384" | "rsa-2048" | "ed25519";

/** What a leaf certificate says. */
export interface CertificateRequest {
  /** For a client certificate this is the PostgreSQL role, as `hba`'s method `cert` reads it. */
  readonly commonName: string;
  readonly usage?: "server" | "client";
  readonly dnsNames?: readonly string[];
  readonly ipAddresses?: readonly string[];
  readonly notBefore?: Date;
  readonly notAfter?: Date;
  readonly algorithm?: CertificateAlgorithm;
}

/** A certificate with its private key, both PEM; the key is PKCS#8. */
export interface IssuedCertificate {
  readonly certificatePem: string;
  readonly keyPem: string;
}

/** A private certificate authority. */
export interface Authority {
  readonly certificatePem: string;
  issue(request: CertificateRequest): Promise<IssuedCertificate>;
  /** A certificate for `localhost`, 127.0.0.1 and ::1: what nearly every test wants. */
  issueForLoopback(): Promise<IssuedCertificate>;
  /** A subordinate authority, for chains of more than one link. */
  issueAuthority(name: string): Promise<Authority>;
}

/** Makes a self-signed authority whose lifetime is wide enough to hold expired and future leaves. */
export async function createAuthority(
  name: string,
  algorithm: CertificateAlgorithm = "ecdsa-p256",
): Promise<Authority> {
  const keys = await generateKeys(algorithm);
  const certificate = await x509.X509CertificateGenerator.createSelfSigned({
    name: distinguishedName(name),
    keys,
    signingAlgorithm: signatureAlgorithm(algorithm),
    notBefore: daysFromNow(-3650),
    notAfter: daysFromNow(3650),
    extensions: await authorityExtensions(keys.publicKey),
  });
  return authority({ certificate, keys, algorithm });
}

interface Signer {
  readonly certificate: x509.X509Certificate;
  readonly keys: CryptoKeyPair;
  readonly algorithm: CertificateAlgorithm;
}

function authority(signer: Signer): Authority {
  const issue = (request: CertificateRequest) => issueLeaf(signer, request);
  return {
    certificatePem: pem(signer.certificate),
    issue,
    issueForLoopback: () =>
      issue({ commonName: "localhost", dnsNames: ["localhost"], ipAddresses: ["127.0.0.1", "::1"] }),
    issueAuthority: (name) => issueSubordinate(signer, name),
  };
}

async function issueLeaf(signer: Signer, request: CertificateRequest): Promise<IssuedCertificate> {
  const keys = await generateKeys(request.algorithm ?? "ecdsa-p256");
  const names: x509.JsonGeneralNames = [
    ...(request.dnsNames ?? []).map((value) => ({ type: "dns" as const, value })),
    ...(request.ipAddresses ?? []).map((value) => ({ type: "ip" as const, value })),
  ];
  const usage = request.usage === "client"
    ? x509.ExtendedKeyUsage.clientAuth
    : x509.ExtendedKeyUsage.serverAuth;
  const certificate = await x509.X509CertificateGenerator.create({
    subject: distinguishedName(request.commonName),
    issuer: signer.certificate.subject,
    publicKey: keys.publicKey,
    signingKey: signer.keys.privateKey,
    signingAlgorithm: signatureAlgorithm(signer.algorithm),
    notBefore: request.notBefore ?? daysFromNow(-1),
    notAfter: request.notAfter ?? daysFromNow(30),
    extensions: [
      new x509.BasicConstraintsExtension(false, undefined, true),
      new x509.KeyUsagesExtension(x509.KeyUsageFlags.digitalSignature, true),
      new x509.ExtendedKeyUsageExtension([usage]),
      ...(names.length > 0 ? [new x509.SubjectAlternativeNameExtension(names)] : []),
      await x509.SubjectKeyIdentifierExtension.create(keys.publicKey),
      await x509.AuthorityKeyIdentifierExtension.create(signer.keys.publicKey),
    ],
  });
  const pkcs8 = await crypto.subtle.exportKey("pkcs8", keys.privateKey);
  return {
    certificatePem: pem(certificate),
    keyPem: x509.PemConverter.encode(pkcs8, x509.PemConverter.PrivateKeyTag) + "\n",
  };
}

async function issueSubordinate(signer: Signer, name: string): Promise<Authority> {
  const keys = await generateKeys(signer.algorithm);
  const certificate = await x509.X509CertificateGenerator.create({
    subject: distinguishedName(name),
    issuer: signer.certificate.subject,
    publicKey: keys.publicKey,
    signingKey: signer.keys.privateKey,
    signingAlgorithm: signatureAlgorithm(signer.algorithm),
    notBefore: daysFromNow(-3650),
    notAfter: daysFromNow(3650),
    extensions: [
      ...await authorityExtensions(keys.publicKey),
      await x509.AuthorityKeyIdentifierExtension.create(signer.keys.publicKey),
    ],
  });
  return authority({ certificate, keys, algorithm: signer.algorithm });
}

async function authorityExtensions(publicKey: CryptoKey): Promise<x509.Extension[]> {
  return [
    new x509.BasicConstraintsExtension(true, undefined, true),
    new x509.KeyUsagesExtension(x509.KeyUsageFlags.keyCertSign | x509.KeyUsageFlags.cRLSign, true),
    await x509.SubjectKeyIdentifierExtension.create(publicKey),
  ];
}

async function generateKeys(algorithm: CertificateAlgorithm): Promise<CryptoKeyPair> {
  return await crypto.subtle.generateKey(keyAlgorithm(algorithm), true, ["sign", "verify"]) as CryptoKeyPair;
}

function keyAlgorithm(algorithm: CertificateAlgorithm): EcKeyGenParams | RsaHashedKeyGenParams | Algorithm {
  switch (algorithm) {
    case "ecdsa-p256":
      return { name: "ECDSA", namedCurve: "P-256" };
    case "ecdsa-p384":
      return { name: "ECDSA", namedCurve: "P-384" };
    case "rsa-2048":
      return {
        name: "RSASSA-PKCS1-v1_5",
        modulusLength: 2048,
        publicExponent: new Uint8Array([1, 0, 1]),
        hash: "SHA-256",
      };
    case "ed25519":
      return { name: "Ed25519" };
  }
}

/** The signature's hash is what `tls-server-end-point` channel binding hashes the certificate with (RFC 5929 4.1). */
function signatureAlgorithm(algorithm: CertificateAlgorithm): EcdsaParams | Algorithm {
  switch (algorithm) {
    case "ecdsa-p256":
      return { name: "ECDSA", hash: "SHA-256" };
    case "ecdsa-p384":
      return { name: "ECDSA", hash: "SHA-384" };
    case "rsa-2048":
      return { name: "RSASSA-PKCS1-v1_5" };
    case "ed25519":
      return { name: "Ed25519" };
  }
}

function distinguishedName(commonName: string): x509.JsonName {
  return [{ CN: [commonName] }];
}

function daysFromNow(days: number): Date {
  return new Date(Date.now() + days * DAY_MS);
}

function pem(certificate: x509.X509Certificate): string {
  return certificate.toString("pem") + "\n";
}
