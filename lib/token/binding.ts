import { createHash, timingSafeEqual } from "node:crypto";
import { TokenRefused } from "./refused_token.ts";
import type { IssuerSettings } from "./schema.ts";
import type { VerifiedToken } from "./verified_token.ts";

/**
 * Holds a token that is bound to a key against the certificate its bearer has shown in TLS.
 *
 * Only `x5t#S256` can be proven here: a DPoP proof (`jkt`) has no place in a login, and whoever has stolen such a token
 * would present it just the same.
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
  const shown = createHash("sha256").update(certificate).digest();
  if (thumbprint.length === shown.length && timingSafeEqual(thumbprint, shown)) return;
  throw new TokenRefused("bound", "The token is bound to another certificate than the client's");
}

function thumbprintOf(cnf: unknown): Uint8Array {
  if (typeof cnf !== "object" || cnf === null || Array.isArray(cnf)) {
    throw new TokenRefused("bound", "The token's cnf is not an object");
  }
  const names = Object.keys(cnf);
  if (names.length !== 1 || names[0] !== "x5t#S256") {
    throw new TokenRefused("bound", "The token is bound by cnf to something other than a certificate");
  }
  const written = (cnf as Record<string, unknown>)["x5t#S256"];
  try {
    return Uint8Array.fromBase64(written as string, { alphabet: "base64url" });
  } catch {
    throw new TokenRefused("bound", "The token's x5t#S256 is not base64url");
  }
}
