import * as v from "valibot";
import { connectionMaximum } from "../connection_maximum.ts";
import { type ClaimPath, parseClaimPath } from "../claims/claim_path.ts";
import { parseRequirements, type Requirement } from "../claims/requirement.ts";
import { duration } from "../duration.ts";
import { issueOf, parsedBy } from "../mistake.ts";
import { type Network, networks } from "../network.ts";
import { type Lifetime, lifetimeEntries, lifetimeOf } from "./lifetime.ts";
import { parsePattern, type Pattern } from "./pattern.ts";
import { DEFAULT_RESERVED_ROLES } from "./reserved.ts";
import { parseRoleList, type RoleList } from "./role_list.ts";
import { literalOf, parseTemplate, type Template, unknownCapture } from "./template.ts";

/** One table of `[[rules]]`, parsed. */
export interface Rule {
  /** A label for logs and explanations. */
  readonly name?: string;
  readonly issuer: string;
  /** Who the client is; `match` is what that must be, undefined: anyone whom `roles` lets in. */
  readonly claim: ClaimPath;
  readonly match?: Pattern;
  readonly require: readonly Requirement[];
  /** The startup user must be one of the roles that the token lists; undefined: it need not list any. */
  readonly roles?: RoleList;
  /** How long ago the token may have been issued, in milliseconds. */
  readonly maxTokenAgeMs?: number;
  /** The startup user must be one of these; undefined: any. */
  readonly users?: readonly Template[];
  /** The startup database must be one of these; undefined: any. */
  readonly databases?: readonly Template[];
  /** The client must come from one of these; undefined: from anywhere. */
  readonly networks?: readonly Network[];
  readonly backend: string;
  /** The role at the backend; undefined: the startup user where it is one of `roles`, else the user of the backend's URL. */
  readonly loginAs?: Template;
  /** Whether a replication connection is let in. */
  readonly replication: boolean;
  /** How many connections it may have let in at a time; undefined: any number. */
  readonly maxConnections?: number;
  /** How long its sessions may last. */
  readonly lifetime: Lifetime;
  /** Whether log and backends may learn who the client is; otherwise they learn a pseudonym. */
  readonly recordsIdentity: boolean;
}

/**
 * How long the key of pseudonyms must be, in bytes: as long as what HMAC-SHA-256 gives.
 *
 * @see RFC 2104 section 3
 */
export const PSEUDONYM_KEY_MIN_BYTES = 32;

const DEFAULT_CLAIM = parseClaimPath("sub");

const text = v.string("must be text in quotes");
const flag = v.boolean("must be true or false");
const name = v.pipe(text, v.nonEmpty("must not be empty"));
const template = v.pipe(text, v.nonEmpty("must not be empty"), parsedBy(parseTemplate));
const names = v.pipe(
  v.array(template, 'must be an array of names, such as ["reporting"], or ["*"] for any'),
  v.minLength(1, 'must hold at least one name, or "*" for any'),
);

/** One table of `[[rules]]`. */
export const ruleSchema = v.pipe(
  v.strictObject({
    name: v.optional(name),
    issuer: v.pipe(name, v.description("name the issuer whose tokens the rule is for")),
    claim: v.optional(v.pipe(text, parsedBy(parseClaimPath))),
    match: v.optional(v.pipe(text, parsedBy(parsePattern))),
    require: v.optional(v.pipe(v.unknown(), parsedBy(parseRequirements)), {}),
    roles: v.optional(v.pipe(v.unknown(), parsedBy(parseRoleList))),
    max_token_age: v.optional(duration({ minMs: 1_000 })),
    users: v.optional(names),
    databases: v.optional(names),
    networks: v.optional(
      v.pipe(networks, v.minLength(1, "must hold at least one network; leave it out for any")),
    ),
    backend: v.pipe(name, v.description("name the backend to log in to")),
    login_as: v.optional(template),
    replication: v.optional(flag, false),
    record_identity: v.optional(flag, true),
    max_connections: v.optional(connectionMaximum),
    ...lifetimeEntries,
  }),
  // Told beside other mistakes: this is the rule's heart.
  v.forward(
    v.partialCheck(
      [["match"], ["roles"]],
      ({ match, roles }) => (match ?? roles) !== undefined,
      "is required: give the claim's value, or /an expression/ for all of it, or give roles",
    ),
    ["match"],
  ),
  v.rawCheck(({ dataset, addIssue }) => {
    if (!dataset.typed) return;
    for (const mistake of contradictions(dataset.value)) addIssue(issueOf(dataset.value, mistake));
  }),
  v.transform((table): Rule => ({
    name: table.name,
    issuer: table.issuer,
    claim: table.claim ?? DEFAULT_CLAIM,
    match: table.match,
    require: table.require,
    roles: table.roles,
    maxTokenAgeMs: table.max_token_age,
    users: anyOf(table.users),
    databases: anyOf(table.databases),
    networks: table.networks,
    backend: table.backend,
    loginAs: table.login_as,
    replication: table.replication,
    maxConnections: table.max_connections,
    lifetime: lifetimeOf(table),
    recordsIdentity: table.record_identity,
  })),
);

/** The `[authorize]` table; its key is still to be read. */
export const authorizeSchema = v.pipe(
  v.strictObject({
    reserved_roles: v.optional(v.array(name, "must be an array of role names"), [...DEFAULT_RESERVED_ROLES]),
    /** What pseudonyms are made with, for rules with `record_identity = false`. */
    pseudonym_key_file: v.optional(name),
  }),
  v.transform(({ reserved_roles, pseudonym_key_file }) => ({
    reservedRoles: reserved_roles as readonly string[],
    pseudonymKeyFile: pseudonym_key_file,
  })),
);

interface WrittenRule {
  readonly claim?: ClaimPath;
  readonly match?: Pattern;
  readonly roles?: RoleList;
  readonly users?: readonly Template[];
  readonly databases?: readonly Template[];
  readonly login_as?: Template;
  readonly record_identity: boolean;
}

interface Contradiction {
  readonly key: keyof WrittenRule;
  readonly message: string;
}

function contradictions(rule: WrittenRule): readonly Contradiction[] {
  const { claim, match, roles, users = [], databases = [], login_as, record_identity } = rule;
  if (match === undefined && roles === undefined) return [];
  const found: Contradiction[] = [];
  const add = (key: keyof WrittenRule, message: string | undefined) =>
    message === undefined ? undefined : found.push({ key, message });
  if (match === undefined && claim !== undefined) {
    add("claim", "is compared with match, which is missing: add it, or leave claim out");
  }
  for (const template of users) add("users", unknownCapture(template, match));
  for (const template of databases) add("databases", unknownCapture(template, match));
  if (login_as === undefined) return found;
  add("login_as", unknownCapture(login_as, match));
  // `users` and `databases` are compared with the client's own words, but this would be the token's.
  if (!record_identity && literalOf(login_as) === undefined) {
    add("login_as", "takes a role from who the client is, which record_identity = false keeps to itself");
  }
  return found;
}

function anyOf(templates: readonly Template[] | undefined): readonly Template[] | undefined {
  return templates?.some((template) => template.text === "*") ? undefined : templates;
}
