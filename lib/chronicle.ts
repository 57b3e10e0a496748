import { formatAddress } from "./address.ts";
import type { SessionEvent } from "./observe/events.ts";
import type { SessionHouse } from "./session_settings.ts";
import type { PeerAddress } from "./stream/byte_stream.ts";

type DistributiveOmit<T, K extends PropertyKey> = T extends unknown ? Omit<T, K> : never;

/**
 * What happens in one connection's life, told to the observer with whose it is.
 *
 * Most sessions are idle, and there are many: what is told each time is put together each time, and not kept.
 */
export class Chronicle {
  readonly #id: number;
  readonly #house: SessionHouse;
  readonly #startedMs: number;
  #peer: PeerAddress;
  /** Whom it has come by, if that was another. */
  #via: PeerAddress | null = null;
  #tlsVersion: string | undefined;

  constructor(peer: PeerAddress, { id, house }: { readonly id: number; readonly house: SessionHouse }) {
    this.#id = id;
    this.#house = house;
    this.#peer = peer;
    this.#startedMs = house.now();
  }

  /** The connection has turned out to be this one's, who has come by the peer known so far. */
  introduce(peer: PeerAddress): void {
    this.#via = this.#peer;
    this.#peer = peer;
  }

  /** It goes on inside TLS of this version, as `TLSv1.3`. */
  secured(tlsVersion: string): void {
    this.#tlsVersion = tlsVersion;
  }

  /** Milliseconds since the connection was accepted. */
  get elapsedMs(): number {
    return Math.round(this.#house.now() - this.#startedMs);
  }

  /** Tells of one event. */
  note(event: DistributiveOmit<SessionEvent, "connection">): void {
    this.#house.observe({ connection: this.#connection, ...event } as SessionEvent);
  }

  get #connection(): SessionEvent["connection"] {
    return {
      id: this.#id,
      clientAddress: formatPeer(this.#peer),
      via: this.#via === null ? undefined : formatPeer(this.#via),
      tlsVersion: this.#tlsVersion,
    };
  }
}

function formatPeer({ address, port }: PeerAddress): string {
  return formatAddress(address, port);
}
