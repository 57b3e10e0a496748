import * as v from "valibot";
import { type ClaimPath, parseClaimPath } from "../claims/claim_path.ts";
import { parsedBy } from "../mistake.ts";
import { type Lifetime, lifetimeEntries, lifetimeOf } from "./lifetime.ts";
import { parsePattern, type Pattern } from "./pattern.ts";
import { parseRequirements, type Requirement } from "../claims/requirement.ts";
import { DEFAULT_RESERVED_ROLES } from "./reserved.ts";
import { parseTemplate, type Template, unknownCapture } from "./template.ts";

/** One table of `[[rules]]`, parsed. */
export interface Rule {
  /** A label for logs and explanations. */
  readonly name?: string;
  readonly issuer: string;
  readonly claim: ClaimPath;
  readonly match: Pattern;
  readonly require: readonly Requirement[];
  /** The startup user must be one of these; undefined: any. */
  readonly users?: readonly Template[];
  /** The startup database must be one of these; undefined: any. */
  readonly databases?: readonly Template[];
  readonly backend: string;
  /** The role at the backend; undefined: the user of the backend's URL. */
  readonly loginAs?: Template;
  /** Whether a replication connection is let in. */
  readonly replication: boolean;
  /** How long its sessions may last. */
  readonly lifetime: Lifetime;
  /** Whether log and backends may learn who the client is; otherwise they learn a pseudonym. */
  readonly recordsIdentity: boolean;
}

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
    claim: v.optional(v.pipe(text, parsedBy(parseClaimPath)), "sub"),
    match: v.pipe(
      text,
      parsedBy(parsePattern),
      v.description("give the claim's value, or /an expression/ for all of it"),
    ),
    require: v.optional(v.pipe(v.unknown(), parsedBy(parseRequirements)), {}),
    users: v.optional(names),
    databases: v.optional(names),
    backend: v.pipe(name, v.description("name the backend to log in to")),
    login_as: v.optional(template),
    replication: v.optional(flag, false),
    record_identity: v.optional(flag, true),
    ...lifetimeEntries,
  }),
  v.rawCheck(({ dataset, addIssue }) => {
    if (!dataset.typed) return;
    const rule = dataset.value;
    const templates = [
      ...(rule.users ?? []).map((template, index) => ({ key: "users", index, template })),
      ...(rule.databases ?? []).map((template, index) => ({ key: "databases", index, template })),
      ...(rule.login_as === undefined ? [] : [{ key: "login_as", template: rule.login_as }]),
    ];
    for (const { key, template } of templates) {
      const message = unknownCapture(template, rule.match);
      if (message !== undefined) addIssue({ message, path: [pathItem(rule, key)] });
    }
  }),
  v.transform((table): Rule => ({
    name: table.name,
    issuer: table.issuer,
    claim: table.claim,
    match: table.match,
    require: table.require,
    users: anyOf(table.users),
    databases: anyOf(table.databases),
    backend: table.backend,
    loginAs: table.login_as,
    replication: table.replication,
    lifetime: lifetimeOf(table),
    recordsIdentity: table.record_identity,
  })),
);

/** The `[authorize]` table. */
export const authorizeSchema = v.pipe(
  v.strictObject({
    reserved_roles: v.optional(v.array(name, "must be an array of role names"), [...DEFAULT_RESERVED_ROLES]),
  }),
  v.transform(({ reserved_roles }) => ({ reservedRoles: reserved_roles as readonly string[] })),
);

function anyOf(templates: readonly Template[] | undefined): readonly Template[] | undefined {
  return templates?.some((template) => template.text === "*") ? undefined : templates;
}

function pathItem(input: Record<string, unknown>, key: string): v.ObjectPathItem {
  return { type: "object", origin: "value", input, key, value: input[key] };
}
