import { isB64token } from "../b64token.ts";
import { type Dialogue, send } from "../dialogue.ts";
import { PgError } from "../errors.ts";
import type { Secret } from "../secret.ts";
import { SQLSTATE } from "../sqlstate.ts";
import { type Authentication, authentication, type AuthenticationSasl } from "../wire/authentication.ts";
import { saslInitialResponse, saslResponse } from "../wire/frontend.ts";
import { encodeMessage } from "../wire/message.ts";
import { withBackend, withReason } from "./backend_error.ts";
import type { Credentials, Login } from "./login.ts";
import type { LoginMethod } from "./methods.ts";

const OAUTHBEARER = "OAUTHBEARER";

/** What separates and ends the fields of RFC 7628; sent alone it says that we have read why we are refused. */
const KVSEP = "\x01";

/** The words that have a meaning as a status. Nothing else goes to the log: it could be the token, said again (T17). */
const STATUS = /^[a-z_]{1,40}$/;

/**
 * SASL OAUTHBEARER: the client's own token is passed on, and the backend judges it again, by itself.
 *
 * Whoever holds a bearer token can use it, and nothing in this exchange proves the backend. So it is sent only where
 * `require_auth` names `oauth`, and only to a host whose name TLS has verified, or that is this machine.
 *
 * @see https://www.rfc-editor.org/rfc/rfc7628#section-3
 */
export const oauthbearer: LoginMethod<AuthenticationSasl> = {
  asked: "AuthenticationSASL",
  mechanisms: [OAUTHBEARER],
  refusal(_request, { credentials: { requireAuth, channelBinding, isVerified, isLocal, token } }) {
    if (!requireAuth.includes("oauth")) return "it asked for OAUTHBEARER, which require_auth does not allow";
    if (channelBinding === "require") return "it asked for OAUTHBEARER, and channel_binding is require";
    if (!isVerified && !isLocal) return "it asked for OAUTHBEARER, and TLS has not verified its name";
    return token === undefined ? "it asked for OAUTHBEARER, and there is no token to pass on" : undefined;
  },
  *speak(_request, login) {
    const token = bearerTokenOf(login.credentials);
    const data = bytes(`n,,${KVSEP}auth=Bearer ${token.reveal()}${KVSEP}${KVSEP}`);
    yield* send(
      encodeMessage(saslInitialResponse, { kind: "SASLInitialResponse", mechanism: OAUTHBEARER, data }),
    );

    const answer: Authentication = yield* login.receive(authentication);
    switch (answer.kind) {
      case "AuthenticationOk":
        return;
      case "AuthenticationSASLContinue":
        return yield* refused(statusIn(answer.data), login);
      default:
        // AuthenticationSASLFinal too, as in libpq: OAUTHBEARER has no last word of the server.
        throw login.violation(`it answered the token with ${answer.kind}`);
    }
  },
};

/** Hears the refusal out, as RFC 7628 has it: the SQLSTATE comes in the ErrorResponse that ends the login. */
function* refused(status: string, login: Login): Dialogue<never> {
  yield* send(encodeMessage(saslResponse, { kind: "SASLResponse", data: bytes(KVSEP) }));
  try {
    return yield* withBackend(login.credentials.backend, login.receive<never>());
  } catch (thrown) {
    if (!(thrown instanceof PgError)) throw thrown;
    throw withReason(thrown, `it refused the token with ${status}; ${thrown.reason ?? thrown.message}`);
  }
}

/**
 * The client's token as it may stand in the message: a {@link KVSEP} in it would begin a field of its own.
 *
 * @throws {PgError} 28000 when it has characters that a bearer token cannot have: an opaque one may, as a password
 */
function bearerTokenOf({ backend, token }: Credentials): Secret {
  if (token !== undefined && isB64token(token.reveal())) return token;
  throw new PgError(
    SQLSTATE.invalidAuthorizationSpecification,
    `the token cannot be passed on to backend "${backend}"`,
    { reason: "it has characters that no bearer token may have on the wire" },
  );
}

/** What the JSON of a refusal gives as its `status`, for the log: whatever else it holds is not read. */
function statusIn(data: Uint8Array): string {
  try {
    const { status } = JSON.parse(new TextDecoder().decode(data)) ?? {};
    if (typeof status === "string" && STATUS.test(status)) return `status ${status}`;
  } catch {
    // It is refused all the same: what it is worth is known from the ErrorResponse.
  }
  return "no status that can be read";
}

function bytes(data: string): Uint8Array {
  return new TextEncoder().encode(data);
}
