import { X509Certificate } from "node:crypto";
import { PgError } from "../errors.ts";
import { certificatesIn } from "../pem.ts";
import { SQLSTATE } from "../sqlstate.ts";
import type { TlsDetails } from "./byte_stream.ts";
import { mistrustOf } from "./certificate_chain.ts";

/** What a listener asks of its clients' certificates. */
export interface ClientCertificatePolicy {
  /** `client_certificate`. */
  readonly demand: "none" | "request" | "require";
  /**
   * A certificate that is shown must be of one of them. Where there are none and it is only requested, any will do, one
   * that the client has signed itself too.
   */
  readonly authorities: readonly X509Certificate[];
}

/** The policy of a listener; `authorities` is the PEM of `client_ca`, already known to be readable. */
export function clientCertificatePolicy(
  demand: ClientCertificatePolicy["demand"],
  authorities = "",
): ClientCertificatePolicy {
  return { demand, authorities: certificatesIn(authorities).map((block) => new X509Certificate(block)) };
}

/**
 * Holds the certificate that a client has shown in TLS, or not, against what the listener asks for.
 *
 * Without authorities a certificate says nothing but that its key is the client's: enough for a token that is bound to it.
 *
 * @see RFC 8705 section 2
 * @throws {PgError} 28000 when one is required and none shown, or the one shown is of no authority
 */
export function checkClientCertificate(
  { peerCertificate, peerIntermediates }: TlsDetails,
  { policy: { demand, authorities }, nowMs }: {
    readonly policy: ClientCertificatePolicy;
    /** Milliseconds since 1970. */
    readonly nowMs: number;
  },
): void {
  if (peerCertificate === null) {
    if (demand === "require") throw invalid("The client has shown no certificate");
    return;
  }
  if (demand !== "require" && authorities.length === 0) return;
  const mistrust = mistrustOf(peerCertificate, { intermediates: peerIntermediates, authorities, nowMs });
  if (mistrust !== null) throw invalid(mistrust);
}

function invalid(reason: string): PgError {
  return new PgError(
    SQLSTATE.invalidAuthorizationSpecification,
    "connection requires a valid client certificate",
    { hint: "Give the client a certificate and its key, as libpq's sslcert and sslkey.", reason },
  );
}
