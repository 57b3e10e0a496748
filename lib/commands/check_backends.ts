import { literalOf } from "../authorize/template.ts";
import { type BackendNames, type Policy, writtenRole } from "../authorize/policy.ts";
import type { Rule } from "../authorize/schema.ts";
import { type BackendAccess, tryLogin } from "../backend_link.ts";
import { probeBackend } from "../backend_probe.ts";
import type { Configuration } from "../config/configuration.ts";
import { formatHost, type Host, isLocal } from "../connect/host.ts";
import { startupParameters } from "../connect/startup_parameters.ts";
import { PgError } from "../errors.ts";
import type { Finding } from "./finding.ts";

const NO_SUCH_DATABASE = "3D000";

/** Every host of every backend: reached, and logged in to where that takes no client. */
export async function checkBackends(configuration: Configuration): Promise<readonly Finding[]> {
  const checks = [...configuration.backends.values()].flatMap((access) =>
    access.target.hosts.map((host) => checkHost(host, { access, configuration }))
  );
  return (await Promise.all(checks)).flat();
}

/** What holds of backends whether they are reached or not. */
export function warningsOfBackends({ backends }: Configuration): readonly Finding[] {
  return [...backends.values()].flatMap(({ name, target: { sslmode, hosts } }): Finding[] => {
    if (sslmode === "verify-full" || hosts.every(isLocal)) return [];
    return [{ what: `backend ${name}`, state: "warning", detail: `sslmode=${sslmode}: ${RISKS[sslmode]}` }];
  });
}

const RISKS = {
  disable: "what is said there can be read and changed on its way",
  require: "whoever answers there is taken for the backend",
  "verify-ca": "any server of its authorities is taken for the backend",
} as const;

interface Checking {
  readonly access: BackendAccess;
  readonly configuration: Configuration;
}

async function checkHost(host: Host, { access, configuration }: Checking): Promise<readonly Finding[]> {
  const { name, target } = access;
  // Whether it is a standby or not: that another host will do says nothing of this one.
  const single = { ...access, target: { ...target, hosts: [host], targetSessionAttrs: "any" as const } };
  const found = (state: Finding["state"], detail: string): Finding => (
    { what: `backend ${name}`, state, detail: `${formatHost(host)}: ${detail}` }
  );
  const logins = loginsOf(access, configuration.policy);
  const timeoutMs = target.connectTimeoutMs;
  if (typeof logins === "string") {
    const probing = probeBackend(single).then(() => found("ok", `reached; no login was tried, ${logins}`));
    return [await probing.catch((error) => found("fault", saysWrong(error, host)))];
  }
  const trying = logins.map(async (login) => {
    try {
      return found("ok", await logIn(single, { login, timeoutMs }));
    } catch (error) {
      return found("fault", `as ${login.role}: ${saysWrong(error, host)}`);
    }
  });
  return await Promise.all(trying);
}

/** A login that takes no client's identity. */
interface FixedLogin {
  readonly role: string;
  /** Undefined: the one the client asks for. */
  readonly database?: string;
}

/** The logins that do not depend on who the client is; or, if there is none, why. */
function loginsOf({ name, requireAuth }: BackendAccess, { rules, backends }: Policy): FixedLogin[] | string {
  if (requireAuth.every((word) => word === "oauth")) return "as it takes the clients' own tokens";
  const names: BackendNames = backends.get(name) ?? {};
  const users = rules.filter((rule) => rule.backend === name);
  const written = users.length === 0 ? [names.user] : users.map((rule) => writtenRole(rule, names));
  const roles = written.flatMap((template) => template && literalOf(template) || []);
  if (roles.length === 0) return "as its role depends on who the client is";
  const database = names.database === undefined
    ? users.flatMap(databasesOf)[0]
    : literalOf(names.database) ?? undefined;
  return [...new Set(roles)].map((role) => ({ role, database }));
}

function databasesOf({ databases = [] }: Rule): readonly string[] {
  return databases.flatMap((template) => literalOf(template) ?? []);
}

async function logIn(
  access: BackendAccess,
  { login: { role, database }, timeoutMs }: { readonly login: FixedLogin; readonly timeoutMs: number },
): Promise<string> {
  const target = { ...access.target, database: undefined, parameters: new Map<string, string>() };
  const parameters = startupParameters({
    ...{ backend: access.name, target, set: access.set, loginAs: role, clientDatabase: database },
    clientParameters: new Map(),
    facts: { identity: "", issuer: "", token_id: "", client_address: "", rule: "", user: "" },
  });
  const nobody = { address: "", port: 0 };
  const proxied = access.sendsProxyHeader ? { client: nobody, server: nobody } : undefined;
  const startup = { protocolVersion: { major: 3, minor: 0 }, parameters };
  try {
    const login = { access, target, startup, proxied };
    const reached = await tryLogin(login, AbortSignal.timeout(timeoutMs));
    const version = reached.parameterStatuses.find(({ name }) => name === "server_version")?.value;
    const inside = reached.isEncrypted ? "inside TLS" : "outside TLS";
    return `logged in as ${role} ${inside}, server_version ${version ?? "not told"}`;
  } catch (error) {
    // A server looks for the database when it knows who asks; clients will name one that is there.
    const isGuess = database === undefined;
    if (!isGuess || !(error instanceof PgError) || error.sqlstate !== NO_SUCH_DATABASE) throw error;
    return `logged in as ${role}; clients name the database`;
  }
}

/** Why a login came to nothing: for the operator, so with all that clients are not told. */
function saysWrong(error: unknown, host: Host): string {
  if (!(error instanceof PgError)) throw error;
  const says = error.reason ?? error.message;
  return says.startsWith(`${formatHost(host)}: `) ? says.slice(formatHost(host).length + 2) : says;
}
