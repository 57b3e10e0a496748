import { type ClaimPath, parseClaimPath, valuesAt } from "../claims/claim_path.ts";
import type { LongWork } from "../long_work.ts";
import { Mistake } from "../mistake.ts";
import { type Captures, matchWhole, parsePattern, type Pattern } from "./pattern.ts";

/** A claim that lists the roles its bearer may be. */
export interface RoleList {
  readonly claim: ClaimPath;
  /** Which of its values are roles: the role is the first group, or all of the value where there is none. */
  readonly match?: Pattern;
}

/**
 * The key `roles` of a rule: a claim path, or a table of one and of what to take of its values.
 *
 * @throws {Mistake} when it is neither
 */
export function parseRoleList(written: unknown): RoleList {
  if (typeof written === "string") return { claim: parseClaimPath(written) };
  if (typeof written !== "object" || written === null || !("claim" in written)) throw neither();
  const { claim, match, ...others } = written as Record<string, unknown>;
  if (typeof claim !== "string" || !["string", "undefined"].includes(typeof match)) throw neither();
  const [unknown] = Object.keys(others);
  if (unknown !== undefined) {
    throw new Mistake(`has the key ${JSON.stringify(unknown)}: there are claim and match`);
  }
  return {
    claim: partOf("claim", () => parseClaimPath(claim)),
    match: match === undefined ? undefined : partOf("match", () => parsePattern(match as string)),
  };
}

/** The roles that a token lists, of which there may be many; undefined where it has no such list. */
export function* rolesListed(
  claims: unknown,
  { claim, match }: RoleList,
): LongWork<ReadonlySet<string> | undefined> {
  const values = valuesAt(claims, claim).filter((value) => typeof value === "string");
  if (values.length === 0) return undefined;
  if (match === undefined) return new Set(values);
  const roles = new Set<string>();
  for (const value of values) {
    yield;
    const role = roleIn(matchWhole(match, value));
    if (role !== undefined) roles.add(role);
  }
  return roles;
}

/** A group that took no part names no role: the whole value in its stead could be a role that nobody meant. */
function roleIn(captures: Captures = []): string | undefined {
  return captures.length > 1 ? captures[1] : captures[0];
}

function neither(): Mistake {
  return new Mistake(`must be a claim, or a table such as { claim = "scope", match = '/pg:(.*)/' }`);
}

function partOf<T>(key: string, parse: () => T): T {
  try {
    return parse();
  } catch (thrown) {
    if (thrown instanceof Mistake) throw new Mistake(`has a ${key} that ${thrown.message}`);
    throw thrown;
  }
}
