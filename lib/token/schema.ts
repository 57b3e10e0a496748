import * as v from "valibot";
import { parseRequirements, type Requirement } from "../claims/requirement.ts";
import { parsedBy } from "../mistake.ts";
import { type Algorithm, ALGORITHM_NAMES } from "./algorithms.ts";
import { introspectionSchema } from "./introspection/schema.ts";
import { mistakesOfKind } from "./issuer_mistakes.ts";
import { isHost, isSecure, isUrl } from "./url_checks.ts";
import { validatorSchema } from "./validator/schema.ts";

export { programOf } from "./validator/schema.ts";

const text = (key: string) =>
  v.pipe(v.string(`"${key}" must be text`), v.nonEmpty(`"${key}" must not be empty`));
const flag = (key: string) => v.boolean(`"${key}" must be true or false`);
const texts = (key: string) =>
  v.pipe(
    v.array(text(key), `"${key}" must be an array of text`),
    v.nonEmpty(`"${key}" must have at least one element`),
  );

const hosts = v.pipe(
  texts("jwks_hosts"),
  v.everyItem(isHost, '"jwks_hosts" must be hosts alone, as "keys.example.com" or "keys.example.com:8443"'),
);

const algorithms = v.pipe(
  v.array(
    v.picklist(ALGORITHM_NAMES, `"algorithms" may hold only ${ALGORITHM_NAMES.join(", ")}`),
    '"algorithms" must be an array of text',
  ),
  v.nonEmpty('"algorithms" must have at least one element'),
);

const table = v.strictObject({
  /** What rules and the log call this issuer. */
  name: v.pipe(text("name"), v.description("name the issuer, for rules to call it by")),
  /** The issuer's URL, exactly as its tokens' `iss`: keys are found by OpenID Connect Discovery. */
  url: v.optional(text("url")),
  /** Or: where its key set is. */
  jwks_url: v.optional(text("jwks_url")),
  /** Or: files of PEM public keys or certificates; `*` and `?` in the file name. */
  signing_keys: v.optional(texts("signing_keys")),
  /** Or besides: asking the issuer itself about tokens that say nothing. */
  introspection: v.optional(introspectionSchema),
  /** Which tokens are introspected: those without a signature to check, or all. */
  introspect: v.optional(v.picklist(["opaque", "always"], '"introspect" must be "opaque" or "always"')),
  /** Or: a program that is asked about every token. */
  validator: v.optional(validatorSchema),
  /** A file of `jti` and `sub` that are refused whatever the issuer has signed. */
  deny_list: v.optional(text("deny_list")),
  /** Only tokens bound to the client's certificate are good. */
  require_binding: v.optional(flag("require_binding")),
  /** The `iss` to expect, with `jwks_url`, `signing_keys`, `introspection` or `validator` alone. */
  issuer: v.optional(text("issuer")),
  /** Hosts besides the issuer's own that discovery may name for the key set. */
  jwks_hosts: v.optional(hosts),
  /** One of these must be in `aud`. */
  audience: v.optional(texts("audience")),
  algorithms: v.optional(algorithms),
  /** Accepted `typ` of the header; without it: none, `JWT` or `at+jwt`. */
  types: v.optional(texts("types")),
  /** Claim path → the value, or the values of which one must hold. */
  required_claims: v.optional(v.pipe(v.unknown(), parsedBy(parseRequirements))),
  /** Accepted `azp` or `client_id`. */
  clients: v.optional(texts("clients")),
  /** Lets `http://` URLs pass: for tests and sidecars only. */
  insecure_http: v.optional(flag("insecure_http")),
  /** A rule on `email` also needs `email_verified` to be true. */
  require_email_verified: v.optional(flag("require_email_verified")),
}, explainTable);

