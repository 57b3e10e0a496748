import type { Configuration } from "./config/configuration.ts";
import { CannotServe } from "./listening.ts";
import type { SessionSettings } from "./session_settings.ts";
import { clientCertificatePolicy } from "./stream/client_certificate.ts";
import { createServerCertificate, type ServerCertificate } from "./stream/server_certificate.ts";

/**
 * What logins go by, of all that a configuration says.
 *
 * @throws {CannotServe} when the certificate cannot be used
 */
export function settingsOf(
  { listen, startup, policy, backends, waysIn }: Configuration,
  tokens: SessionSettings["tokens"],
): SessionSettings {
  return {
    certificate: serverCertificateOf(listen),
    clientCertificates: clientCertificatePolicy(listen.client_certificate, listen.clientAuthorities),
    allowsPlaintext: listen.insecure_plaintext,
    loginTimeoutMs: listen.login_timeout,
    balancers: listen.proxy_protocol,
    parameters: { allowed: new Set(startup.parameters), dropped: new Set(startup.ignore_parameters) },
    policy,
    backends,
    waysIn,
    tokens,
  };
}

function serverCertificateOf(listen: Configuration["listen"]): ServerCertificate | null {
  if (listen.tls === undefined) return null;
  try {
    return createServerCertificate({
      certificatePem: listen.tls.certificates,
      privateKeyPem: listen.tls.privateKey.reveal(),
      minimumTlsVersion: listen.minimum_tls_version,
    });
  } catch (error) {
    throw new CannotServe(`listen.certificate cannot be used for TLS: ${(error as Error).message}`, {
      cause: error,
    });
  }
}
