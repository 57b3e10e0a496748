import { formatAddress } from "./address.ts";
import type { SessionEvent } from "./observe/events.ts";
import type { SessionHouse } from "./session_settings.ts";
import type { PeerAddress } from "./stream/byte_stream.ts";

type DistributiveOmit<T, K extends PropertyKey> = T extends unknown ? Omit<T, K> : never;

/** What happens in one connection's life, told to the observer with whose it is. */
export class Chronicle {
  #connection: SessionEvent["connection"];
  readonly #house: SessionHouse;
  readonly #startedMs: number;

  constructor(
    { address, port }: PeerAddress,
    { id, house }: { readonly id: number; readonly house: SessionHouse },
  ) {
    this.#connection = { id, clientAddress: formatAddress(address, port) };
    this.#house = house;
    this.#startedMs = house.now();
  }

  /** The connection has turned out to be this one's, who has come by the peer known so far. */
  introduce({ address, port }: PeerAddress): void {
    const { id, clientAddress: via } = this.#connection;
    this.#connection = { id, clientAddress: formatAddress(address, port), via };
  }

  /** It goes on inside TLS of this version, as `TLSv1.3`. */
  secured(tlsVersion: string): void {
    this.#connection = { ...this.#connection, tlsVersion };
  }

  /** Milliseconds since the connection was accepted. */
  get elapsedMs(): number {
    return Math.round(this.#house.now() - this.#startedMs);
  }

  /** Tells of one event. */
  note(event: DistributiveOmit<SessionEvent, "connection">): void {
    this.#house.observe({ connection: this.#connection, ...event } as SessionEvent);
  }
}
