import { PgError } from "../errors.ts";
import { SQLSTATE } from "../sqlstate.ts";
import { parseOptions } from "./options.ts";
import { isProtocolOption } from "./protocol_version.ts";

/** What a client asks for in its StartupMessage, once the allow-list has been held against it. */
export interface SessionRequest {
  readonly user: string;
  /** The user's name when the client named no database, as in PostgreSQL. */
  readonly database: string;
  /** The value of `replication` when it asks for a walsender; `null` for an ordinary session. */
  readonly replication: string | null;
  /** Run-time parameters by lower-case name: those sent as such and those out of `options`. */
  readonly settings: ReadonlyMap<string, string>;
}

/** The run-time parameters a client may set at startup. */
export interface ParameterPolicy {
  /** Lower-case names passed on to the backend. */
  readonly allowed: ReadonlySet<string>;
  /** Lower-case names left out without a word. */
  readonly dropped: ReadonlySet<string>;
}

/** Names with a meaning of their own in a StartupMessage: everything else is a run-time parameter. */
export const OWN_MEANING: ReadonlySet<string> = new Set(["user", "database", "options", "replication"]);

/**
 * Reads a client's startup parameters by the allow-list.
 *
 * Run-time parameters are case-insensitive in PostgreSQL; they leave here in lower case, so that a mapped value cannot be
 * overridden by another spelling of its name. `options` is taken apart and each setting in it held to the same list.
 *
 * @throws {PgError} 28000 when there is no user, or a parameter that is not allowed
 */
export function readSessionRequest(
  parameters: ReadonlyMap<string, string>,
  policy: ParameterPolicy,
): SessionRequest {
  const user = parameters.get("user") ?? "";
  if (user === "") throw refused("no PostgreSQL user name specified in startup packet");
  const settings = new Map<string, string>();
  const asked = [
    ...parseOptions(parameters.get("options") ?? ""),
    ...[...parameters].filter(([name]) => !OWN_MEANING.has(name) && !isProtocolOption(name)),
  ];
  for (const [name, value] of asked) admit(settings, { name: name.toLowerCase(), value, policy });
  return {
    user,
    database: parameters.get("database") || user,
    replication: askedReplication(parameters.get("replication")),
    settings,
  };
}

function admit(
  settings: Map<string, string>,
  { name, value, policy }: { name: string; value: string; policy: ParameterPolicy },
): void {
  if (policy.dropped.has(name)) return;
  if (!policy.allowed.has(name)) throw notAllowed(name);
  settings.set(name, value);
}

/** PostgreSQL reads `replication` as a boolean or the word `database`; what it would call false is no replication. */
function askedReplication(value: string | undefined): string | null {
  if (value === undefined) return null;
  return /^(|f|fa|fal|fals|false|of|off|n|no|0)$/i.test(value) ? null : value;
}

function notAllowed(name: string): PgError {
  return refused(`startup parameter "${printableName(name)}" is not allowed`, {
    hint: "Leave it out, or ask the operator of the proxy to add it to startup.parameters.",
  });
}

/** A parameter name as an error may show it: names are ASCII words; whatever else came is not repeated. */
function printableName(name: string): string {
  return /^[\w.:-]{1,63}$/.test(name) ? name : "?";
}

function refused(message: string, options?: { readonly hint: string }): PgError {
  return new PgError(SQLSTATE.invalidAuthorizationSpecification, message, options);
}
