import { type Dialogue, question, receive, send } from "../dialogue.ts";
import { PgError, type PgErrorOptions, protocolViolation } from "../errors.ts";
import { printable } from "../printable.ts";
import { SQLSTATE } from "../sqlstate.ts";
import { type Authentication, authentication } from "../wire/authentication.ts";
import { MessageTooLong } from "../wire/framing.ts";
import { saslInitialResponse, saslResponse } from "../wire/frontend.ts";
import { encodeMessage } from "../wire/message.ts";
import { encodeChallenge } from "./challenge.ts";
import type { Authenticating, Judge } from "./methods.ts";
import { type BearerResponse, expectChallengeAnswer, parseBearerResponse } from "./oauthbearer_message.ts";

/** Asks whether this client may be told once more where tokens come from. Answered by PgError 53300 when it may not. */
export const mayDiscover = question<void, void>("may discover");

/** Tells that what came as a token cannot be one: no judge sees it, but it is a login that fails like any other. */
export const presentedNoToken = question<void, void>("presented no token");

/**
 * The client has asked where to get a token, and was told. As RFC 7628 has it that is a login that fails; it is what every
 * login by this way in begins with.
 */
export class DiscoveryAnswered extends PgError {}

const MECHANISM = "OAUTHBEARER";

/** What a token that no judge gets to see is refused for. */
const NO_TOKEN = "not_a_token";

/**
 * The client presents its token by SASL OAUTHBEARER, as PostgreSQL 18 speaks it.
 *
 * There is no AuthenticationSASLFinal: libpq gives up at one. A client whose token is no good is told where to get
 * another, and must say that it has heard before it is refused.
 *
 * @throws {DiscoveryAnswered} 28000 when the client asked where to get a token
 * @throws {PgError} 28000 when `judge` refuses the token, it is none, or the message is too long
 * @throws {PgError} 08P01 when the client breaks the protocol, 0A000 when it wants to act for somebody else
 * @see https://www.rfc-editor.org/rfc/rfc7628
 */
export function* oauthbearer<Who>(judge: Judge<Who>, about: Authenticating): Dialogue<Who> {
  yield* say({ kind: "AuthenticationSASL", mechanisms: [MECHANISM] });
  const response = yield* receiveBearerResponse(about);
  switch (response.kind) {
    case "discovery":
      yield* mayDiscover();
      return yield* challenge(about, new DiscoveryAnswered(...failure(about)));
    case "malformed token":
      yield* presentedNoToken();
      return yield* challenge(
        about,
        new PgError(...failure(about, { reason: response.reason, fault: NO_TOKEN })),
      );
    case "token": {
      const verdict = yield* judge(response.token);
      if (verdict.kind === "accepted") return verdict.who;
      const { reason, fault, blame } = verdict;
      return yield* challenge(about, new PgError(...failure(about, { reason, fault, blame })));
    }
  }
}

function* receiveBearerResponse(about: Authenticating): Dialogue<BearerResponse> {
  try {
    const { mechanism, data } = yield* receive(saslInitialResponse);
    if (mechanism !== MECHANISM) {
      throw protocolViolation("client selected an invalid SASL authentication mechanism");
    }
    if (data !== null) return parseBearerResponse(data);
    yield* say({ kind: "AuthenticationSASLContinue", data: new Uint8Array() });
    return parseBearerResponse((yield* receive(saslResponse)).data);
  } catch (error) {
    if (!(error instanceof MessageTooLong)) throw error;
    // PostgreSQL calls it a failed login, where it holds any other message to the protocol.
    throw new PgError(...failure(about, { reason: error.message, fault: "too_long" }));
  }
}

/** Tells the client where to get a token, and refuses it once it has heard. */
function* challenge(about: Authenticating, refusal: PgError): Dialogue<never> {
  if (about.challenge === undefined) throw new Error("a way in by OAUTHBEARER has no challenge");
  yield* say({ kind: "AuthenticationSASLContinue", data: encodeChallenge(about.challenge) });
  try {
    expectChallengeAnswer((yield* receive(saslResponse)).data);
  } catch (error) {
    throw error instanceof PgError ? endAfterChallenge(error, refusal) : error;
  }
  throw refusal;
}

/** What a login ends with whose client has not answered the challenge as it must. */
function endAfterChallenge(error: PgError, refusal: PgError): PgError {
  // pgx leaves without an answer: it has been told all the same.
  if (error.sqlstate === SQLSTATE.connectionFailure || error instanceof MessageTooLong) return refusal;
  // Whatever a client does then, the log says why its token was refused: no guess is made unseen.
  const { sqlstate, message, detail, hint, blame, cause, reason = refusal.reason, fault = refusal.fault } =
    error;
  return new PgError(sqlstate, message, { detail, hint, blame, cause, reason, fault });
}

/** Whatever is wrong, the client reads the same: a guess learns nothing (T16). */
function failure(
  { user }: Authenticating,
  options: PgErrorOptions = {},
): ConstructorParameters<typeof PgError> {
  return [
    SQLSTATE.invalidAuthorizationSpecification,
    `OAuth bearer authentication failed for user "${printable(user)}"`,
    options,
  ];
}

function* say(message: Authentication): Dialogue<void> {
  yield* send(encodeMessage(authentication, message));
}
