import { type ClaimPath, parseClaimPath, valuesAt } from "./claim_path.ts";
import { Mistake } from "../mistake.ts";

/** A value that a claim must have, or hold if it is an array. */
export type RequiredValue = string | number | boolean;

/** One line of a rule's `require` or an issuer's `required_claims`: the claim must be, or hold, one of the values. */
export interface Requirement {
  readonly claim: ClaimPath;
  readonly accepted: readonly RequiredValue[];
}

/**
 * A table of requirements: claim paths to a value or an array of them.
 *
 * @throws {Mistake} when it is no table of text, numbers and booleans
 */
export function parseRequirements(table: unknown): readonly Requirement[] {
  if (typeof table !== "object" || table === null || Array.isArray(table) || table instanceof Date) {
    throw new Mistake('must be a table of claims and their values, such as { groups = "dba" }');
  }
  // Object.entries also lists a claim named __proto__, which a schema's record would skip: a condition silently lost.
  return Object.entries(table).map(([name, value]) => ({
    claim: claimNamed(name),
    accepted: accepted(name, value),
  }));
}

/** Whether the claims hold what is required: equality of the same type, or membership in an array or a scope. */
export function holds(requirement: Requirement, claims: unknown): boolean {
  return valuesAt(claims, requirement.claim)
    .some((value) => requirement.accepted.some((wanted) => wanted === value));
}

function claimNamed(name: string): ClaimPath {
  try {
    return parseClaimPath(name);
  } catch (thrown) {
    if (thrown instanceof Mistake) {
      throw new Mistake(`names the claim ${JSON.stringify(name)}, which ${thrown.message}`);
    }
    throw thrown;
  }
}

function accepted(name: string, value: unknown): readonly RequiredValue[] {
  const values: readonly unknown[] = Array.isArray(value) ? value : [value];
  if (values.length === 0) throw new Mistake(`accepts no value for ${name}: name at least one`);
  if (values.every(isRequiredValue)) return values;
  throw new Mistake(
    `must give ${name} a text, a number, a boolean or an array of these; quote a dotted claim: "a.b" = …`,
  );
}

function isRequiredValue(value: unknown): value is RequiredValue {
  return typeof value === "string" || typeof value === "number" || typeof value === "boolean";
}
