import type { ListenAddress } from "./listen_address.ts";
import type { ConnListener } from "./stream/conn_listener.ts";
import { type Listener, type ListenerEvents, listenForAMoment } from "./stream/listener.ts";

/** Why a proxy cannot serve, as a sentence that says what to do. */
export class CannotServe extends Error {
  override readonly name = "CannotServe";
}

/**
 * Listens on an address.
 *
 * @throws {CannotServe} when it cannot be listened on
 */
export async function openListener(
  kind: typeof Listener | typeof ConnListener,
  { address, events, isShared }: { address: ListenAddress; events: ListenerEvents; isShared: boolean },
): Promise<Listener | ConnListener> {
  try {
    return await kind.open({ ...address, isShared }, events);
  } catch (error) {
    throw cannotListen(error);
  }
}

/**
 * An address that is shared may be shared with any program of this user: with none, if it is free before.
 *
 * @throws {CannotServe} when it is not, or cannot be listened on
 */
export function makeSureIsFree(address: ListenAddress): void {
  try {
    listenForAMoment(address);
  } catch (error) {
    throw cannotListen(error);
  }
}

function cannotListen(cause: unknown): CannotServe {
  return new CannotServe(`cannot listen on listen.address: ${whyNotListening(cause)}`, { cause });
}

/** Why an address cannot be listened on, and what to do about it, as a clause. */
export function whyNotListening(error: unknown): string {
  const { code, message } = error as Error & { readonly code?: string };
  return LISTEN_ERRORS[code ?? ""] ?? message;
}

const NOT_OURS = "this machine has no such address; choose one it has, or 0.0.0.0 for all";

const LISTEN_ERRORS: Readonly<Record<string, string>> = {
  EADDRINUSE: "another program listens there already; stop it or choose another port",
  // Deno 2.9.6 says so of an address that is not this machine's.
  EINVAL: NOT_OURS,
  EADDRNOTAVAIL: NOT_OURS,
  EACCES: "this user may not listen on that port; choose one above 1023",
};
