// In: what a certificate is to say, however wrong. Out: certificates in DER, to be believed or not.
// Chapter: chains that no careful authority would make; those that one does are in certificates.ts.

import "reflect-metadata"; // @peculiar/x509 refuses to load without it
import * as x509 from "@peculiar/x509";

const DAY_MS = 86_400_000;

/** What an odd certificate says; what is left out is as a careful authority has it. */
export interface OddRequest {
  /** Also the key by which the same name is told from another of that name. */
  readonly name: string;
  /** Default: its own. */
  readonly issuer?: OddCertificate;
  readonly isAuthority?: boolean;
  readonly pathLength?: number;
  /** Leaves out basic constraints and key usage. */
  readonly isBare?: boolean;
  readonly keyUsage?: x509.KeyUsageFlags;
  /** Dotted object identifiers. */
  readonly extendedKeyUsage?: readonly string[];
  readonly notBefore?: Date;
  readonly notAfter?: Date;
  readonly hash?: "SHA-1" | "SHA-256" | "SHA-384";
  readonly extensions?: readonly x509.Extension[];
  /** The key of another certificate, instead of a fresh one. */
  readonly keys?: CryptoKeyPair;
}

/** A certificate, and what is needed to issue others by it. */
export interface OddCertificate {
  readonly certificate: x509.X509Certificate;
  readonly keys: CryptoKeyPair;
  readonly der: Uint8Array;
  readonly pem: string;
}

/** Issues a certificate that says what it is told to. */
export async function oddCertificate(request: OddRequest): Promise<OddCertificate> {
  const { name, issuer, isAuthority = false, hash = "SHA-256" } = request;
  const keys = request.keys ?? await generateKeys();
  const usage = request.keyUsage ??
    (isAuthority ? x509.KeyUsageFlags.keyCertSign : x509.KeyUsageFlags.digitalSignature);
  const careful = [
    new x509.BasicConstraintsExtension(isAuthority, request.pathLength, true),
    new x509.KeyUsagesExtension(usage, true),
  ];
  const certificate = await x509.X509CertificateGenerator.create({
    subject: `CN=${name}`,
    issuer: issuer?.certificate.subject ?? `CN=${name}`,
    publicKey: keys.publicKey,
    signingKey: issuer?.keys.privateKey ?? keys.privateKey,
    signingAlgorithm: { name: "ECDSA", hash },
    notBefore: request.notBefore ?? new Date(Date.now() - DAY_MS),
    notAfter: request.notAfter ?? new Date(Date.now() + DAY_MS),
    extensions: [
      ...(request.isBare ? [] : careful),
      ...(request.extendedKeyUsage === undefined
        ? []
        : [new x509.ExtendedKeyUsageExtension([...request.extendedKeyUsage])]),
      ...(request.extensions ?? []),
    ],
  });
  return {
    certificate,
    keys,
    der: new Uint8Array(certificate.rawData),
    pem: certificate.toString("pem"),
  };
}

/** An extension that means nothing here: name constraints, unless told otherwise. */
export function oddExtension({ identifier = "2.5.29.30", isCritical = true } = {}): x509.Extension {
  return new x509.Extension(identifier, isCritical, Uint8Array.of(0x30, 0));
}

async function generateKeys(): Promise<CryptoKeyPair> {
  return await crypto.subtle.generateKey({ name: "ECDSA", namedCurve: "P-256" }, true, ["sign", "verify"]);
}
