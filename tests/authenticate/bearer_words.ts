// In: what a client says in SASL OAUTHBEARER. Out: its bytes, and those of the answers a PostgreSQL gives.
// Chapter: RFC 7628 section 3, by hand: nothing of it comes from lib/.

import {
  authentication,
  concat,
  cString,
  saslInitialResponse,
  saslResponse,
  text,
} from "../support/raw_messages.ts";

/** AuthenticationSASL (B), with the one mechanism there is. */
export const OFFER = authentication(10, concat(cString("OAUTHBEARER"), Uint8Array.of(0)));

/** AuthenticationSASLContinue (B) without data: it asks for the initial response. */
export const EMPTY_CHALLENGE = authentication(11);

/** What a client answers a challenge with. */
export const HEARD = saslResponse(Uint8Array.of(1));

/** The initial response of a client with a token. */
export const bearer = (token: string) => `n,,\x01auth=Bearer ${token}\x01\x01`;

/** The initial response of a client that asks where tokens come from. */
export const DISCOVERY = "n,,\x01auth=\x01\x01";

/** SASLInitialResponse (F) with this data. */
export function initial(data: string | Uint8Array): Uint8Array {
  return saslInitialResponse("OAUTHBEARER", typeof data === "string" ? text(data) : data);
}

/** AuthenticationSASLContinue (B) with the words for a client that needs a token. */
export function challenged(configuration: string, scope: string): Uint8Array {
  return authentication(
    11,
    text(`{"status":"invalid_token","openid-configuration":"${configuration}","scope":"${scope}"}`),
  );
}
