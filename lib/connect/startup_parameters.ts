import { formatAddress } from "../address.ts";
import { PgError } from "../errors.ts";
import { SQLSTATE } from "../sqlstate.ts";
import { fillSetting, type SessionFacts, type Setting } from "./setting.ts";
import type { Target } from "./target.ts";

/** What the StartupMessage to a backend is put together from. */
export interface StartupSources {
  /** The backend's name in the configuration, for messages. */
  readonly backend: string;
  readonly target: Target;
  /** Run-time parameters the client asked for and may set, by lower-case name. */
  readonly clientParameters: ReadonlyMap<string, string>;
  readonly clientDatabase?: string;
  /** The client's `replication`, where the rule lets one in. */
  readonly replication?: string;
  /** The backend's `set`. */
  readonly set: ReadonlyMap<string, Setting>;
  /** What `set` may tell of the session. */
  readonly facts: SessionFacts;
  /** The role a rule names, in place of the URL's user. */
  readonly loginAs?: string;
  /** Where the client comes from, when the backend is to be told (`report_remote_addr`). */
  readonly clientAddress?: { readonly address: string; readonly port: number };
}

const REMOTE_ADDRESS = "crdb:remote_addr";

/** A server takes no longer StartupMessage, and says so in words that help nobody (MAX_STARTUP_PACKET_LENGTH). */
const MAX_STARTUP_BYTES = 10_000;

/**
 * The parameters of the StartupMessage to a backend, in the order sent: `user`, `database`, `replication`, what the
 * client asked for, the URL's, the backend's own, the client's address. A name that comes twice has the later value, so
 * nothing a client sends overrides what is configured; the role is never the client's word.
 *
 * @throws {PgError} 08001 when neither a rule nor the URL names a role; 28000 when what `set` tells cannot be sent
 */
export function startupParameters(sources: StartupSources): Map<string, string> {
  const { backend, target, set, facts, replication, clientAddress } = sources;
  const user = sources.loginAs ?? target.user;
  if (user === undefined) throw noRole(backend);
  const settings = [...set].map(([name, setting]) => [name, fillSetting(name, setting, facts)] as const);
  const configured = new Map([...target.parameters, ...settings]);
  const parameters = new Map([["user", user]]);
  const database = target.database ?? sources.clientDatabase;
  if (database !== undefined) parameters.set("database", database);
  if (replication !== undefined) parameters.set("replication", replication);
  const taken = takenNames(configured);
  for (const [name, value] of sources.clientParameters) {
    if (!taken.has(name.toLowerCase())) parameters.set(name, value);
  }
  for (const [name, value] of configured) parameters.set(name, value);
  if (clientAddress !== undefined) {
    parameters.set(REMOTE_ADDRESS, formatAddress(clientAddress.address, clientAddress.port));
  }
  if (startupBytes(parameters) > MAX_STARTUP_BYTES) throw tooLong(backend);
  return parameters;
}

/** Of the message without its length: the protocol version, pairs of terminated texts, and the terminator. */
function startupBytes(parameters: ReadonlyMap<string, string>): number {
  const encoder = new TextEncoder();
  const texts = [...parameters].flat();
  return 4 + texts.reduce((sum, text) => sum + encoder.encode(text).length + 1, 0) + 1;
}

/**
 * Names a client cannot set, in lower case: PostgreSQL does not tell `Search_Path` from `search_path`, and applies
 * `options` before the parameters sent by name, whatever their order.
 */
function takenNames(configured: ReadonlyMap<string, string>): Set<string> {
  const taken = new Set(["user", "database", "replication", "options", REMOTE_ADDRESS]);
  for (const name of configured.keys()) taken.add(name.toLowerCase());
  // A word is `-c`, `name=value`, `-cname=value` or `--name=value`; PostgreSQL reads a dash in the name as an underscore.
  for (const word of configured.get("options")?.split(/\s+/) ?? []) {
    const setting = /^(?:-c|--)?([^=]+)=/.exec(word);
    if (setting !== null) taken.add(setting[1].toLowerCase().replaceAll("-", "_"));
  }
  return taken;
}

function tooLong(backend: string): PgError {
  const reason =
    `the startup message for backend "${backend}" would be longer than ${MAX_STARTUP_BYTES} bytes`;
  return new PgError(SQLSTATE.invalidAuthorizationSpecification, "login refused", { reason });
}

function noRole(backend: string): PgError {
  return new PgError(
    SQLSTATE.sqlclientUnableToEstablishSqlconnection,
    `the proxy cannot log in to backend "${backend}"`,
    { blame: "operator", reason: "neither the rule's login_as nor the backend's URL names a role" },
  );
}
