/** What becomes of a session: nothing, or an end between two transactions, or an end at once. */
export type Ending = "keep" | "end_when_idle" | "end_now";

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
  /** How often the issuer is asked again, in milliseconds; undefined: never. */
  readonly reintrospectMs?: number;
}

/** What holds where a rule says nothing. */
export const DEFAULT_LIFETIME: Lifetime = {
  atExpiry: "keep",
  atRevocation: "end_when_idle",
  atReload: "end_when_idle",
};
