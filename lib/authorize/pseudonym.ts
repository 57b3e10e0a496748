import { createHmac } from "node:crypto";
import type { Secret } from "../secret.ts";

/** What a {@link pseudonym} stands for. */
export interface Pseudonymous {
  /** The configured name of the issuer: two issuers may each have an alice. */
  readonly issuer: string;
  /** The claim the value comes from, so that a subject and a token id of the same text are not the same. */
  readonly claim: string;
  readonly value: string;
  /** When it is asked for, in milliseconds since 1970. */
  readonly nowMs: number;
}

/** 128 bits: no two of a day meet by chance. */
const LENGTH_HEX = 32;

/**
 * What stands in logs and at backends for who somebody is: the same all through a day of UTC, on every machine with the
 * same key, and another the next day. Nobody without the key can find out whose it is by trying names.
 *
 * @see RFC 2104
 */
export function pseudonym(key: Secret, { issuer, claim, value, nowMs }: Pseudonymous): string {
  const day = new Date(nowMs).toISOString().slice(0, "2000-01-01".length);
  // As JSON, because texts that are merely joined could be cut apart in another place.
  const text = JSON.stringify([day, issuer, claim, value]);
  return createHmac("sha256", key.reveal()).update(text).digest("hex").slice(0, LENGTH_HEX);
}
