// The room `connect/`: logging in to the backend.
// In: where it is and what we log in with. Out: a backend ready for its first query, and what it said on the way.
// Chapter: https://www.postgresql.org/docs/18/libpq-connect.html#LIBPQ-MULTIPLE-HOSTS
import { type Dialogue, send } from "../dialogue.ts";
import { PgError } from "../errors.ts";
import type { Secret } from "../secret.ts";
import { SQLSTATE } from "../sqlstate.ts";
import { terminate } from "../wire/frontend.ts";
import { encodeMessage } from "../wire/message.ts";
import { backendUnusable, withBackend, withReason } from "./backend_error.ts";
import { certificateHash } from "./certificate_hash.ts";
import { formatHost, type Host, isLocal } from "./host.ts";
import { type AuthWord, type ChannelBinding, type Credentials, Login } from "./login.ts";
import { type LoginResult, resultOf, speakLogin, type Startup } from "./log_in.ts";
import { negotiateTls } from "./negotiate_tls.ts";
import { ConnectTimeout, dial, hangUp, OtherAuthority } from "./questions.ts";
import { unmetAttribute, type WantedAttrs } from "./session_attributes.ts";
import type { Target } from "./target.ts";

/** How {@link reachBackend} logs in. */
export interface Reach {
  /** The backend's name in the configuration, for messages. */
  readonly backend: string;
  /** Its parameters hold the user. */
  readonly startup: Startup;
  readonly requireAuth: readonly AuthWord[];
  readonly channelBinding: ChannelBinding;
  /** The client's own, where `require_auth` lets it be passed on. */
  readonly token?: Secret;
}

/** A backend ready for its first query. */
export interface Reached extends LoginResult {
  /** Which of the hosts it is: where a CancelRequest has to go. */
  readonly host: Host;
  readonly isEncrypted: boolean;
}

/**
 * Reaches the first host of `target` that will do. As with libpq the next one is tried when a host cannot be dialled or
 * takes too long, is starting up or shutting down (57P03), or is not of the kind that target_session_attrs wants; a login
 * that fails is final, because the next host would only be a second guess at the password.
 *
 * @throws {PgError} 08001 when no host could be reached or TLS failed, 57P03 when one was only not ready
 * @throws {PgError} whatever {@link logIn} throws
 */
export function* reachBackend(target: Target, reach: Reach): Dialogue<Reached> {
  const failures: Failure[] = [];
  for (const wanted of passes(target)) {
    for (const host of target.hosts) {
      const attempt = yield* tryHost(host, { target, reach, wanted });
      if (attempt.ok) return attempt.reached;
      failures.push(attempt);
    }
  }
  throw unreachable(reach.backend, failures);
}

function passes({ targetSessionAttrs }: Target): WantedAttrs[] {
  return targetSessionAttrs === "prefer-standby" ? ["standby", "any"] : [targetSessionAttrs];
}

/** Why one host will not do, so that the next is tried. */
interface Failure {
  readonly ok: false;
  /** For the log only. */
  readonly reason: string;
  /** What the host itself said, if it is worth telling the client. */
  readonly error?: PgError;
}

interface Attempt {
  readonly target: Target;
  readonly reach: Reach;
  readonly wanted: WantedAttrs;
}

function* tryHost(
  host: Host,
  { target, reach, wanted }: Attempt,
): Dialogue<Failure | { readonly ok: true; readonly reached: Reached }> {
  const failed = (reason: string, error?: PgError): Failure => ({
    ok: false,
    reason: `${formatHost(host)}: ${reason}`,
    error,
  });
  try {
    yield* dial({ host, timeoutMs: target.connectTimeoutMs });
  } catch (thrown) {
    if (!hasSqlstate(thrown, SQLSTATE.sqlclientUnableToEstablishSqlconnection)) throw thrown;
    return failed(thrown.reason ?? thrown.message);
  }
  try {
    const credentials = yield* prepare(host, { target, reach });
    const login = new Login(credentials, reach.startup.protocolVersion);
    const ready = yield* withBackend(reach.backend, speakLogin(login, reach.startup.parameters));
    const unmet = yield* withBackend(reach.backend, unmetAttribute(login, wanted));
    if (unmet === undefined) {
      const reached = { ...resultOf(login, ready), host, isEncrypted: credentials.isEncrypted };
      return { ok: true, reached };
    }
    yield* leave();
    return failed(unmet);
  } catch (thrown) {
    if (thrown instanceof OtherAuthority) {
      yield* hangUp();
      return yield* tryHost(host, { target, reach, wanted });
    }
    const isNotReady = hasSqlstate(thrown, SQLSTATE.cannotConnectNow) && thrown.blame === "backend";
    if (!isNotReady && !(thrown instanceof ConnectTimeout)) throw atHost(thrown, host);
    yield* hangUp();
    return failed(thrown.reason ?? thrown.message, isNotReady ? thrown : undefined);
  }
}

/** Ends a session that has begun, as PostgreSQL likes it: an end without Terminate is logged as a lost client. */
function* leave(): Dialogue<void> {
  try {
    yield* send(encodeMessage(terminate, { kind: "Terminate" }));
    yield* hangUp();
  } catch (thrown) {
    if (!hasSqlstate(thrown, SQLSTATE.connectionFailure)) throw thrown;
    yield* hangUp(); // it has left before us
  }
}

/** Goes on inside TLS where that is wanted, and tells what the login may count on. */
function* prepare(host: Host, { target, reach }: Omit<Attempt, "wanted">): Dialogue<Credentials> {
  const { backend, requireAuth, channelBinding, startup, token } = reach;
  const { password, sslmode } = target;
  const user = startup.parameters.get("user") ?? "";
  const plain = { backend, user, password, token, requireAuth, channelBinding, isLocal: isLocal(host) };
  // As in libpq there is no TLS on a socket of this machine.
  if (host.kind === "unix" || sslmode === "disable") {
    return { ...plain, isEncrypted: false, isVerified: false, hasClientCertificate: false };
  }
  const isDirect = target.sslnegotiation === "direct";
  const { certificate } = yield* negotiateTls({ backend, serverName: host.host, sslmode, isDirect });
  return {
    ...plain,
    isEncrypted: true,
    isVerified: sslmode === "verify-full",
    certificateHash: certificate && certificateHash(certificate),
    hasClientCertificate: target.sslcert !== undefined,
  };
}

/** The error of a login that is final, its reason saying where it was. */
function atHost(thrown: unknown, host: Host): unknown {
  if (!(thrown instanceof PgError)) return thrown;
  return withReason(thrown, `${formatHost(host)}: ${thrown.reason ?? thrown.message}`);
}

function unreachable(backend: string, failures: readonly Failure[]): PgError {
  const reason = failures.map((failure) => failure.reason).join("; ");
  const said = failures.findLast(({ error }) => error !== undefined)?.error;
  if (said === undefined) return backendUnusable(backend, reason);
  const { sqlstate, message, detail, hint } = said;
  return new PgError(sqlstate, message, { detail, hint, blame: "backend", reason });
}

function hasSqlstate(thrown: unknown, sqlstate: string): thrown is PgError {
  return thrown instanceof PgError && thrown.sqlstate === sqlstate;
}