/** What is not given. Filled in last: the checks before see what somebody has written. */
const DEFAULTS = {
  introspect: "opaque" as "opaque" | "always",
  require_binding: false,
  // Left out only where nothing looks at it; and no aud is in it.
  audience: [] as readonly string[],
  algorithms: ["ES256", "RS256"] as readonly Algorithm[],
  required_claims: [] as readonly Requirement[],
  insecure_http: false,
  require_email_verified: true,
};

/** What the checks over several keys read. */
const CROSS_CHECKED = [["url"], ["jwks_url"], ["signing_keys"], ["issuer"], ["jwks_hosts"], [
  "insecure_http",
], ["validator"]] as const;

/** Schema of one `[[issuers]]` table. */
export const issuerSchema = v.pipe(
  table,
  at("url", {
    holds: (issuer) => countSources(issuer) <= 1,
    message: 'An issuer needs exactly one of "url", "jwks_url" and "signing_keys"',
  }),
  at("issuer", {
    holds: ({ url, issuer, jwks_url, signing_keys, validator }) =>
      (url ?? issuer ?? validator) !== undefined || (jwks_url ?? signing_keys) === undefined,
    message: '"issuer" is missing: with "jwks_url" or "signing_keys" give the iss that tokens must have',
  }),
  at("issuer", {
    holds: ({ issuer, url }) => url === undefined || issuer === undefined,
    message: 'Remove "issuer": with "url" the tokens\' iss must be that URL itself',
  }),
  at("jwks_hosts", {
    holds: ({ jwks_hosts, url }) => jwks_hosts === undefined || url !== undefined,
    message: '"jwks_hosts" is only for issuers with "url"',
  }),
  at("url", {
    holds: ({ url }) => isUrl(url),
    message: '"url" must be a URL without credentials, query and fragment',
  }),
  at("jwks_url", {
    holds: ({ jwks_url }) => isUrl(jwks_url, { query: true }),
    message: '"jwks_url" must be a URL without credentials and fragment',
  }),
  at("url", {
    holds: ({ url, insecure_http }) => isSecure(url, insecure_http),
    message: '"url" must begin with https:// unless insecure_http = true',
  }),
  at("jwks_url", {
    holds: ({ jwks_url, insecure_http }) => isSecure(jwks_url, insecure_http),
    message: '"jwks_url" must begin with https:// unless insecure_http = true',
  }),
  v.rawCheck<Table>(({ dataset, addIssue }) => {
    const input = dataset.value as Table;
    const item = (key: string) =>
      ({ type: "object", origin: "value", input, key, value: undefined }) as const;
    for (const { path: [first, ...rest], message } of mistakesOfKind(input)) {
      addIssue({ message, path: [item(first), ...rest.map(item)] });
    }
  }),
  v.transform((issuer) => ({ ...DEFAULTS, ...issuer })),
);

/** One `[[issuers]]` table, checked and with its defaults; keys are those of the file. */
export type IssuerSettings = v.InferOutput<typeof issuerSchema>;

type Table = v.InferOutput<typeof table>;

type CrossChecked = Pick<
  Table,
  "url" | "jwks_url" | "signing_keys" | "issuer" | "jwks_hosts" | "insecure_http" | "validator"
>;

/** A check over several keys, run even while others are wrong so that all mistakes are told at once. */
function at(
  key: keyof CrossChecked,
  { holds, message }: { holds: (issuer: CrossChecked) => boolean; message: string },
) {
  return v.forward(
    v.partialCheck<Table, typeof CROSS_CHECKED, CrossChecked, string>(CROSS_CHECKED, holds, message),
    [key],
  );
}

function countSources({ url, jwks_url, signing_keys }: CrossChecked): number {
  return [url, jwks_url, signing_keys].filter((source) => source !== undefined).length;
}

function explainTable(issue: v.StrictObjectIssue): string {
  const key = issue.path?.at(-1)?.key;
  if (issue.expected === "never") return `Unknown key "${String(key)}" in [[issuers]]`;
  if (issue.expected === "Object") return "[[issuers]] must be a table";
  return `"${String(key)}" is missing`;
}
