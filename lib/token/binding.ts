import { createHash, timingSafeEqual } from "node:crypto";
import { TokenRefused } from "./refused_token.ts";
import type { IssuerSettings } from "./schema.ts";
import type { VerifiedToken } from "./verified_token.ts";

/** SHA-256 in base64url, without padding. */
const THUMBPRINT = /^[A-Za-z0-9_-]{43}$/;

/**
 * Holds a token that is bound to a key against the certificate its bearer has shown in TLS.
 *
 * Only `x5t#S256` can be proven here: a DPoP proof (`jkt`) has no place in a login, and whoever has stolen such a token
 * would present it just the same. A binding beside it that is not understood is one that nobody would hold anyone to.
 *
 * @throws {TokenRefused} bound when the binding is another, or the certificate is; unbound when there must be one
 * @see RFC 8705 section 3.1, RFC 7800 section 3.1
 */
export function checkBinding(
  { claims }: VerifiedToken,
  { settings, certificate }: {
    readonly settings: Pick<IssuerSettings, "require_binding">;
    /** DER; null when none was shown. */
    readonly certificate: Uint8Array | null;
  },
): void {
  if (!Object.hasOwn(claims, "cnf")) {
    if (!settings.require_binding) return;
    throw new TokenRefused("unbound", "The token is not bound to a certificate, as require_binding asks");
  }
  const thumbprint = thumbprintOf(claims.cnf);
  if (certificate === null) {
    throw new TokenRefused("bound", "The token is bound to a certificate, and the client has shown none");
  }
  if (timingSafeEqual(bytesOf(thumbprint), bytesOf(x5tS256(certificate)))) return;
  throw new TokenRefused("bound", "The token is bound to another certificate than the client's");
}

/** The thumbprint of a certificate in DER, as `x5t#S256` has it: always 43 characters. */
function x5tS256(certificate: Uint8Array): string {
  return createHash("sha256").update(certificate).digest("base64url");
}

function thumbprintOf(cnf: unknown): string {
  if (typeof cnf !== "object" || cnf === null || Array.isArray(cnf)) {
    throw new TokenRefused("bound", "The token's cnf is not an object");
  }
  const members = Object.entries(cnf);
  if (members.length !== 1 || members[0][0] !== "x5t#S256") {
    throw new TokenRefused("bound", "The token is bound by cnf to something other than a certificate");
  }
  const [[, thumbprint]] = members;
  if (typeof thumbprint === "string" && THUMBPRINT.test(thumbprint)) return thumbprint;
  throw new TokenRefused("bound", "The token's x5t#S256 is not a SHA-256 in base64url");
}

function bytesOf(text: string): Uint8Array {
  return new TextEncoder().encode(text);
}
