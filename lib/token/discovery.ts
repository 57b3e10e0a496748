import { printable } from "../printable.ts";
import { DocumentUnavailable, fetchDocument, type FetchOptions } from "./fetch_document.ts";
import type { IssuerSettings } from "./schema.ts";

const WELL_KNOWN_PATH = "/.well-known/openid-configuration";

/** What is said of a foreign document is cut, and escaped so that it cannot break a log line. */
const MAX_QUOTED = 200;

type DiscoveredIssuer = IssuerSettings & { readonly url: string };

/**
 * Asks the issuer where its key set is.
 *
 * @throws {DocumentUnavailable} when the document cannot be had, is another issuer's, or names another host
 * @see OpenID Connect Discovery 1.0 section 4
 */
export async function discoverKeySetUrl(issuer: DiscoveredIssuer, options: FetchOptions): Promise<URL> {
  const document = await discover(issuer, options);
  return urlOf(document.jwks_uri, {
    issuer,
    hosts: issuer.jwks_hosts,
    words: {
      name: "jwks_uri",
      isMissing: "set jwks_url and issuer",
      isElsewhere: (host) =>
        `a key set on another host; if that is right add jwks_hosts = [${host}] to the issuer`,
    },
  });
}

/**
 * Asks the issuer where it answers questions about tokens.
 *
 * @throws {DocumentUnavailable} when the document cannot be had, is another issuer's, or names none or another host
 * @see RFC 8414 section 2, RFC 8705 section 5
 */
export async function discoverIntrospectionEndpoint(
  issuer: DiscoveredIssuer,
  options: FetchOptions & { readonly showsCertificate: boolean },
): Promise<URL> {
  const document = await discover(issuer, options);
  const aliases = document.mtls_endpoint_aliases as { readonly introspection_endpoint?: unknown } | undefined;
  const alias = options.showsCertificate ? aliases?.introspection_endpoint : undefined;
  return urlOf(alias ?? document.introspection_endpoint, {
    issuer,
    words: {
      name: "introspection_endpoint",
      isMissing: "set endpoint in introspection",
      // Tokens and our secret are sent there: only the configuration may say so.
      isElsewhere: () =>
        "an introspection_endpoint on another host; if that is right set endpoint in introspection",
    },
  });
}

async function discover(issuer: DiscoveredIssuer, options: FetchOptions): Promise<Record<string, unknown>> {
  const documentUrl = new URL(issuer.url.replace(/\/$/, "") + WELL_KNOWN_PATH);
  const document = await fetchDocument(documentUrl, options);
  // Byte for byte, or one tenant of a shared host could speak for another (T6).
  if (document.issuer === issuer.url) return document;
  throw new DocumentUnavailable(
    `${documentUrl} is the document of issuer ${quote(document.issuer)}, not of "${issuer.url}";` +
      " url must be exactly that, the last slash included",
  );
}

/** What is said of a URL of the document that cannot be used. */
interface Words {
  readonly name: string;
  readonly isMissing: string;
  readonly isElsewhere: (host: string) => string;
}

/** The issuer's own host is trusted, others only by name: Google's key set, for one, is on www.googleapis.com. */
function urlOf(
  value: unknown,
  { issuer: { url, insecure_http }, hosts = [], words }: {
    readonly issuer: DiscoveredIssuer;
    readonly hosts?: readonly string[];
    readonly words: Words;
  },
): URL {
  const found = typeof value === "string" ? URL.parse(value) : null;
  const document = `The discovery document of "${url}"`;
  if (found === null) {
    throw new DocumentUnavailable(`${document} has no usable ${words.name}; ${words.isMissing}`);
  }
  if (found.protocol !== "https:" && !insecure_http) {
    throw new DocumentUnavailable(`${document} names ${a(words.name)} that is not https`);
  }
  if (found.host === new URL(url).host || hosts.includes(found.host)) return found;
  throw new DocumentUnavailable(`${document} names ${words.isElsewhere(quote(found.host))}`);
}

function a(noun: string): string {
  return `${/^[aeiou]/.test(noun) ? "an" : "a"} ${noun}`;
}

function quote(value: unknown): string {
  return typeof value === "string" ? `"${printable(value, MAX_QUOTED)}"` : "without a name";
}
