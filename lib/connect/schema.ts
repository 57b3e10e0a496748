import * as v from "valibot";
import type { AuthWord, ChannelBinding } from "./login.ts";
import { isLocal } from "./host.ts";
import { Mistake } from "../mistake.ts";
import { parseSetting, type Setting } from "./setting.ts";
import { parseTarget, type Target, TargetError } from "./target.ts";

/** What a backend on this machine may ask for when `require_auth` is not written. */
const LOCAL_AUTH_WORDS = ["scram-sha-256-plus", "scram-sha-256", "md5", "password", "cert", "none"] as const;

/** The client's own token goes only to who is named for it. */
const AUTH_WORDS = [...LOCAL_AUTH_WORDS, "oauth"] as const;

const CHANNEL_BINDINGS = ["disable", "prefer", "require"] as const;

/** Startup parameters with a meaning of their own: the role, the database and the kind of session are not settings. */
const RESERVED_PARAMETER = /^(user|database|replication|_pq_\..*|crdb:.*)$/i;

const text = v.string("must be text in quotes");
const name = v.pipe(text, v.nonEmpty("must not be empty"));
const flag = v.boolean("must be true or false");
const authWord = v.picklist(AUTH_WORDS, `must be of ${AUTH_WORDS.join(", ")}`);

const parameterName = v.pipe(
  text,
  v.regex(/^[A-Za-z_]\w*(\.[A-Za-z_]\w*)*$/, "must be the name of a run-time parameter"),
  v.check((name) => !RESERVED_PARAMETER.test(name), "is not a run-time parameter: it cannot be set here"),
);

const settings = v.pipe(
  v.record(parameterName, v.string('must be text in quotes; quote a name with a dot: "app.user" = …')),
  v.rawTransform<Record<string, string>, ReadonlyMap<string, Setting>>(({ dataset, addIssue, NEVER }) => {
    const input = dataset.value;
    const parsed = new Map<string, Setting>();
    for (const [key, value] of Object.entries(input)) {
      try {
        parsed.set(key, parseSetting(key, value));
      } catch (thrown) {
        if (!(thrown instanceof Mistake)) throw thrown;
        addIssue({ message: thrown.message, path: [{ type: "object", origin: "value", input, key, value }] });
      }
    }
    return parsed.size === Object.keys(input).length ? parsed : NEVER;
  }),
);

/** One table of `[[backends]]`: a server to log in to. */
export const backendSchema = v.pipe(
  v.strictObject({
    name: v.pipe(name, v.description("name the backend, for rules to call it by")),
    url: v.pipe(
      name,
      v.rawCheck(({ dataset, addIssue }) => {
        const mistake = dataset.typed ? mistakeOfUrl(dataset.value) : undefined;
        if (mistake !== undefined) addIssue({ message: `is not a backend's URL: ${mistake}` });
      }),
      v.description("give where the backend is, as postgres://role@host:5432/database"),
    ),
    password_file: v.optional(v.pipe(name, v.description("name the file that holds the role's password"))),
    password_env: v.optional(
      v.pipe(name, v.description("name the environment variable that holds the role's password")),
    ),
    require_auth: v.optional(
      v.union([
        v.pipe(text, v.transform((words) => words.split(",")), v.array(authWord)),
        v.pipe(
          v.array(authWord, "must be a login method or an array of them"),
          v.minLength(1, "must not be empty"),
        ),
      ], `must be one or several of ${AUTH_WORDS.join(", ")}`),
    ),
    channel_binding: v.optional(
      v.picklist(CHANNEL_BINDINGS, `must be one of ${CHANNEL_BINDINGS.join(", ")}`),
      "prefer",
    ),
    /** Sent at startup; no client can set them there, though any session can change them later with SET. */
    set: v.optional(settings, {}),
    report_remote_addr: v.optional(flag, false),
  }),
  v.rawCheck(({ dataset, addIssue }) => {
    if (!dataset.typed) return;
    for (const { key, message } of contradictions(dataset.value)) {
      const input = dataset.value;
      addIssue({ message, path: [{ type: "object", origin: "value", input, key, value: input[key] }] });
    }
  }),
);

/** A `[[backends]]` table that {@link backendSchema} has found good. */
export type BackendTable = v.InferOutput<typeof backendSchema>;

/** A backend as a session logs in to it; a password kept in a file or a variable is still to be put into `target`. */
export interface Backend {
  readonly name: string;
  readonly target: Target;
  readonly requireAuth: readonly AuthWord[];
  readonly channelBinding: ChannelBinding;
  /** Run-time parameters for every session, by name. */
  readonly set: ReadonlyMap<string, Setting>;
  readonly reportsRemoteAddress: boolean;
}

/** The backend that a good table stands for. */
export function backendOf(table: BackendTable): Backend {
  const target = parseTarget(table.url);
  return {
    name: table.name,
    target,
    requireAuth: table.require_auth ?? defaultRequireAuth(target),
    channelBinding: table.channel_binding,
    set: table.set,
    reportsRemoteAddress: table.report_remote_addr,
  };
}

/**
 * The ways to log in that a backend may ask for when `require_auth` is not written. Off this machine they are those that
 * give nothing away to an impostor, SCRAM and a certificate of ours inside TLS; on it they are all but `oauth`.
 */
function defaultRequireAuth({ hosts, sslcert }: Target): readonly AuthWord[] {
  if (hosts.every(isLocal)) return LOCAL_AUTH_WORDS;
  const scram: AuthWord[] = ["scram-sha-256-plus", "scram-sha-256"];
  return sslcert === undefined ? scram : [...scram, "cert"];
}

interface Contradiction {
  readonly key: keyof BackendTable;
  readonly message: string;
}

type Written = Pick<
  BackendTable,
  "url" | "password_file" | "password_env" | "require_auth" | "channel_binding"
>;

function contradictions(table: Written): Contradiction[] {
  const { password_file, password_env, require_auth, channel_binding } = table;
  if (mistakeOfUrl(table.url) !== undefined) return [];
  const target = parseTarget(table.url);
  const isEncrypted = target.sslmode !== "disable" && target.hosts.every(({ kind }) => kind === "tcp");
  const isSafe = target.sslmode !== "disable" || target.hosts.every(isLocal);
  const found: Contradiction[] = [];
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
  return [...found, ...contradictionsOfOauth(table, target)];
}

/** What a bearer token needs: a backend that cannot be anybody else. */
function contradictionsOfOauth(
  { password_file, password_env, require_auth, channel_binding }: Written,
  target: Target,
): Contradiction[] {
  if (!require_auth?.includes("oauth")) return [];
  const found: Contradiction[] = [];
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

function mistakeOfUrl(url: string): string | undefined {
  try {
    parseTarget(url);
    return undefined;
  } catch (thrown) {
    if (thrown instanceof TargetError) return thrown.message;
    throw thrown;
  }
}
