import * as v from "valibot";
import { connectionMaximum } from "../connection_maximum.ts";
import type { AuthWord, ChannelBinding } from "./login.ts";
import { isLocal } from "./host.ts";
import { issueOf, Mistake } from "../mistake.ts";
import { mistakeOfUrl, mistakesOfBackend } from "./backend_mistakes.ts";
import { parseSetting, type Setting } from "./setting.ts";
import { parseTarget, type Target } from "./target.ts";

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
        addIssue(issueOf(input, { key, message: thrown.message }));
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
    send_proxy_protocol: v.optional(flag, false),
    max_connections: v.optional(connectionMaximum),
  }),
  v.rawCheck(({ dataset, addIssue }) => {
    if (!dataset.typed) return;
    for (const mistake of mistakesOfBackend(dataset.value)) addIssue(issueOf(dataset.value, mistake));
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
  /** Each connection to it begins with a PROXY header that names the client. */
  readonly sendsProxyHeader: boolean;
  /** How many connections may lead to it at a time; undefined: any number. */
  readonly maxConnections?: number;
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
    sendsProxyHeader: table.send_proxy_protocol,
    maxConnections: table.max_connections,
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
