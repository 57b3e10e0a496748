import { X509Certificate } from "node:crypto";
import { resolve } from "node:path";
import { backendLoginOf } from "../admission.ts";
import { formatAddress } from "../address.ts";
import type { WayIn } from "../authenticate/schema.ts";
import { chooseWayIn } from "../authenticate/way_in.ts";
import { type Candidate, firstLetIn } from "../authorize/candidates.ts";
import type { Granted } from "../authorize/decide.ts";
import { describe } from "../authorize/trail.ts";
import type { Configuration } from "../config/configuration.ts";
import type { ConfigurationSource } from "../config/load.ts";
import { reasonOf } from "../config/named_file.ts";
import { formatHost } from "../connect/host.ts";
import { formatDuration } from "../duration.ts";
import { PgError } from "../errors.ts";
import { parseIpAddress } from "../network.ts";
import { printable } from "../printable.ts";
import type { Secret } from "../secret.ts";
import { TokenRefused } from "../token/refused_token.ts";
import type { TokenEvent } from "../token/token_event.ts";
import type { VerifiedToken } from "../token/verified_token.ts";
import { claimsLookedAt, claimsOfStranger, timeOf } from "./claims_shown.ts";
import { type Loaded, open, StartError } from "./load.ts";
import { columns } from "./columns.ts";

/** What `explain` is told: a token, and what its bearer asks for from where. */
export interface ExplainOptions {
  readonly source: ConfigurationSource;
  readonly token: Secret;
  /** Without it, the first that a rule lets in. */
  readonly user?: string;
  readonly database?: string;
  /** One of `listen.address`; without it, the first. */
  readonly listener?: string;
  readonly serverName?: string;
  /** IP address; without it, this machine's own. */
  readonly clientAddress?: string;
  /** Path of the certificate that the client shows in TLS. */
  readonly clientCertificate?: string;
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

/** Who asks, with defaults for what was not said. */
interface Asking {
  readonly user?: string;
  readonly database?: string;
  readonly listener: string;
  readonly serverName: string | null;
  readonly clientAddress: string;
  /** DER. */
  readonly clientCertificate: Uint8Array | null;
}

/** @throws {StartError} when what was said cannot be so */
async function askingOf(options: ExplainOptions, { listen }: Configuration): Promise<Asking> {
  const addresses = [listen.address].flat().map(({ host, port }) => formatAddress(host, port));
  const { user, database, listener = addresses[0], serverName = null, clientAddress = "127.0.0.1" } = options;
  if (!addresses.includes(listener)) {
    throw new StartError(`--listener must be one of listen.address: there is ${addresses.join(", ")}`);
  }
  if (parseIpAddress(clientAddress) === undefined) {
    throw new StartError("--client-address must be an IP address");
  }
  const clientCertificate = await readCertificate(options.clientCertificate);
  return { user, database, listener, serverName, clientAddress, clientCertificate };
}

/** The certificate in DER, if there is one. */
async function readCertificate(path: string | undefined): Promise<Uint8Array | null> {
  if (path === undefined) return null;
  const named = `--client-certificate names ${path}`;
  let pem: string;
  try {
    pem = await Deno.readTextFile(path);
  } catch (error) {
    throw new StartError(`${named}, ${reasonOf(error, `--allow-read=${resolve(path)}`)}`);
  }
  try {
    return new X509Certificate(pem).raw;
  } catch {
    throw new StartError(`${named}, which holds no certificate in PEM form`);
  }
}

interface Explaining extends Loaded {
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

function saysGood({ issuer, expiresAtMs, tokenId }: VerifiedToken, nowMs: number): string {
  const id = tokenId === undefined ? "" : `, jti ${quoted(tokenId)}`;
  return `good, of the issuer ${issuer}, expires ${timeOf(expiresAtMs, nowMs)}${id}`;
}

function saysWay({ method, issuer, challenge }: WayIn): string {
  const scope = challenge === undefined ? "" : `, scope "${challenge.scope}"`;
  return `${method}, tokens of ${issuer ?? "any issuer"}${scope}`;
}

function saysAsked({ user, database }: Candidate, asking: Asking): string {
  const chosen = [
    ...(asking.user === undefined ? ["--user"] : []),
    ...(asking.database === undefined ? ["--database"] : []),
  ];
  const isChosen = chosen.length === 0
    ? ""
    : ` (chosen by the rules: give ${chosen.join(" and ")} for another)`;
  return `user ${quoted(user)}, database ${quoted(database)}${isChosen}`;
}

function saysLifetime({ lifetime }: Granted): string {
  const { atExpiry, atRevocation, atReload, maxSessionMs, reintrospectMs } = lifetime;
  return [
    `at_expiry ${atExpiry}`,
    `at_revocation ${atRevocation}`,
    `at_reload ${atReload}`,
    `max_session ${maxSessionMs === undefined ? "none" : formatDuration(maxSessionMs)}`,
    `reintrospect ${reintrospectMs === undefined ? "never" : formatDuration(reintrospectMs)}`,
  ].join(", ");
}

function quoted(value: string): string {
  return `"${printable(value)}"`;
}
