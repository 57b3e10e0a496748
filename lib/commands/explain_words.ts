import type { WayIn } from "../authenticate/schema.ts";
import type { Candidate } from "../authorize/candidates.ts";
import type { Granted } from "../authorize/decide.ts";
import { formatDuration } from "../duration.ts";
import { printable } from "../printable.ts";
import type { VerifiedToken } from "../token/verified_token.ts";
import type { Asking } from "./asking.ts";
import { timeOf } from "./claims_shown.ts";

/** What is known of a good token besides its claims. */
export function saysGood({ issuer, expiresAtMs, tokenId }: VerifiedToken, nowMs: number): string {
  const id = tokenId === undefined ? "" : `, jti ${quoted(tokenId)}`;
  return `good, of the issuer ${issuer}, expires ${timeOf(expiresAtMs, nowMs)}${id}`;
}

/** How the token would have to be presented. */
export function saysWay({ method, issuer, challenge }: WayIn): string {
  const scope = challenge === undefined ? "" : `, scope "${challenge.scope}"`;
  return `${method}, tokens of ${issuer ?? "any issuer"}${scope}`;
}

/** What its bearer asks for, and what of it the rules have chosen. */
export function saysAsked({ user, database }: Candidate, asking: Asking): string {
  const chosen = [
    ...(asking.user === undefined ? ["--user"] : []),
    ...(asking.database === undefined ? ["--database"] : []),
  ];
  const isChosen = chosen.length === 0
    ? ""
    : ` (chosen by the rules: give ${chosen.join(" and ")} for another)`;
  return `user ${quoted(user)}, database ${quoted(database)}${isChosen}`;
}

/** How long the session would last. */
export function saysLifetime({ lifetime }: Granted): string {
  const { atExpiry, atRevocation, atReload, maxSessionMs, idleMs, idleInTransactionMs, reintrospectMs } =
    lifetime;
  const lasts = (ms: number | undefined, otherwise: string) =>
    ms === undefined ? otherwise : formatDuration(ms);
  return [
    `at_expiry ${atExpiry}`,
    `at_revocation ${atRevocation}`,
    `at_reload ${atReload}`,
    `max_session ${lasts(maxSessionMs, "none")}`,
    `idle_timeout ${lasts(idleMs, "none")}`,
    `idle_in_transaction_timeout ${lasts(idleInTransactionMs, "none")}`,
    `reintrospect ${lasts(reintrospectMs, "never")}`,
  ].join(", ");
}

/** A name or a value of the configuration or the token. */
export function quoted(value: string): string {
  return `"${printable(value)}"`;
}
