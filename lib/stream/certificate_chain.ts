import { X509Certificate } from "node:crypto";
import { readExtensions } from "./certificate_extensions.ts";

/** What a chain is looked for among, and when. */
export interface ChainOptions {
  /** What the peer sent with its certificate, in DER: a hint, and nothing more. */
  readonly intermediates: readonly Uint8Array[];
  /** Those that are trusted. One of them is good as it is, too, authority or not. */
  readonly authorities: readonly X509Certificate[];
  /** Milliseconds since 1970. */
  readonly nowMs: number;
}

/** More than this is nobody's chain, and would have us check signatures for a stranger. */
const MAX_INTERMEDIATES = 8;

/**
 * A chain of that length has a signature less. One check of RSA with 4096 bits takes a millisecond that everybody waits for,
 * and certificates of one name could have us try each pair of them.
 */
const MAX_SIGNATURES = MAX_INTERMEDIATES + 2;

/** The extended key usage id-kp-clientAuth. */
const CLIENT_AUTHENTICATION = "1.3.6.1.5.5.7.3.2";

/** Hashes that nobody can forge a signature over: MD5 and SHA-1 are not among them. */
const STRONG_SIGNATURE = /SHA(256|384|512)|^ED25519$/i;

/**
 * Why a client's certificate cannot be traced to an authority that is trusted, as a sentence for the log; null when it can.
 *
 * Every connection asks this, one that resumes a TLS session too. What `node:tls` has to say cannot be relied on: Deno 2.9
 * calls whatever certificate a session was resumed with `authorized`, the one it had refused in the session's first
 * handshake included. That the client has the certificate's key, TLS itself has made sure of.
 *
 * Names count for nothing here, so that name constraints and the like are not applied: a certificate they are critical
 * in is refused.
 *
 * @see RFC 5280 section 6.1
 */
export function mistrustOf(
  certificate: Uint8Array,
  { intermediates, authorities, nowMs }: ChainOptions,
): string | null {
  if (intermediates.length > MAX_INTERMEDIATES) {
    return `The client has sent more than ${MAX_INTERMEDIATES} intermediate certificates`;
  }
  try {
    const leaf = new X509Certificate(certificate);
    const flaw = flawOf(leaf, nowMs);
    if (flaw !== null) return `The client's certificate ${flaw}`;
    const between = intermediates.map((der) => new X509Certificate(der))
      .filter((one) => flawOf(one, nowMs) === null);
    if (leadsToOneOf(authorities, { leaf, between, nowMs })) return null;
    return "The client's certificate is of no authority in client_ca";
  } catch {
    // The parser's words may quote what a stranger has written.
    return "The client's certificate, or one sent with it, cannot be read";
  }
}

/** What is wrong with a certificate by itself, below the authorities; null when nothing is. */
function flawOf(certificate: X509Certificate, nowMs: number): string | null {
  if (nowMs < certificate.validFromDate.getTime()) return "is not valid yet";
  if (nowMs > certificate.validToDate.getTime()) return "has expired";
  const { extendedKeyUsage, hasUnknownCritical } = readExtensions(certificate.raw);
  if (hasUnknownCritical) return "has a critical extension that is not understood here";
  // An authority that is there for servers alone makes no clients, whatever it writes into their certificates.
  if (extendedKeyUsage?.includes(CLIENT_AUTHENTICATION) === false) return "is not one for clients";
  return null;
}

/**
 * Climbs from the leaf to whoever may have issued it, each certificate once, however a hostile client has made them sign
 * one another: trying every path would let it choose how long that takes.
 */
function leadsToOneOf(
  authorities: readonly X509Certificate[],
  { leaf, between, nowMs }: {
    readonly leaf: X509Certificate;
    readonly between: readonly X509Certificate[];
    readonly nowMs: number;
  },
): boolean {
  const trusted = authorities.filter((one) => isInForce(one, nowMs));
  let unseen = between;
  let level: readonly X509Certificate[] = [leaf];
  let signaturesLeft = MAX_SIGNATURES;
  const isSigned = (subject: X509Certificate, issuer: X509Certificate) =>
    signaturesLeft-- > 0 && subject.verify(issuer.publicKey);
  for (let below = 0; level.length > 0; below++) {
    const isReached = (one: X509Certificate) =>
      level.some((subject) => mayHaveIssued(one, { subject, below }) && isSigned(subject, one));
    if (level.some((one) => trusted.some((other) => one.raw.equals(other.raw)))) return true;
    if (trusted.some(isReached)) return true;
    level = unseen.filter(isReached);
    unseen = unseen.filter((one) => !level.includes(one));
  }
  return false;
}

function isInForce({ validFromDate, validToDate }: X509Certificate, nowMs: number): boolean {
  return nowMs >= validFromDate.getTime() && nowMs <= validToDate.getTime();
}

/** Whether `issuer` may issue certificates, with so many authorities below it, and this one says that it has. */
function mayHaveIssued(
  issuer: X509Certificate,
  { subject, below }: { readonly subject: X509Certificate; readonly below: number },
): boolean {
  // checkIssued() compares names and looks whether the key usage, if there is one, allows to sign certificates.
  if (!issuer.ca || !subject.checkIssued(issuer)) return false;
  const { pathLength = Infinity } = readExtensions(issuer.raw);
  return pathLength >= below && STRONG_SIGNATURE.test(signatureAlgorithm(subject));
}

/** Which the types of `node:crypto` do not know yet. */
function signatureAlgorithm(certificate: X509Certificate): string {
  return (certificate as { readonly signatureAlgorithm?: string }).signatureAlgorithm ?? "";
}
