import { PgError } from "../errors.ts";
import { Secret } from "../secret.ts";
import { SQLSTATE } from "../sqlstate.ts";
import { parseConnectionUri, TargetError } from "./connection_uri.ts";
import { type Host, parseHosts } from "./host.ts";
import { QueryKeys } from "./query_keys.ts";

export { TargetError } from "./connection_uri.ts";
export type { Host } from "./host.ts";

const SSLMODES = ["disable", "require", "verify-ca", "verify-full"] as const;
const SSLNEGOTIATIONS = ["postgres", "direct"] as const;
const TARGET_SESSION_ATTRS = [
  "any",
  "read-write",
  "read-only",
  "primary",
  "standby",
  "prefer-standby",
] as const;

/** How a backend is spoken to inside TLS, if at all; libpq's words. */
export type Sslmode = typeof SSLMODES[number];

/** Which of a backend's hosts will do; libpq's words. */
export type TargetSessionAttrs = typeof TARGET_SESSION_ATTRS[number];

/**
 * Where a backend is and how it is logged in to: its URL, parsed once.
 *
 * `user`, `database` and the values of `parameters` may hold captures of the identity (`\1`) until
 * {@link withIdentity} has filled them in; nothing else ever does.
 */
export interface Target {
  /** Tried in this order; at least one. */
  readonly hosts: readonly Host[];
  readonly user?: string;
  readonly database?: string;
  readonly password?: Secret;
  readonly sslmode: Sslmode;
  /** Path of the certificates trusted; `"system"` or undefined: those the machine trusts. */
  readonly sslrootcert?: string;
  /** Paths of the certificate shown to the backend and its key: both or neither. */
  readonly sslcert?: string;
  readonly sslkey?: string;
  readonly sslnegotiation: typeof SSLNEGOTIATIONS[number];
  readonly connectTimeoutMs: number;
  readonly targetSessionAttrs: TargetSessionAttrs;
  /** Startup parameters written in the URL. */
  readonly parameters: ReadonlyMap<string, string>;
}

/** Gives `text` with its captures filled in, each of them passed through `encode`. */
export type Fill = (text: string, encode: (captured: string) => string) => string;

const DEFAULT_CONNECT_TIMEOUT_S = 10;
const MAX_CONNECT_TIMEOUT_S = 600;
const STARTUP_PARAMETERS = ["application_name", "client_encoding", "options"];

/** PostgreSQL cuts a longer name off (NAMEDATALEN - 1), and what is left may be somebody else's. */
const MAX_NAME_BYTES = 63;

/**
 * Parses a backend's URL with libpq's meanings, but nothing is ever taken from the environment, a service file or
 * ~/.pgpass, and TLS is verify-full where nothing is written.
 *
 * @throws {TargetError} when it cannot be used
 * @see https://www.postgresql.org/docs/18/libpq-connect.html#LIBPQ-CONNSTRING-URIS
 */
export function parseTarget(url: string): Target {
  const uri = parseConnectionUri(url);
  const query = new QueryKeys(uri.query);
  const target: Target = {
    hosts: parseHosts(uri.hosts, uri.ports),
    user: uri.user || undefined,
    database: uri.database || undefined,
    password: uri.password ? new Secret(uri.password) : undefined,
    ...tlsSettings(query),
    connectTimeoutMs: connectTimeout(query.text("connect_timeout")),
    targetSessionAttrs: query.oneOf("target_session_attrs", { words: TARGET_SESSION_ATTRS }) ?? "any",
    parameters: query.all(STARTUP_PARAMETERS),
  };
  query.end();
  return target;
}

/**
 * `target` with its captures filled in. It is values that are filled in, after the URL was parsed: whatever a capture
 * holds, `@host/` or `?sslmode=disable`, it stays one name or one value.
 *
 * @throws {PgError} 28000 when a name comes out empty or too long, or a value cannot be sent
 */
export function withIdentity(target: Target, fill: Fill): Target {
  const name = (text: string) => nameFrom(fill(text, asItIs));
  const value = (key: string, text: string) => valueFrom(fill(text, key === "options" ? oneWord : asItIs));
  return {
    ...target,
    user: target.user === undefined ? undefined : name(target.user),
    database: target.database === undefined ? undefined : name(target.database),
    parameters: new Map([...target.parameters].map(([key, text]) => [key, value(key, text)])),
  };
}

function tlsSettings(query: QueryKeys) {
  const sslrootcert = query.text("sslrootcert");
  const written = query.oneOf("sslmode", {
    words: SSLMODES,
    refused: ["allow", "prefer"],
    because: "may go on in plain text",
  }) ?? "verify-full";
  if (sslrootcert === "system" && written !== "verify-full") {
    throw new TargetError("sslrootcert=system needs sslmode=verify-full: anyone can get a certificate there");
  }
  // As libpq's documentation has it: certificates to trust make `require` as strict as `verify-ca`.
  const sslmode = written === "require" && sslrootcert !== undefined ? "verify-ca" : written;
  const sslcert = query.text("sslcert");
  const sslkey = query.text("sslkey");
  if ((sslcert === undefined) !== (sslkey === undefined)) {
    throw new TargetError("sslcert and sslkey must be given together");
  }
  const sslnegotiation = query.oneOf("sslnegotiation", { words: SSLNEGOTIATIONS }) ?? "postgres";
  if (sslnegotiation === "direct" && sslmode === "disable") {
    throw new TargetError("sslnegotiation=direct contradicts sslmode=disable");
  }
  return { sslmode, sslrootcert, sslcert, sslkey, sslnegotiation };
}

function connectTimeout(text: string | undefined): number {
  if (text === undefined) return DEFAULT_CONNECT_TIMEOUT_S * 1000;
  const seconds = /^[0-9]{1,4}$/.test(text) ? Number(text) : 0;
  if (seconds >= 1 && seconds <= MAX_CONNECT_TIMEOUT_S) return seconds * 1000;
  throw new TargetError(`connect_timeout must be 1 to ${MAX_CONNECT_TIMEOUT_S} seconds`);
}

function nameFrom(filled: string): string {
  const length = new TextEncoder().encode(filled).length;
  if (length >= 1 && length <= MAX_NAME_BYTES) return valueFrom(filled);
  throw unfit(`a user or database of the backend's URL came out ${length} bytes long`);
}

/** A zero byte would end the value on the wire and begin the next parameter; half a surrogate pair has no UTF-8. */
function valueFrom(filled: string): string {
  if (!filled.includes("\0") && filled.isWellFormed()) return filled;
  throw unfit("a value of the backend's URL came out with a zero byte or half a surrogate pair");
}

function unfit(reason: string): PgError {
  const message = "the identity cannot be a name at the backend";
  return new PgError(SQLSTATE.invalidAuthorizationSpecification, message, { reason });
}

function asItIs(captured: string): string {
  return captured;
}

/** The server splits `options` at spaces: a capture that held ` -c role=postgres` would be an option of its own. */
function oneWord(captured: string): string {
  return captured.replaceAll(/[\s\\]/g, "\\$&");
}
