import type { ClaimPath } from "../claims/claim_path.ts";
import type { Secret } from "../secret.ts";
import { pseudonym } from "./pseudonym.ts";

/** Who a client is, in the words that log and backend may have. */
export interface Recorded {
  /** The claim's value that matched, or else the token's subject, if it has one; or a pseudonym. */
  readonly identity?: string;
  /** The token's id, if it has one, or a pseudonym of it. */
  readonly tokenId?: string;
}

/** What {@link recordedOf} chooses from. */
export interface Recordable {
  readonly token: { readonly issuer: string; readonly subject?: string; readonly tokenId?: string };
  /** Where the rule looked for who the client is, and what it found. */
  readonly claim: ClaimPath;
  readonly matched?: string;
  readonly recordsIdentity: boolean;
  readonly pseudonymKey?: Secret;
  /** In milliseconds since 1970. */
  readonly nowMs: number;
}

/**
 * What may be recorded of a client: as it is, or pseudonyms.
 *
 * A pseudonym is of the subject where there is one, whatever claim the rule looks at: the same person has the same by
 * every rule. Without a key nothing is recorded; the configuration does not come to that.
 */
export function recordedOf(
  { token, claim, matched, recordsIdentity, pseudonymKey, nowMs }: Recordable,
): Recorded {
  const { issuer, subject, tokenId } = token;
  if (recordsIdentity) return { identity: matched ?? subject, tokenId };
  const of = (claim: string, value: string | undefined) =>
    value === undefined || pseudonymKey === undefined
      ? undefined
      : pseudonym(pseudonymKey, { issuer, claim, value, nowMs });
  const identity = subject === undefined ? of(claim.text, matched) : of("sub", subject);
  return { identity, tokenId: of("jti", tokenId) };
}
