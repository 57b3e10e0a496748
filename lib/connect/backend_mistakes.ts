import { isLocal } from "./host.ts";
import type { BackendTable } from "./schema.ts";
import { parseTarget, type Target, TargetError } from "./target.ts";

/** One mistake that shows only when several keys of a `[[backends]]` table are seen together. */
export interface BackendMistake {
  readonly key: keyof BackendTable;
  /** Follows the key's name in a sentence. */
  readonly message: string;
}

type Written = Pick<
  BackendTable,
  "url" | "password_file" | "password_env" | "require_auth" | "channel_binding" | "set"
>;

/** What contradicts itself in a table whose keys are good one by one. */
export function mistakesOfBackend(table: Written): BackendMistake[] {
  const { password_file, password_env, require_auth, channel_binding } = table;
  if (mistakeOfUrl(table.url) !== undefined) return [];
  const target = parseTarget(table.url);
  const isEncrypted = target.sslmode !== "disable" && target.hosts.every(({ kind }) => kind === "tcp");
  const isSafe = target.sslmode !== "disable" || target.hosts.every(isLocal);
  const found: BackendMistake[] = [];
  const passwords = [password_file, password_env, target.password].filter((one) => one !== undefined);
  if (passwords.length > 1) {
    const key = password_file === undefined ? "password_env" : "password_file";
    found.push({ key, message: "is a second password: give it in one place only" });
  }
  if (channel_binding === "require" && !isEncrypted) {
    found.push({ key: "channel_binding", message: "cannot be require where the URL has no TLS" });
  }
  if (channel_binding === "disable" && require_auth?.every((word) => word === "scram-sha-256-plus")) {
    found.push({
      key: "channel_binding",
      message: "cannot be disable where require_auth is scram-sha-256-plus",
    });
  }
  if (require_auth?.includes("password") && !isSafe) {
    found.push({
      key: "require_auth",
      message: "has password, which is never sent without TLS to another machine",
    });
  }
  if (require_auth?.includes("cert") && (target.sslcert === undefined || !isEncrypted)) {
    found.push({
      key: "require_auth",
      message: "has cert, but the URL has no sslcert and sslkey to show in TLS",
    });
  }
  return [...found, ...mistakesOfSet(table, target), ...mistakesOfOauth(table, target)];
}

/** PostgreSQL does not tell `Search_Path` from `search_path`: of two values one would have no effect. */
function mistakesOfSet({ set }: Written, { parameters }: Target): BackendMistake[] {
  const taken = new Set([...parameters.keys()].map((name) => name.toLowerCase()));
  return [...set.keys()].flatMap((name) => {
    const isSecond = taken.has(name.toLowerCase());
    taken.add(name.toLowerCase());
    return isSecond
      ? [{ key: "set", message: `gives ${name} a second value: write it in one place only` }]
      : [];
  });
}

/** What a bearer token needs: a backend that cannot be anybody else. */
function mistakesOfOauth(
  { password_file, password_env, require_auth, channel_binding }: Written,
  target: Target,
): BackendMistake[] {
  if (!require_auth?.includes("oauth")) return [];
  const found: BackendMistake[] = [];
  if (target.sslmode !== "verify-full" && !target.hosts.every(isLocal)) {
    found.push({
      key: "require_auth",
      message: "has oauth, which sends the client's token and needs sslmode=verify-full off this machine",
    });
  }
  if (require_auth.some((word) => word !== "oauth")) return found;
  const password = password_file !== undefined
    ? "password_file"
    : password_env !== undefined
    ? "password_env"
    : target.password && "url";
  if (password !== undefined) {
    found.push({ key: password, message: "has a password, which is never sent where require_auth is oauth" });
  }
  if (channel_binding === "require") {
    found.push({
      key: "channel_binding",
      message: "cannot be require where require_auth is oauth: OAUTHBEARER binds to no channel",
    });
  }
  return found;
}

/** What is wrong with a backend's URL, as a clause; undefined when nothing is. */
export function mistakeOfUrl(url: string): string | undefined {
  try {
    parseTarget(url);
    return undefined;
  } catch (thrown) {
    if (thrown instanceof TargetError) return thrown.message;
    throw thrown;
  }
}
