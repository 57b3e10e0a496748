import * as v from "valibot";
import { duration } from "../../duration.ts";
import { issueOf } from "../../mistake.ts";
import { ALGORITHM_NAMES } from "../algorithms.ts";
import { isUrl } from "../url_checks.ts";

/** How the proxy may say who it is to an introspection endpoint. */
export const AUTH_METHODS = [
  "client_secret_basic",
  "client_secret_post",
  "private_key_jwt",
  "tls_client_auth",
] as const;

const text = (key: string) =>
  v.pipe(v.string(`"${key}" must be text`), v.nonEmpty(`"${key}" must not be empty`));

const table = v.strictObject({
  /** The URL to ask; without it, the `introspection_endpoint` of discovery. */
  endpoint: v.optional(
    v.pipe(
      text("endpoint"),
      v.check(
        (url) => isUrl(url, { query: true }),
        '"endpoint" must be a URL without credentials and fragment',
      ),
    ),
  ),
  /** Who the proxy is to the issuer. */
  client_id: v.pipe(text("client_id"), v.description("name the proxy's own client at the issuer")),
  /** How it proves that. */
  auth: v.optional(
    v.picklist(AUTH_METHODS, `"auth" must be one of ${AUTH_METHODS.join(", ")}`),
    "client_secret_basic",
  ),
  /** The file that holds the client's secret. */
  client_secret_file: v.optional(text("client_secret_file")),
  /** Or: the environment variable that holds it. */
  client_secret_env: v.optional(text("client_secret_env")),
  /** PEM: what signs the assertions of `private_key_jwt`, or the key of `certificate`. */
  private_key: v.optional(text("private_key")),
  /** Of `private_key_jwt`; without it, one that fits the key. */
  algorithm: v.optional(
    v.picklist(ALGORITHM_NAMES, `"algorithm" must be one of ${ALGORITHM_NAMES.join(", ")}`),
  ),
  /** Of `private_key_jwt`: the `kid` by which the issuer knows the key. */
  key_id: v.optional(text("key_id")),
  /** PEM: what is shown in TLS for `tls_client_auth`. */
  certificate: v.optional(text("certificate")),
  /** From asking to the last byte of the answer. */
  timeout: v.optional(duration({ minMs: 100, maxMs: 10_000 }), "2s"),
  /** How long a good token is not asked about again. */
  remember_for: v.optional(duration({ maxMs: 60_000 }), "60s"),
});

/** The table `introspection` of an issuer. */
export const introspectionSchema = v.pipe(
  table,
  v.rawCheck(({ dataset, addIssue }) => {
    if (!dataset.typed) return;
    for (const mistake of contradictions(dataset.value)) addIssue(issueOf(dataset.value, mistake));
  }),
);

/** The table as read; durations in milliseconds. */
export type IntrospectionSettings = v.InferOutput<typeof introspectionSchema>;

type Key = keyof IntrospectionSettings;

/** The keys that each way to say who one is needs, and those that it may have besides. */
const KEYS_OF_METHOD = {
  client_secret_basic: { needs: [], may: ["client_secret_file", "client_secret_env"] },
  client_secret_post: { needs: [], may: ["client_secret_file", "client_secret_env"] },
  private_key_jwt: { needs: ["private_key"], may: ["private_key", "algorithm", "key_id"] },
  tls_client_auth: { needs: ["certificate", "private_key"], may: ["certificate", "private_key"] },
} as const satisfies Record<
  IntrospectionSettings["auth"],
  { readonly needs: readonly Key[]; readonly may: readonly Key[] }
>;

const KEYS_OF_METHODS = [...new Set(Object.values(KEYS_OF_METHOD).flatMap(({ may }) => may))];

function* contradictions(table: IntrospectionSettings): Generator<{ key: Key; message: string }> {
  const { auth, client_secret_file, client_secret_env } = table;
  const { needs, may } = KEYS_OF_METHOD[auth];
  for (const key of needs) {
    if (table[key] === undefined) yield { key, message: `is required: auth = "${auth}" needs it` };
  }
  const allowed: readonly Key[] = may;
  for (const key of KEYS_OF_METHODS) {
    if (table[key] !== undefined && !allowed.includes(key)) {
      yield { key, message: `has no use with auth = "${auth}": remove it, or change auth` };
    }
  }
  if (!allowed.includes("client_secret_file")) return;
  if (client_secret_file === undefined && client_secret_env === undefined) {
    const message = "is required: name the file that holds the client's secret, or give client_secret_env";
    yield { key: "client_secret_file", message };
  }
  if (client_secret_file !== undefined && client_secret_env !== undefined) {
    yield { key: "client_secret_env", message: "is a second secret: give it in one place only" };
  }
}
