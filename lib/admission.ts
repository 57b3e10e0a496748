import { createHash } from "node:crypto";
import { plainAddress } from "./address.ts";
import type { Verdict } from "./authenticate/methods.ts";
import { deciding, fill, type Granted } from "./authorize/decide.ts";
import type { Lifetime } from "./authorize/lifetime.ts";
import { describe, labelOf } from "./authorize/trail.ts";
import type { BackendAccess, BackendLogin } from "./backend_link.ts";
import { startupParameters } from "./connect/startup_parameters.ts";
import { type Target, withIdentity } from "./connect/target.ts";
import type { Connected } from "./limits/connections.ts";
import type { Pace } from "./long_work.ts";
import type { Secret } from "./secret.ts";
import type { SessionSettings } from "./session_settings.ts";
import type { SessionRequest } from "./startup/session_request.ts";
import type { ProxiedConnection } from "./stream/proxy_header.ts";
import { TokenRefused } from "./token/refused_token.ts";
import type { VerifiedToken } from "./token/verified_token.ts";
import type { Presented } from "./token_desk.ts";
import type { ProtocolVersion } from "./wire/startup_packet.ts";

/** Who a client has proved to be, and what that lets it do. */
export interface Admission {
  readonly token: VerifiedToken;
  readonly decision: Granted;
  /** The token itself, for a backend that takes it, or for asking its issuer again. */
  readonly presented: Secret;
  /** When it was decided, in milliseconds since 1970. */
  readonly admittedAtMs: number;
}

/** What is kept of an admission as long as its session lasts: what is asked of the rules, and what they said. */
export interface Stay {
  readonly token: VerifiedToken;
  /** The token itself, only where its issuer is to be asked again. */
  readonly presented?: Secret;
  readonly user: string;
  readonly database: string;
  readonly replication: boolean;
  /** IP address it comes from. */
  readonly clientAddress: string;
  readonly granted: Pick<Granted, "backend" | "role" | "database"> & { readonly hosts: Target["hosts"] };
  readonly lifetime: Lifetime;
  /** When it was admitted, in milliseconds since 1970. */
  readonly sinceMs: number;
}

/** What a token is judged by. */
export interface AdmissionOptions {
  readonly request: SessionRequest;
  /** How it was presented. */
  readonly presented: Presented;
  readonly settings: SessionSettings;
  /** IP address the client comes from. */
  readonly clientAddress: string;
  /** In milliseconds since 1970. */
  readonly nowMs: number;
  /** As in {@link SessionHouse}. */
  readonly pace: Pace;
}

/** Is the token good, and may its bearer in? The reason of a refusal is for the log alone. */
export async function admit(
  secret: Secret,
  { request, presented, settings, clientAddress, nowMs, pace }: AdmissionOptions,
): Promise<Verdict<Admission>> {
  let token: VerifiedToken;
  try {
    token = await settings.tokens.verify(secret.reveal(), presented);
  } catch (error) {
    if (!(error instanceof TokenRefused)) throw error;
    const { fault, message, blame } = error;
    return { kind: "refused", reason: `${fault}: ${message}`, fault, blame };
  }
  const { user, database, replication } = request;
  const asked = { user, database, replication: replication !== null, clientAddress, nowMs };
  const decision = await pace(deciding(settings.policy, { token, ...asked }));
  if (decision.outcome === "granted") {
    return { kind: "accepted", who: { token, decision, presented: secret, admittedAtMs: nowMs } };
  }
  const who = decision.recordsIdentity ? token.subject ?? "a token without sub" : "a token";
  const reason = `no rule lets in ${who} of ${token.issuer}: ${decision.trail.map(describe).join("; ")}`;
  const { issuer, subject, tokenId } = token;
  const whose = decision.recordsIdentity ? { issuer, identity: subject, tokenId } : { issuer };
  return { kind: "refused", reason, fault: "no_rule", blame: "frontend", whose };
}

/** What the log is told of an admission. */
export function factsOf({ token, decision }: Admission) {
  const { rule, identity, tokenId, role, backend, database } = decision;
  return { identity, tokenId, issuer: token.issuer, rule: labelOf(rule), role, backend, database };
}

/** What its connection is counted by; where nobody's name is asked for, the token stands for its bearer. */
export function connectedAs(
  { token, decision, presented }: Admission,
  { access, clientAddress: address }: { readonly access: BackendAccess; readonly clientAddress: string },
): Connected {
  const { rule, maxConnections, identity } = decision;
  return {
    address,
    identity: identity ?? createHash("sha256").update(presented.reveal()).digest("base64"),
    issuer: token.issuer,
    rule: { name: labelOf(rule), maxConnections },
    backend: access,
  };
}

/** What is held against the rules, and against time, as long as the session lasts: as little as will do. */
export function stayOf(
  { token, decision, presented, admittedAtMs }: Admission,
  { request, access, clientAddress }: {
    readonly request: SessionRequest;
    readonly access: BackendAccess;
    readonly clientAddress: string;
  },
): Stay {
  const { backend, role, database, lifetime } = decision;
  return {
    token,
    presented: lifetime.reintrospectMs === undefined ? undefined : presented,
    user: request.user,
    database: request.database,
    replication: request.replication !== null,
    clientAddress,
    granted: { backend, role, database, hosts: access.target.hosts },
    lifetime,
    sinceMs: admittedAtMs,
  };
}

/** How an admitted client is logged in: the backend with the identity filled in, and what is asked of it. */
export function backendLoginOf(
  admission: Admission,
  { request, protocolVersion, access, connection }: {
    readonly request: SessionRequest;
    readonly protocolVersion: ProtocolVersion;
    readonly access: BackendAccess;
    readonly connection: ProxiedConnection;
  },
): BackendLogin {
  const { decision, presented } = admission;
  const { client } = connection;
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
    set: access.set,
    facts: { ...sessionFacts(admission), client_address: plainAddress(client.address), user: request.user },
    loginAs: decision.role,
    clientAddress: access.reportsRemoteAddress ? client : undefined,
  });
  // What a backend is not handed it cannot be tricked into giving away.
  const token = access.requireAuth.includes("oauth") ? presented : undefined;
  const proxied = access.sendsProxyHeader ? connection : undefined;
  return { access, target, startup: { protocolVersion, parameters }, token, proxied };
}

function sessionFacts(admission: Admission) {
  const { identity = "", tokenId = "", issuer, rule } = factsOf(admission);
  return { identity, issuer, token_id: tokenId, rule };
}
