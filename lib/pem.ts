/**
 * The certificates of a PEM file, each with its marks; what stands between them is passed over, keys too.
 *
 * @see RFC 7468 section 5
 */
export function certificatesIn(pem: string): readonly string[] {
  return pem.match(/-----BEGIN CERTIFICATE-----[^-]*-----END CERTIFICATE-----/g) ?? [];
}

/** Whether a private key in PEM form takes a passphrase to read: as PKCS #8 has it, or in OpenSSL's older form. */
export function hasPassphrase(pem: string): boolean {
  return /-----BEGIN ENCRYPTED|Proc-Type: 4,ENCRYPTED/.test(pem);
}
