import { DocumentUnavailable, nameOf } from "../fetch_document.ts";
import { TokenRefused } from "../refused_token.ts";
import { parseStrictJsonObject } from "../strict_json.ts";

/** Words by which an issuer says that it does not know the proxy, or does not let it ask. */
const REFUSAL_OF_CLIENT = /client|^access_denied$/;

/** Statuses that speak about the token or about us, not of an outage. */
const TELLING_STATUSES = [400, 401, 403, 413, 422];

/** Whether a status other than success speaks about the token or about us. */
export function isTelling(status: number): boolean {
  return TELLING_STATUSES.includes(status);
}

/** The issuer does not take the proxy's word for who it is. */
export class ProxyRefused extends DocumentUnavailable {}

/** Of a status that means either us or the token. A bad token must not count as an outage: anyone can send one. */
export function refusalOf(
  { status, body, url }: { readonly status: number; readonly body: Uint8Array; readonly url: URL },
): ProxyRefused | TokenRefused {
  const error = errorOf(body);
  const says = error === undefined ? `status ${status}` : `status ${status}, ${error}`;
  if (status === 401 || status === 403 || REFUSAL_OF_CLIENT.test(error ?? "")) {
    return new ProxyRefused(
      `${nameOf(url)} refused the proxy's credentials (${says}); compare them with the client at the issuer`,
    );
  }
  return new TokenRefused("inactive", `The issuer does not speak about such a token (${says})`);
}

/**
 * The word that says what is wrong; nothing longer, which could hold the token.
 *
 * @see RFC 6749 section 5.2
 */
function errorOf(body: Uint8Array): string | undefined {
  try {
    const { error } = parseStrictJsonObject(body);
    return typeof error === "string" && /^[a-z_]{1,40}$/.test(error) ? error : undefined;
  } catch {
    return undefined;
  }
}
