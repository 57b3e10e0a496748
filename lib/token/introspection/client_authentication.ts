import { type CryptoKey, SignJWT } from "jose";
import type { Secret } from "../../secret.ts";
import type { Algorithm } from "../algorithms.ts";

/** Who the proxy is to an issuer, and what proves it. */
export type ClientCredentials =
  & { readonly clientId: string }
  & (
    | { readonly method: "client_secret_basic" | "client_secret_post"; readonly secret: Secret }
    | {
      readonly method: "private_key_jwt";
      readonly key: CryptoKey;
      readonly algorithm: Algorithm;
      readonly keyId?: string;
    }
    | ({ readonly method: "tls_client_auth" } & ClientCertificate)
  );

/** What is shown in TLS. */
export interface ClientCertificate {
  /** PEM, the leaf first. */
  readonly certificates: string;
  /** PEM. */
  readonly privateKey: Secret;
}

/** What a request carries so that the issuer knows who asks. */
export interface ClientAuthentication {
  readonly headers: Readonly<Record<string, string>>;
  readonly form: Readonly<Record<string, string>>;
}

/** Seconds that an assertion is good for: it is made for one request. */
const ASSERTION_LIFETIME_SECONDS = 60;

/**
 * Says who the proxy is, for one request.
 *
 * @see RFC 6749 section 2.3.1, RFC 7523 section 2.2, RFC 8705 section 2.1
 */
export async function authenticateClient(
  credentials: ClientCredentials,
  { iss, nowMs }: { readonly iss: string; readonly nowMs: number },
): Promise<ClientAuthentication> {
  const { clientId } = credentials;
  switch (credentials.method) {
    case "client_secret_basic": {
      // Encoded before they are joined: either may hold a colon.
      const pair = [clientId, credentials.secret.reveal()].map(formEncode).join(":");
      return { headers: { authorization: `Basic ${btoa(pair)}` }, form: {} };
    }
    case "client_secret_post":
      return { headers: {}, form: { client_id: clientId, client_secret: credentials.secret.reveal() } };
    case "private_key_jwt": {
      const { algorithm, keyId, key } = credentials;
      const nowSeconds = Math.floor(nowMs / 1000);
      const assertion = await new SignJWT({ jti: crypto.randomUUID() })
        .setProtectedHeader({ alg: algorithm, ...(keyId !== undefined && { kid: keyId }) })
        .setIssuer(clientId)
        .setSubject(clientId)
        // The issuer and not the endpoint: an endpoint that is somebody else's could use the assertion elsewhere (CVE-2025-27370).
        .setAudience(iss)
        .setIssuedAt(nowSeconds)
        .setExpirationTime(nowSeconds + ASSERTION_LIFETIME_SECONDS)
        .sign(key);
      return {
        headers: {},
        form: {
          client_assertion_type: "urn:ietf:params:oauth:client-assertion-type:jwt-bearer",
          client_assertion: assertion,
        },
      };
    }
    case "tls_client_auth":
      return { headers: {}, form: { client_id: clientId } };
  }
}

/** As application/x-www-form-urlencoded has it. */
function formEncode(value: string): string {
  return new URLSearchParams({ "": value }).toString().slice(1);
}
