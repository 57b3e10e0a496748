import { backendLoginOf } from "../admission.ts";
import type { WayIn } from "../authenticate/schema.ts";
import { chooseWayIn } from "../authenticate/way_in.ts";
import { type Candidate, firstLetIn } from "../authorize/candidates.ts";
import type { Granted } from "../authorize/decide.ts";
import { describe } from "../authorize/trail.ts";
import type { ConfigurationSource } from "../config/load.ts";
import { formatHost } from "../connect/host.ts";
import { PgError } from "../errors.ts";
import type { Secret } from "../secret.ts";
import { TokenRefused } from "../token/refused_token.ts";
import type { TokenEvent } from "../token/token_event.ts";
import type { VerifiedToken } from "../token/verified_token.ts";
import { claimsLookedAt, claimsOfStranger } from "./claims_shown.ts";
import { type Asked, type Asking, askingOf } from "./asking.ts";
import { type Loaded, open } from "./load.ts";
import { quoted, saysAsked, saysGood, saysLifetime, saysWay } from "./explain_words.ts";
import { columns } from "./columns.ts";

/** What `explain` is told: a configuration, a token, and what its bearer asks for from where. */
export interface ExplainOptions extends Asked {
  readonly source: ConfigurationSource;
  readonly token: Secret;
}

/** What became of a token. */
export interface Explanation {
  readonly isGranted: boolean;
  /** For the person who asks: it holds what the token says. */
  readonly text: string;
}

/** A label, and what stands beside it. */
type Line = readonly [label: string, text: string];

/**
 * Says of a token whether it is good, which rule decides and why the others do not, and what its bearer would be where.
 *
 * @throws {ConfigurationError} when the configuration cannot be used
 * @throws {StartError} when what was said of whoever asks cannot be so
 */
export async function explain(options: ExplainOptions): Promise<Explanation> {
  const failures: string[] = [];
  const report = (event: TokenEvent) => {
    if ("problem" in event) failures.push(`${event.issuer}: ${event.problem}`);
  };
  // Of the issuers only the token's own matters, and that one is asked when it comes to that.
  const { configuration, verifier } = await open(options.source, {
    report,
    probe: () => Promise.resolve([]),
  });
  await using _ = verifier;
  const lines: Line[] = [];
  const asking = await askingOf(options, configuration);
  try {
    const isGranted = await explainTo(lines, { configuration, verifier, asking, token: options.token });
    return { isGranted, text: columns(lines) };
  } catch (error) {
    if (!(error instanceof TokenRefused)) throw error;
    lines.push(["token", `refused, ${error.fault}: ${error.message}`]);
    for (const failure of failures) lines.push(["issuer", failure]);
    lines.push(...claimsOfStranger(options.token));
    return { isGranted: false, text: columns(lines) };
  }
}

interface Explaining extends Pick<Loaded, "configuration" | "verifier"> {
  readonly asking: Asking;
  readonly token: Secret;
}

/** @throws {TokenRefused} when the token is not good */
async function explainTo(lines: Line[], explaining: Explaining): Promise<boolean> {
  const { configuration, asking } = explaining;
  const nowMs = Date.now();
  let way = wayOf(explaining, asking);
  let verified = await verify(explaining, way, asking);
  const candidate = firstLetIn(configuration.policy, {
    ...asking,
    token: verified,
    replication: false,
    nowMs,
  });
  const { user, database, decision } = candidate;
  if (asking.user !== user || asking.database !== database) {
    // A way in, or a validator, may judge by them.
    way = wayOf(explaining, candidate);
    verified = await verify(explaining, way, candidate);
  }
  lines.push(
    ["token", saysGood(verified, nowMs)],
    ...claimsLookedAt(configuration.policy.rules, verified),
    ["way in", saysWay(way)],
    ["asked for", saysAsked(candidate, asking)],
    ...decision.trail.map((step): Line => ["rule", describe(step)]),
  );
  const decidedBy = decision.trail.length;
  const unasked = configuration.policy.rules.length - decidedBy;
  if (unasked > 0) lines.push(["rule", `${unasked} more not asked: the first that fits decides`]);
  if (decision.outcome === "refused") {
    lines.push(["outcome", "refused: the client is told no more than that its login failed"]);
    return false;
  }
  return explainLogin(lines, {
    ...explaining,
    token: explaining.token,
    verified,
    candidate,
    decision,
    nowMs,
  });
}

function wayOf(
  { configuration, asking }: Explaining,
  { user = "", database = user }: { readonly user?: string; readonly database?: string },
): WayIn {
  return chooseWayIn(configuration.waysIn, { ...asking, user, database });
}

async function verify(
  { verifier, token, asking }: Explaining,
  way: WayIn,
  { user = "", database = user }: { readonly user?: string; readonly database?: string },
): Promise<VerifiedToken> {
  const { clientAddress, clientCertificate, serverName } = asking;
  return await verifier.verify(token.reveal(), {
    issuer: way.issuer,
    clientCertificate,
    asked: { user, database, clientAddress, serverName: serverName ?? undefined },
  });
}

/** The login at the backend that the decision leads to; a capture may still not fit there. */
function explainLogin(
  lines: Line[],
  { configuration, asking, token, verified, candidate, decision, nowMs }: Explaining & {
    readonly verified: VerifiedToken;
    readonly candidate: Candidate;
    readonly decision: Granted;
    readonly nowMs: number;
  },
): boolean {
  const { user, database } = candidate;
  const access = configuration.backends.get(decision.backend)!;
  const hosts = access.target.hosts.map(formatHost).join(", ");
  lines.push(["backend", `${decision.backend}, at ${hosts}`]);
  try {
    const { startup } = backendLoginOf({ token: verified, decision, presented: token, admittedAtMs: nowMs }, {
      request: { user, database, replication: null, settings: new Map() },
      protocolVersion: { major: 3, minor: 0 },
      access,
      connection: {
        client: { address: asking.clientAddress, port: 0 },
        server: { address: asking.clientAddress, port: 0 },
      },
    });
    for (const [name, value] of startup.parameters) {
      const label = name === "user" ? "role" : name === "database" ? "database" : "set";
      lines.push([label, label === "set" ? `${name} = ${quoted(value)}` : quoted(value)]);
    }
  } catch (error) {
    if (!(error instanceof PgError)) throw error;
    lines.push(["outcome", `refused: ${error.reason ?? error.message}`]);
    return false;
  }
  lines.push(["session", saysLifetime(decision)], ["outcome", "let in"]);
  return true;
}
