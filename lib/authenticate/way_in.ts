import type { WayIn, WayInSettings } from "./schema.ts";
import { isWithin } from "../network.ts";

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

/** A table of `[[ways_in]]`, and what it leads to. */
export interface WayInRule {
  /** Its listeners are as {@link Arrival.listener}, its server names in small letters. */
  readonly settings: WayInSettings;
  readonly way: WayIn;
}

/** The way in of the first rule that fits; where none does, the token is presented as the password. */
export function chooseWayIn(ways: readonly WayInRule[], arrival: Arrival): WayIn {
  return ways.find(({ settings }) => fits(settings, arrival))?.way ?? { method: "password" };
}

function fits(
  { listeners, server_names, networks, databases, users }: WayInSettings,
  arrival: Arrival,
): boolean {
  return (listeners === undefined || listeners.includes(arrival.listener)) &&
    (server_names === undefined || isNamed(arrival.serverName, server_names)) &&
    (networks === undefined || isWithin(arrival.clientAddress, networks)) &&
    (databases === undefined || isAmong(arrival.database, databases)) &&
    (users === undefined || isAmong(arrival.user, users));
}

function isAmong(name: string, names: readonly string[]): boolean {
  return names.includes("*") || names.includes(name);
}

/** As in certificates, an asterisk stands for one label. */
function isNamed(serverName: string | null, names: readonly string[]): boolean {
  if (serverName === null) return false;
  const name = serverName.toLowerCase();
  return names.includes(name) || names.includes(name.replace(/^[^.]+/, "*"));
}
