import { createPrivateKey, X509Certificate } from "node:crypto";
import { createSecureContext, type SecureContext, type SecureVersion } from "node:tls";

/** By what the proxy shows itself to clients: a certificate with its chain, and the key that belongs to it. */
export interface ServerCertificate {
  readonly secureContext: SecureContext;
  readonly certificate: X509Certificate;
}

/** What a {@link ServerCertificate} is made of. */
export interface ServerCertificateSource {
  /** PEM: the certificate first, its chain behind. */
  readonly certificatePem: string;
  /** PEM: PKCS#8, PKCS#1 or SEC1, without a passphrase. */
  readonly privateKeyPem: string;
  readonly minimumTlsVersion: SecureVersion;
}

/**
 * Makes sure that certificate and key are readable and belong together.
 *
 * @throws {Error} with a sentence that says which of the two is wrong
 */
export function createServerCertificate(source: ServerCertificateSource): ServerCertificate {
  const certificate = readable("certificate", () => new X509Certificate(source.certificatePem));
  const privateKey = readable("private_key", () => createPrivateKey(source.privateKeyPem));
  if (!certificate.checkPrivateKey(privateKey)) {
    throw new Error("private_key does not belong to certificate");
  }
  const secureContext = createSecureContext({
    cert: source.certificatePem,
    key: source.privateKeyPem,
    minVersion: source.minimumTlsVersion,
  });
  return { secureContext, certificate };
}

function readable<T>(what: string, parse: () => T): T {
  try {
    return parse();
  } catch (cause) {
    throw new Error(`${what} is not readable PEM`, { cause });
  }
}
