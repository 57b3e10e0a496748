import { Buffer } from "node:buffer";
import { isB64token } from "../b64token.ts";
import { PgError, protocolViolation } from "../errors.ts";
import { Secret } from "../secret.ts";
import { SQLSTATE } from "../sqlstate.ts";

/** What a client says in its initial response. */
export type BearerResponse =
  | { readonly kind: "token"; readonly token: Secret }
  /** It has none and asks where to get one. */
  | { readonly kind: "discovery" }
  /** Something that is no bearer token; `reason` is for the log, and quotes nothing of it. */
  | { readonly kind: "malformed token"; readonly reason: string };

/** Separates keys with values from each other; alone, the answer to a challenge. */
const KVSEP = "\x01";

/**
 * Reads a client's initial response.
 *
 * What is wrong with the message is told as PostgreSQL tells it. What is wrong with the token in it is no protocol
 * violation: the client is told where to get a better one.
 *
 * @throws {PgError} 08P01 when the message is malformed, 0A000 when it has an authorization identity
 * @see https://www.rfc-editor.org/rfc/rfc7628#section-3.1
 */
export function parseBearerResponse(data: Uint8Array): BearerResponse {
  const message = textOf(data);
  const auth = authOf(afterGs2Header(message));
  return auth === "" ? { kind: "discovery" } : parseCredentials(auth);
}

/**
 * Holds that the client has answered the challenge in the one way there is.
 *
 * @throws {PgError} 08P01 when it has not
 * @see https://www.rfc-editor.org/rfc/rfc7628#section-3.2.3
 */
export function expectChallengeAnswer(data: Uint8Array): void {
  if (textOf(data) !== KVSEP) throw malformed("Client did not send a kvsep response.");
}

/** One character for each byte. */
function textOf(data: Uint8Array): string {
  if (data.length === 0) throw malformed("The message is empty.");
  // To PostgreSQL it would end there, and the rest be hidden from all checks.
  if (data.includes(0)) throw malformed("Message length does not match input length.");
  return Buffer.from(data.buffer, data.byteOffset, data.byteLength).toString("latin1");
}

/** What follows `n,,` and the separator. */
function afterGs2Header(message: string): string {
  const [flag, comma, authorizationIdentity, separator] = message;
  switch (flag) {
    case "n":
    case "y":
      break;
    case "p":
      throw malformed(
        "The server does not support channel binding for OAuth, but the client message includes channel binding data.",
      );
    default:
      throw malformed(`Unexpected channel-binding flag "${shown(flag)}".`);
  }
  if (comma !== ",") throw malformed(`Comma expected, but found character "${shown(comma)}".`);
  if (authorizationIdentity === "a") {
    throw new PgError(
      SQLSTATE.featureNotSupported,
      "client uses authorization identity, but it is not supported",
    );
  }
  if (authorizationIdentity !== ",") {
    throw malformed(`Unexpected attribute "${shown(authorizationIdentity)}" in client-first-message.`);
  }
  if (separator !== KVSEP) {
    throw malformed(`Key-value separator expected, but found character "${shown(separator)}".`);
  }
  return message.slice("n,,".length + KVSEP.length);
}

/** The value of the key `auth`, of all that stand there; those nobody knows are ignored. */
function authOf(pairs: string): string {
  let auth: string | undefined;
  let start = 0;
  for (;;) {
    if (start === pairs.length) throw malformed("Message did not contain a final terminator.");
    const end = pairs.indexOf(KVSEP, start);
    if (end < 0) throw malformed("Message contains an unterminated key/value pair.");
    if (end === start) break;
    const [key, value] = keyAndValue(pairs.slice(start, end));
    if (key === "auth") {
      if (auth !== undefined) throw malformed("Message contains multiple auth values.");
      auth = value;
    }
    start = end + 1;
  }
  if (auth === undefined) throw malformed("Message does not contain an auth value.");
  if (start + 1 < pairs.length) {
    throw malformed("Message contains additional data after the final terminator.");
  }
  return auth;
}

function keyAndValue(pair: string): readonly [string, string] {
  const equals = pair.indexOf("=");
  if (equals < 0) throw malformed("Message contains a key without a value.");
  const key = pair.slice(0, equals);
  const value = pair.slice(equals + 1);
  if (key === "") throw malformed("Message contains an empty key name.");
  if (!/^[A-Za-z]+$/.test(key)) throw malformed("Message contains an invalid key name.");
  if (!/^[\x21-\x7e \t\r\n]*$/.test(value)) throw malformed("Message contains an invalid value.");
  return [key, value];
}

function parseCredentials(auth: string): BearerResponse {
  if (!/^bearer /i.test(auth)) {
    return { kind: "malformed token", reason: "the client's authentication scheme is not Bearer" };
  }
  const token = auth.slice("Bearer ".length).replace(/^ +/, "");
  if (token === "") return { kind: "malformed token", reason: "the bearer token is empty" };
  if (!isB64token(token)) {
    return { kind: "malformed token", reason: "the bearer token has characters that none may have" };
  }
  return { kind: "token", token: new Secret(token) };
}

/** A character as PostgreSQL shows it; at the end of the message it finds a zero byte. */
function shown(character: string | undefined): string {
  const byte = (character ?? "\0").charCodeAt(0);
  return byte >= 0x21 && byte <= 0x7e ? `'${character}'` : `0x${byte.toString(16).padStart(2, "0")}`;
}

function malformed(detail: string): PgError {
  return protocolViolation("malformed OAUTHBEARER message", { detail });
}
