import type { Dialogue } from "../dialogue.ts";
import { PgError } from "../errors.ts";
import { SQLSTATE } from "../sqlstate.ts";
import type { Authentication } from "../wire/authentication.ts";
import { cleartextPassword } from "./cleartext_password.ts";
import type { Login } from "./login.ts";
import { md5Password } from "./md5_password.ts";
import { noPassword } from "./no_password.ts";
import { oauthbearer } from "./oauthbearer.ts";
import { scramSha256 } from "./scram_sha_256.ts";

/** One way to log in to a backend. */
export interface LoginMethod<Request extends Authentication = Authentication> {
  /** The authentication request that begins it. */
  readonly asked: Request["kind"];
  /** Of AuthenticationSASL, which begins several: the mechanisms that are this one's. */
  readonly mechanisms?: readonly string[];
  /** Why the configuration, or the connection, does not let us go along; undefined when it does. */
  refusal(request: Request, login: Login): string | undefined;
  /** The exchange, up to and including AuthenticationOk. */
  speak(request: Request, login: Login): Dialogue<void>;
}

/** The ways to log in; whatever else a backend may ask for (GSSAPI, SSPI) is refused. */
const LOGIN_METHODS: readonly LoginMethod[] = [
  noPassword,
  cleartextPassword,
  md5Password,
  scramSha256,
  oauthbearer,
];

/**
 * Answers the backend's first authentication request. The backend chooses the method, and it could choose the one that
 * gives our password away: nothing is sent before `require_auth` and `channel_binding` have been held against it.
 *
 * @throws {PgError} 08001 when the method is not one of ours, or not one that is allowed
 */
export function* authenticate(request: Authentication, login: Login): Dialogue<void> {
  const { backend } = login.credentials;
  const refusals: string[] = [];
  for (const method of methodsAsked(request)) {
    const refusal = method.refusal(request, login);
    if (refusal === undefined) return yield* method.speak(request, login);
    refusals.push(refusal);
  }
  throw notAllowed(backend, refusals.join("; ") || `it asked for ${describe(request)}`);
}

/** The methods that a request asks for; of SASL in the backend's order, which as in libpq chooses among those allowed. */
function methodsAsked(request: Authentication): Iterable<LoginMethod> {
  const methods = LOGIN_METHODS.filter(({ asked }) => asked === request.kind);
  if (request.kind !== "AuthenticationSASL") return methods;
  return new Set(
    request.mechanisms.flatMap((name) => methods.filter(({ mechanisms }) => mechanisms?.includes(name))),
  );
}

function describe(request: Authentication): string {
  if (request.kind === "AuthenticationSASL") return "SASL by no mechanism that is spoken here";
  if (request.kind !== "AuthenticationUnsupported") return request.kind;
  const names: Record<number, string> = { 2: "Kerberos V5", 7: "GSSAPI", 9: "SSPI" };
  return `${names[request.code] ?? `authentication request ${request.code}`}, which is not spoken here`;
}

function notAllowed(backend: string, reason: string): PgError {
  return new PgError(
    SQLSTATE.sqlclientUnableToEstablishSqlconnection,
    `backend "${backend}" asked for a login method that is not allowed`,
    { blame: "backend", reason },
  );
}
