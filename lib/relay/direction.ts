import type { ByteStream, ChunkTaker, Sender, StreamBroken } from "../stream/byte_stream.ts";
import type { Exchange } from "./exchange.ts";
import { HeaderWalk, type MessageListener } from "./header_walk.ts";

/** One way of an {@link Exchange}: what comes from one end goes on to the other as it came, and only headers are looked at. */
export abstract class Direction implements ChunkTaker, Sender, MessageListener {
  readonly walk: HeaderWalk;
  protected readonly exchange: Exchange;
  protected readonly from: ByteStream;
  protected readonly to: ByteStream;
  /** A chunk that is only lent cannot be given to an end that keeps it. */
  readonly #mustCopy: boolean;
  #bytes = 0;

  constructor(exchange: Exchange, { from, to }: { readonly from: ByteStream; readonly to: ByteStream }) {
    this.exchange = exchange;
    this.from = from;
    this.to = to;
    this.#mustCopy = from.lendsChunks && to.keepsChunks;
    this.walk = new HeaderWalk(this);
  }

  /** How many it has carried. */
  get bytes(): number {
    return this.#bytes;
  }

  /** Takes what was read ahead, and then all that comes. */
  begin(ahead: Uint8Array): void {
    try {
      if (ahead.length > 0 && !this.take(ahead)) return;
    } catch (cause) {
      return this.broke(cause);
    }
    this.goOn();
  }

  abstract readonly isAtRest: boolean;
  abstract take(chunk: Uint8Array): boolean;
  abstract ended(): void;
  abstract broke(cause: unknown): void;
  abstract message(type: number, firstByte: number): void;

  sent(broken?: StreamBroken): void {
    try {
      this.passed(broken);
    } catch (error) {
      // Thrown into an event of a socket it would end the program, and not this session alone.
      this.exchange.beginEnding().fail(error);
    }
    this.goOn();
  }

  /** What was passed has left, or it was in vain. */
  protected abstract passed(broken?: StreamBroken): void;

  /** Asks for more, after a `take` that took no more. */
  protected goOn(): void {
    this.from.giveTo(this);
  }

  /** Sends bytes on, for `sender`; whether it takes more. */
  protected pass(bytes: Uint8Array, sender: Sender = this): boolean {
    this.#bytes += bytes.length;
    return this.to.send(this.#mustCopy ? bytes.slice() : bytes, sender);
  }

  /** Looks at the headers in a chunk; false when they make no sense, which ends this session and no other. */
  protected walkOver(chunk: Uint8Array): boolean {
    try {
      this.walk.walk(chunk);
      return true;
    } catch (error) {
      this.exchange.beginEnding().fail(error);
      return false;
    }
  }
}
