import { protocolViolation } from "../errors.ts";
import { HEADER_LENGTH } from "../wire/framing.ts";

/** Who is told of the messages of one direction. */
export interface MessageListener {
  /**
   * The last byte of a message has passed.
   *
   * @param type the type byte
   * @param firstByte the first byte of the body, or -1 when the body is empty
   */
  message(type: number, firstByte: number): void;
}

/**
 * Steps over the messages of one direction, reading nothing but headers and the first byte of each body.
 *
 * Who gets half a message can do nothing with it, so it is reported when it is whole, however it is cut into chunks. The
 * walk holds no bytes of its own.
 */
export class HeaderWalk {
  readonly #listener: MessageListener;
  /** Of a message whose header a chunk's end cut short: how many bytes were seen, and its length so far. */
  #headerSeen = 0;
  #length = 0;
  /** Of the message it stands in, or of the last one. */
  #type = 0;
  /** Bytes of the current body still to come. */
  #bodyLeft = 0;
  /** The first byte of that body, or -1 while it is still to come. */
  #firstByte = -1;

  constructor(listener: MessageListener) {
    this.#listener = listener;
  }

  /** Whether the last chunk ended between two messages. */
  get isBetweenMessages(): boolean {
    return this.#headerSeen === 0 && this.#bodyLeft === 0;
  }

  /** The type of the last message that has begun; 0 before the first. */
  get lastType(): number {
    return this.#type;
  }

  /**
   * Walks over one chunk.
   *
   * @throws {PgError} 08P01 when a length is impossible: where the next message begins is then unknown
   */
  walk(chunk: Uint8Array): void {
    const end = chunk.length;
    let at = 0;
    while (at < end) {
      if (this.#bodyLeft > 0) {
        at += this.#walkBody(chunk, at);
        continue;
      }
      if (this.#headerSeen > 0 || end - at < HEADER_LENGTH) {
        at = this.#collectHeader(chunk, at);
        continue;
      }
      // The common case: a whole header in one piece. `>>> 0`: a length is unsigned, or a message could run backwards.
      const length =
        ((chunk[at + 1] << 24) | (chunk[at + 2] << 16) | (chunk[at + 3] << 8) | chunk[at + 4]) >>> 0;
      const type = this.#type = chunk[at];
      at += HEADER_LENGTH;
      const next = at + length - 4;
      if (length > 4 && next <= end) {
        this.#listener.message(type, chunk[at]);
        at = next;
      } else {
        this.#beginBody(length);
      }
    }
  }

  /**
   * Walks to the end of the message it stands in, or of the next one where it stands in none; returns how many bytes that
   * was. It then stands between two messages, or at the chunk's end.
   *
   * @throws {PgError} 08P01 as {@link walk}
   */
  walkMessage(chunk: Uint8Array): number {
    let at = 0;
    do {
      // Inside a header each byte may be its last one.
      const step = Math.min(this.#bodyLeft || 1, chunk.length - at);
      this.walk(chunk.subarray(at, at + step));
      at += step;
    } while (!this.isBetweenMessages && at < chunk.length);
    return at;
  }

  #walkBody(chunk: Uint8Array, from: number): number {
    if (this.#firstByte === -1) this.#firstByte = chunk[from];
    const step = Math.min(this.#bodyLeft, chunk.length - from);
    this.#bodyLeft -= step;
    if (this.#bodyLeft === 0) this.#listener.message(this.#type, this.#firstByte);
    return step;
  }

  #collectHeader(chunk: Uint8Array, from: number): number {
    let at = from;
    while (this.#headerSeen < HEADER_LENGTH && at < chunk.length) {
      const byte = chunk[at++];
      if (this.#headerSeen++ === 0) {
        this.#type = byte;
        this.#length = 0;
      } else {
        this.#length = (this.#length << 8) | byte;
      }
    }
    if (this.#headerSeen < HEADER_LENGTH) return at;
    this.#headerSeen = 0;
    this.#beginBody(this.#length >>> 0);
    return at;
  }

  #beginBody(length: number): void {
    if (length < 4) throw protocolViolation("invalid message length");
    this.#bodyLeft = length - 4;
    this.#firstByte = -1;
    if (length === 4) this.#listener.message(this.#type, -1);
  }
}
