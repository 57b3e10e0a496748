import { printable } from "../printable.ts";
import { DocumentUnavailable, fetchDocument, type FetchOptions } from "./fetch_document.ts";
import type { IssuerSettings } from "./schema.ts";

const WELL_KNOWN_PATH = "/.well-known/openid-configuration";

/** What is said of a foreign document is cut, and escaped so that it cannot break a log line. */
const MAX_QUOTED = 200;

/**
 * Asks the issuer where its key set is.
 *
 * @throws {DocumentUnavailable} when the document cannot be had, is another issuer's, or names another host
 * @see OpenID Connect Discovery 1.0 section 4
 */
export async function discoverKeySetUrl(
  issuer: IssuerSettings & { url: string },
  options: FetchOptions,
): Promise<URL> {
  const documentUrl = new URL(issuer.url.replace(/\/$/, "") + WELL_KNOWN_PATH);
  const document = await fetchDocument(documentUrl, options);
  // Byte for byte, or one tenant of a shared host could speak for another (T6).
  if (document.issuer !== issuer.url) {
    throw new DocumentUnavailable(
      `${documentUrl} is the document of issuer ${quote(document.issuer)}, not of "${issuer.url}";` +
        " url must be exactly that, the last slash included",
    );
  }
  return keySetUrl(document.jwks_uri, issuer);
}

/** The issuer's own host is trusted, others only by name: Google's key set, for one, is on www.googleapis.com. */
function keySetUrl(
  jwksUri: unknown,
  { url, jwks_hosts = [], insecure_http }: IssuerSettings & { url: string },
): URL {
  const keySet = typeof jwksUri === "string" ? URL.parse(jwksUri) : null;
  if (keySet === null) {
    throw new DocumentUnavailable(
      `The discovery document of "${url}" has no usable jwks_uri; set jwks_url and issuer`,
    );
  }
  if (keySet.protocol !== "https:" && !insecure_http) {
    throw new DocumentUnavailable(`The discovery document of "${url}" names a jwks_uri that is not https`);
  }
  if (keySet.host !== new URL(url).host && !jwks_hosts.includes(keySet.host)) {
    throw new DocumentUnavailable(
      `The discovery document of "${url}" names a key set on another host;` +
        ` if that is right add jwks_hosts = [${quote(keySet.host)}] to the issuer`,
    );
  }
  return keySet;
}

function quote(value: unknown): string {
  return typeof value === "string" ? `"${printable(value, MAX_QUOTED)}"` : "without a name";
}
