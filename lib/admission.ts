import { decide, fill, type Granted } from "./authorize/decide.ts";
import { describe } from "./authorize/trail.ts";
import type { BackendAccess, BackendLogin } from "./backend_link.ts";
import { startupParameters } from "./connect/startup_parameters.ts";
import { withIdentity } from "./connect/target.ts";
import { PgError } from "./errors.ts";
import { printable } from "./printable.ts";
import type { Secret } from "./secret.ts";
import type { SessionSettings } from "./session_settings.ts";
import { SQLSTATE } from "./sqlstate.ts";
import type { SessionRequest } from "./startup/session_request.ts";
import type { PeerAddress } from "./stream/byte_stream.ts";
import { TokenRefused } from "./token/refused_token.ts";
import type { VerifiedToken } from "./token/verified_token.ts";
import type { ProtocolVersion } from "./wire/startup_packet.ts";

/** Who a client has proved to be, and what that lets it do. */
export interface Admission {
  readonly token: VerifiedToken;
  readonly decision: Granted;
}

/**
 * Is the token good, and may its bearer in? Whatever is wrong, the client reads the same refusal: a guess learns nothing.
 *
 * @throws {PgError} 28P01 with the reason for the log
 */
export async function admit(
  presented: Secret,
  { request, settings }: { readonly request: SessionRequest; readonly settings: SessionSettings },
): Promise<Admission> {
  const token = await verify(presented, { request, settings });
  const { user, database, replication } = request;
  const decision = decide(settings.policy, { token, user, database, replication: replication !== null });
  if (decision.outcome === "granted") return { token, decision };
  const who = `${token.subject ?? "a token without sub"} of ${token.issuer}`;
  throw denied(request, { reason: `no rule lets in ${who}: ${decision.trail.map(describe).join("; ")}` });
}

/** How an admitted client is logged in: the backend with the identity filled in, and what is asked of it. */
export function backendLoginOf(
  { decision }: Admission,
  { request, protocolVersion, access, client }: {
    readonly request: SessionRequest;
    readonly protocolVersion: ProtocolVersion;
    readonly access: BackendAccess;
    readonly client: PeerAddress;
  },
): BackendLogin {
  // The role is the decision's; what the URL has in its place need not even make a name.
  const target = withIdentity(
    { ...access.target, user: undefined },
    (text, encode) => fill(decision, { text, encode }),
  );
  const parameters = startupParameters({
    backend: access.name,
    target,
    clientParameters: request.settings,
    clientDatabase: decision.database,
    replication: request.replication ?? undefined,
    backendParameters: access.parameters,
    loginAs: decision.role,
    clientAddress: access.reportsRemoteAddress ? client : undefined,
  });
  return { access, target, startup: { protocolVersion, parameters } };
}

async function verify(
  presented: Secret,
  { request, settings }: { readonly request: SessionRequest; readonly settings: SessionSettings },
): Promise<VerifiedToken> {
  try {
    return await settings.verifyToken(presented.reveal());
  } catch (error) {
    if (!(error instanceof TokenRefused)) throw error;
    const blame = error.fault === "keys_unavailable" ? "issuer" : "frontend";
    throw denied(request, { reason: `${error.fault}: ${error.message}`, blame });
  }
}

function denied(
  { user }: SessionRequest,
  options: { reason: string; blame?: "frontend" | "issuer" },
): PgError {
  return new PgError(
    SQLSTATE.invalidPassword,
    `token authentication failed for user "${printable(user)}"`,
    options,
  );
}
