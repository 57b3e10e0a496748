import * as v from "valibot";
import { duration } from "../duration.ts";

const ENDINGS = ["keep", "end_when_idle", "end_now"] as const;

/** What becomes of a session: nothing, or an end between two transactions, or an end at once. */
export type Ending = typeof ENDINGS[number];

/** How long the sessions of a rule may last. */
export interface Lifetime {
  /** When the token expires. */
  readonly atExpiry: Ending;
  /** When its issuer has withdrawn the token, or a deny list names it. */
  readonly atRevocation: Ending;
  /** When after a reload the rules would not let the session in, or not so. */
  readonly atReload: Ending;
  /** How long a session may last, in milliseconds; it then ends when idle. Undefined: as long as it likes. */
  readonly maxSessionMs?: number;
  /** How long a client may ask for nothing outside a transaction, in milliseconds; undefined: as long as it likes. */
  readonly idleMs?: number;
  /** The same inside a transaction. */
  readonly idleInTransactionMs?: number;
  /** How often the issuer is asked again, in milliseconds; undefined: never. */
  readonly reintrospectMs?: number;
}

/** What holds where a rule says nothing. */
export const DEFAULT_LIFETIME: Lifetime = {
  atExpiry: "keep",
  atRevocation: "end_when_idle",
  atReload: "end_when_idle",
};

// Every session asks for itself: more often would be a load on the issuer that no revocation is worth.
const SHORTEST_REINTROSPECTION_MS = 10_000;

const ending = v.picklist(ENDINGS, `must be one of ${ENDINGS.join(", ")}`);

/** The keys of a rule that say how long its sessions may last. */
export const lifetimeEntries = {
  at_expiry: v.optional(ending, DEFAULT_LIFETIME.atExpiry),
  at_revocation: v.optional(ending, DEFAULT_LIFETIME.atRevocation),
  at_reload: v.optional(ending, DEFAULT_LIFETIME.atReload),
  max_session: v.optional(duration({ minMs: 1_000 })),
  idle_timeout: v.optional(duration({ minMs: 1_000 })),
  idle_in_transaction_timeout: v.optional(duration({ minMs: 1_000 })),
  reintrospect: v.optional(duration({ minMs: SHORTEST_REINTROSPECTION_MS })),
};

/** What a rule's table says with the keys of {@link lifetimeEntries}. */
export function lifetimeOf(
  table: v.InferOutput<v.StrictObjectSchema<typeof lifetimeEntries, undefined>>,
): Lifetime {
  return {
    atExpiry: table.at_expiry,
    atRevocation: table.at_revocation,
    atReload: table.at_reload,
    maxSessionMs: table.max_session,
    idleMs: table.idle_timeout,
    idleInTransactionMs: table.idle_in_transaction_timeout,
    reintrospectMs: table.reintrospect,
  };
}
