import * as v from "valibot";
import { OWN_MEANING } from "./session_request.ts";

/**
 * Run-time parameters a client may set unless the configuration says otherwise: what drivers send of their own accord,
 * and what changes only how a session looks to its own client.
 */
export const DEFAULT_PARAMETERS: readonly string[] = [
  "application_name",
  "bytea_output",
  "client_encoding",
  "client_min_messages",
  "datestyle",
  "default_transaction_isolation",
  "default_transaction_read_only",
  "extra_float_digits",
  "geqo",
  "idle_in_transaction_session_timeout",
  "idle_session_timeout",
  "intervalstyle",
  "jit",
  "lock_timeout",
  "search_path",
  "statement_timeout",
  "timezone",
];

/** Parameters no list can allow: they change who somebody is, or say so to the backend. */
const IDENTITY_PARAMETERS = [
  "crdb:remote_addr",
  "crdb:session_revival_token_base64",
  "role",
  "session_authorization",
];

const parameterName = v.pipe(
  v.string("must be the name of a run-time parameter"),
  v.regex(/^[\w.:-]+$/, 'must be the name of a run-time parameter, such as "search_path"'),
  v.toLowerCase(),
  v.check(
    (name) => !OWN_MEANING.has(name),
    ({ input }) => `cannot name "${input}": it is no run-time parameter, and has a meaning of its own`,
  ),
);

const allowedName = v.pipe(
  parameterName,
  v.check(
    (name) => !IDENTITY_PARAMETERS.includes(name),
    ({ input }) => `cannot allow "${input}": it would let a client choose who it is at the backend`,
  ),
);

/** The table `[startup]`: what a client may ask for when it begins. */
export const startupSchema = v.strictObject({
  parameters: v.optional(v.array(allowedName), [...DEFAULT_PARAMETERS]),
  ignore_parameters: v.optional(v.array(parameterName), []),
});

/** The table `[startup]` as read. */
export type StartupSettings = v.InferOutput<typeof startupSchema>;
