import type { TokenOrder } from "../support/oidc_provider.ts";

/** Someone who comes in through the proxy. */
export interface Visitor {
  /** As the demo calls them, and their token's file. */
  readonly name: string;
  /** What their token says. */
  readonly claims: TokenOrder;
  /** The user in their connection string. */
  readonly user: string;
  /** The role that they must be at the backend. */
  readonly role: string;
}

const alice = person("alice", {});

/** One visitor a rule of the configuration. */
export const VISITORS: readonly [Visitor, ...Visitor[]] = [
  alice,
  { ...person("bob", { groups: ["dba"] }), user: "shop_owner", role: "shop_owner" },
  {
    name: "nightly-report",
    claims: { sub: "service:nightly-report" },
    user: "report",
    role: "nightly_report",
  },
];

/** The roles that must exist for {@link VISITORS}. */
export const ROLES: readonly string[] = [...new Set(["alice", "bob", ...VISITORS.map(({ role }) => role)])];

function person(name: string, claims: Readonly<Record<string, unknown>>): Visitor {
  const email = `${name}@example.com`;
  return {
    name,
    claims: { sub: name, claims: { email, email_verified: true, ...claims } },
    user: name,
    role: name,
  };
}
