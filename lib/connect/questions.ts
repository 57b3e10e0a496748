import { question } from "../dialogue.ts";
import { PgError } from "../errors.ts";
import type { Secret } from "../secret.ts";
import { SQLSTATE } from "../sqlstate.ts";
import type { Host } from "./host.ts";
import type { ScramKeys } from "./scram_keys.ts";
import type { Sslmode } from "./target.ts";

/** Where to connect to. */
export interface Dial {
  readonly host: Host;
  /** How long connecting and logging in may take together, before the next host is tried. */
  readonly timeoutMs: number;
}

/** What a wait ends with, at whatever point of the login, when a host has used up its {@link Dial.timeoutMs}. */
export class ConnectTimeout extends PgError {
  constructor() {
    super(SQLSTATE.sqlclientUnableToEstablishSqlconnection, "could not reach the backend in time", {
      blame: "backend",
      reason: "it took longer than connect_timeout",
    });
  }
}

/**
 * What TLS ends with when a host is no longer known by the authority it was known by before, and not all of those trusted were
 * asked: dialled again, it may be found good.
 */
export class OtherAuthority extends PgError {
  constructor() {
    super(SQLSTATE.sqlclientUnableToEstablishSqlconnection, "could not establish TLS with the backend", {
      blame: "backend",
      reason: "its certificate is no longer of the authority it was of before",
    });
  }
}

/** How to go on inside TLS. */
export interface StartTls {
  /** The name the certificate must be for when `sslmode` is verify-full, and that SNI tells unless it is an address. */
  readonly serverName: string;
  readonly sslmode: Exclude<Sslmode, "disable">;
  /** Whether the backend has to choose our protocol: without SSLRequest only ALPN shows that PostgreSQL is spoken. */
  readonly isAlpnRequired: boolean;
}

/** What TLS showed of the backend. */
export interface StartedTls {
  /** Its own certificate, in DER, where the TLS in use can tell. */
  readonly certificate?: Uint8Array;
}

/** What SCRAM makes its keys from. */
export interface Salting {
  /** As it is configured. */
  readonly password: Secret;
  readonly salt: Uint8Array;
  readonly iterations: number;
}

/**
 * Connects to a backend; the messages that follow are spoken there. It is answered by PgError 08001 when that cannot be
 * done, and by {@link ConnectTimeout}, as every later wait, when it takes too long.
 */
export const dial = question<Dial, void>("dial");

/**
 * Goes on inside TLS on the connection dialled. Answered by PgError 08001 when the handshake or the certificate fails, by
 * {@link OtherAuthority} when it is worth another try.
 */
export const startTls = question<StartTls, StartedTls>("startTls");

/** Closes the connection dialled, because another one will be. */
export const hangUp = question<void, void>("hangUp");

/** That many bytes nobody can guess. */
export const randomBytes = question<number, Uint8Array>("randomBytes");

/** SCRAM's keys: thousands of hashes, so they are computed off the event loop. */
export const deriveScramKeys = question<Salting, ScramKeys>("deriveScramKeys");
