import { PgError, protocolViolation } from "../errors.ts";
import { SQLSTATE } from "../sqlstate.ts";
import type { Message } from "./message.ts";

/** One message as it came: which of those expected, and its body without type byte and length. */
export interface Frame<M> {
  readonly message: Message<M>;
  /** All of it. */
  readonly bytes: Uint8Array;
  readonly body: Uint8Array;
}

/** A message is over its limit: a login may have an answer of its own to that. */
export class MessageTooLong extends PgError {}

/** Bytes of a type byte and a length field. */
export const HEADER_LENGTH = 5;

/**
 * Cuts a byte stream into the messages of a login.
 *
 * It decides 'complete, and small enough for this phase' from the header alone; what it holds is what the peer really
 * sent, never what the peer merely declared.
 */
export class Framing {
  /** What was received and not yet taken stands in it from `#start` to `#end`. */
  #buffer = EMPTY;
  #start = 0;
  #end = 0;

  /** Bytes received and not yet taken. */
  get buffered(): number {
    return this.#end - this.#start;
  }

  /** Adds what was read; it is copied. */
  push(chunk: Uint8Array): void {
    const length = this.buffered + chunk.length;
    if (this.#end + chunk.length > this.#buffer.length) {
      // Twice what is needed: a peer that sends byte by byte must not make each byte cost a copy of all before it.
      const grown = new Uint8Array(length <= this.#buffer.length / 2 ? this.#buffer.length : length * 2);
      grown.set(this.#bytes);
      this.#buffer = grown;
      this.#end -= this.#start;
      this.#start = 0;
    }
    this.#buffer.set(chunk, this.#end);
    this.#end += chunk.length;
  }

  /** The first byte, left in place; `undefined` when there is none yet. */
  peek(): number | undefined {
    return this.buffered === 0 ? undefined : this.#buffer[this.#start];
  }

  /** Takes one byte; `undefined` when there is none yet. */
  takeByte(): number | undefined {
    return this.buffered === 0 ? undefined : this.#take(1)[0];
  }

  /** Takes what a decoder has found in front, `length` bytes of it; `null` when that is not complete yet. */
  takeBy<T extends { readonly length: number }>(decode: (bytes: Uint8Array) => T | null): T | null {
    const found = decode(this.#bytes);
    if (found !== null) this.#take(found.length);
    return found;
  }

  /** Takes everything that is buffered. */
  takeAll(): Uint8Array<ArrayBuffer> {
    return this.#take(this.buffered);
  }

  /**
   * Takes one message of those expected; `null` when it is not complete yet.
   *
   * @throws {PgError} 08P01 when another message begins, or its length is impossible
   * @throws {MessageTooLong} 08P01 when its length is over its limit
   */
  take<M>(expected: readonly Message<M>[]): Frame<M> | null {
    const message = this.#expectedOf(expected);
    if (message === null) return null;
    const lengthAt = message.type === null ? 0 : 1;
    if (this.buffered < lengthAt + 4) return null;
    const length = new DataView(this.#buffer.buffer).getUint32(this.#start + lengthAt);
    if (length < 4) throw protocolViolation(`invalid length of ${message.name}`);
    if (length > message.maxLength) {
      throw new MessageTooLong(
        SQLSTATE.protocolViolation,
        `${message.name} is longer than the ${message.maxLength} bytes allowed`,
      );
    }
    if (this.buffered < lengthAt + length) return null;
    const bytes = this.#take(lengthAt + length);
    return { message, bytes, body: bytes.subarray(lengthAt + 4) };
  }

  #expectedOf<M>(expected: readonly Message<M>[]): Message<M> | null {
    const untyped = expected.find((message) => message.type === null);
    if (untyped !== undefined) return untyped;
    const type = this.peek();
    if (type === undefined) return null;
    const message = expected.find((message) => message.type === type);
    if (message !== undefined) return message;
    const names = expected.map((message) => message.name).join(" or ");
    throw protocolViolation(`expected ${names}, got message type ${printableType(type)}`);
  }

  get #bytes(): Uint8Array<ArrayBuffer> {
    return this.#buffer.subarray(this.#start, this.#end);
  }

  /** What is taken is copied: it may outlive the buffer. */
  #take(length: number): Uint8Array<ArrayBuffer> {
    const taken = this.#buffer.slice(this.#start, this.#start + length);
    this.#start += length;
    if (this.buffered === 0) {
      this.#buffer = EMPTY;
      this.#start = this.#end = 0;
    }
    return taken;
  }
}

const EMPTY = new Uint8Array(0);

/** A type byte as a person can read it: its letter, or its number. */
export function printableType(type: number): string {
  const isLetter = type > 0x20 && type < 0x7f;
  return isLetter ? `"${String.fromCharCode(type)}"` : `0x${type.toString(16).padStart(2, "0")}`;
}
