import { createHash } from "node:crypto";
import { exportSPKI, generateKeyPair, SignJWT } from "jose";
import type { IssuedCertificate } from "../support/certificates.ts";

/** The issuer whose tokens are signed, and the one that is asked about those that are not. */
export const ISSUERS = { signed: "https://signed.bench", opaque: "https://opaque.bench" } as const;

/** For whom the tokens are, and whose. */
export const AUDIENCE = "pg-auth-proxy";
export const BEARER = "bench";

/** Whoever makes the tokens of a measure; all good for two hours, and no two alike. */
export interface TokenHouse extends AsyncDisposable {
  readonly publicKeyPem: string;
  /** Where it says that every opaque token is good. */
  readonly introspectionUrl: string;
  /** Signed with ES256; bound to a certificate where one is given. */
  signedToken(certificate?: IssuedCertificate): Promise<string>;
  opaqueToken(): string;
}

const OPAQUE = "opaque-";
const LIFETIME_S = 7200;

/** Opens one on loopback. */
export async function openTokenHouse(): Promise<TokenHouse> {
  const { privateKey, publicKey } = await generateKeyPair("ES256", { extractable: true });
  const server = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen: () => {} }, introspect);
  return {
    publicKeyPem: await exportSPKI(publicKey),
    introspectionUrl: `http://127.0.0.1:${server.addr.port}/introspect`,
    opaqueToken: () => OPAQUE + crypto.randomUUID(),
    signedToken: (certificate) =>
      new SignJWT({
        iss: ISSUERS.signed,
        aud: AUDIENCE,
        sub: BEARER,
        jti: crypto.randomUUID(),
        ...(certificate && { cnf: { "x5t#S256": thumbprint(certificate) } }),
      })
        .setProtectedHeader({ alg: "ES256", typ: "at+jwt" })
        .setIssuedAt()
        .setExpirationTime(`${LIFETIME_S}s`)
        .sign(privateKey),
    [Symbol.asyncDispose]: () => server.shutdown(),
  };
}

async function introspect(request: Request): Promise<Response> {
  const token = new URLSearchParams(await request.text()).get("token");
  // The proxy tries at its start whether a token that nobody has issued is called good.
  if (!token?.startsWith(OPAQUE)) return Response.json({ active: false });
  const exp = Math.floor(Date.now() / 1000) + LIFETIME_S;
  return Response.json({ active: true, iss: ISSUERS.opaque, aud: AUDIENCE, sub: BEARER, exp });
}

function thumbprint({ certificatePem }: IssuedCertificate): string {
  const der = Uint8Array.fromBase64(certificatePem.replaceAll(/-----[A-Z ]+-----|\s/g, ""));
  return createHash("sha256").update(der).digest("base64url");
}
