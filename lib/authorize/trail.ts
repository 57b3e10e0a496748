import { MAX_MATCHED_LENGTH } from "./pattern.ts";

/** Why a rule does not let a client in: a condition that fails, or what stands in the way of the rule that decides. */
export type Obstacle =
  | { readonly kind: "issuer_differs"; readonly issuer: string }
  | { readonly kind: "network_not_allowed" }
  | { readonly kind: "token_too_old" }
  | { readonly kind: "token_without_time" }
  | { readonly kind: "email_not_verified" }
  | { readonly kind: "requirement_not_held"; readonly claim: string }
  | { readonly kind: "claim_missing"; readonly claim: string }
  | { readonly kind: "claim_too_long"; readonly claim: string }
  | { readonly kind: "role_not_listed"; readonly claim: string }
  | { readonly kind: "claim_does_not_match"; readonly claim: string }
  | { readonly kind: "identity_not_representable"; readonly claim: string }
  | { readonly kind: "user_not_allowed" }
  | { readonly kind: "database_not_allowed" }
  | { readonly kind: "replication_not_allowed" }
  | { readonly kind: "role_is_no_name" }
  /** The role is left out where it could tell who the client is, and must not. */
  | { readonly kind: "reserved_role"; readonly role?: string }
  | { readonly kind: "database_is_no_name" }
  | { readonly kind: "parameter_not_captured"; readonly parameter: string };

/** One rule that was considered, and what came of it. */
export type TrailStep = { readonly rule: RulePlace } & (Obstacle | { readonly kind: "granted" });

/** A rule's place in the file, from 0, and its name. */
export interface RulePlace {
  readonly index: number;
  readonly name?: string;
}

/** A rule's name, or its place where it has none. */
export function labelOf({ index, name }: RulePlace): string {
  return name ?? `rules[${index}]`;
}

/** A step as one sentence without a final period; for logs and explanations, never for the client (T16). */
export function describe(step: TrailStep): string {
  return `${placeOf(step.rule)} ${outcomeOf(step)}`;
}

function placeOf({ index, name }: RulePlace): string {
  return name === undefined ? `rules[${index}]` : `rules[${index}] (${name})`;
}

function outcomeOf(step: TrailStep): string {
  switch (step.kind) {
    case "granted":
      return "lets the client in";
    case "issuer_differs":
      return `is for tokens of the issuer ${step.issuer}`;
    case "network_not_allowed":
      return "does not allow the network the client comes from";
    case "token_too_old":
      return "takes only tokens issued within its max_token_age";
    case "token_without_time":
      return "has max_token_age, and the token has no iat";
    case "email_not_verified":
      return "looks at the claim email, which the issuer has not marked as verified";
    case "requirement_not_held":
      return `requires a value of the claim ${step.claim} that the token does not have`;
    case "claim_missing":
      return `looks at the claim ${step.claim}, which the token has not as text`;
    case "claim_too_long":
      return `refuses: a value of the claim ${step.claim} is longer than ${MAX_MATCHED_LENGTH} characters, ` +
        "so that no expression is tried on it";
    case "role_not_listed":
      return `does not find the user the client asks for among the roles of the claim ${step.claim}`;
    case "claim_does_not_match":
      return `does not match the claim ${step.claim}`;
    case "identity_not_representable":
      return `matches the claim ${step.claim}, but its value holds a NUL or broken Unicode`;
    case "user_not_allowed":
      return "does not allow the user the client asks for";
    case "database_not_allowed":
      return "does not allow the database the client asks for";
    case "replication_not_allowed":
      return "refuses: it does not allow replication";
    case "role_is_no_name":
      return "refuses: the role it would log in as is empty, longer than 63 bytes or not captured";
    case "reserved_role":
      return `refuses: ${
        step.role ?? "what it leads to"
      } is a reserved role, which it does not write out for one identity given as text`;
    case "database_is_no_name":
      return "refuses: the database's name is empty, longer than 63 bytes or not captured";
    case "parameter_not_captured":
      return `refuses: the parameter ${step.parameter} of the backend's URL uses a capture that took no part`;
  }
}
