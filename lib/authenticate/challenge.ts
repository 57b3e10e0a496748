/** Where a client gets its token. */
export interface Challenge {
  /** The issuer's URL, byte for byte as the client must have it. */
  readonly issuer: string;
  /** The scope to ask for, of one or several words. */
  readonly scope: string;
}

/** libpq refuses an authentication request over 2000 bytes; length and code take 8 of them. */
export const MAX_CHALLENGE_BYTES = 1992;

/**
 * What a client without a good token is told.
 *
 * The status is always `invalid_token`: libpq gives up at any other.
 *
 * @see https://www.rfc-editor.org/rfc/rfc7628#section-3.2.2
 */
export function encodeChallenge({ issuer, scope }: Challenge): Uint8Array {
  // libpq cuts this suffix off again and compares the rest with its oauth_issuer, and that with the discovery
  // document's issuer, byte by byte: a slash at the issuer's end has to stay, even where it makes two.
  const configuration = `${issuer}/.well-known/openid-configuration`;
  const members = { status: "invalid_token", "openid-configuration": configuration, scope };
  return new TextEncoder().encode(JSON.stringify(members));
}
