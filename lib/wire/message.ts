// The room `wire/`: bytes become messages and messages become bytes, on Uint8Array and DataView, and nothing else happens.
// In: one whole message body. Out: a value named as the PostgreSQL documentation names it; or the reverse.
// Chapter: https://www.postgresql.org/docs/18/protocol-message-formats.html
import { Reader } from "./reader.ts";
import { Writer } from "./writer.ts";

/** One message of the protocol: how it reads, how it is written, and how long it may be. */
export interface Message<M> {
  /** The documentation's name, as `PasswordMessage`. */
  readonly name: string;
  /** The type byte; `null` for the packets that open a connection, which have none. */
  readonly type: number | null;
  /** The largest length field accepted, in bytes and counting itself: decided before anything is allocated. */
  readonly maxLength: number;
  decode(reader: Reader): M;
  encode(writer: Writer, value: M): void;
}

/** The type byte of a message, from its letter. */
export function typeByte(letter: string): number {
  return letter.charCodeAt(0);
}

/**
 * Decodes one whole body, which must be used up.
 *
 * @throws {PgError} 08P01 when a field is malformed or bytes are left
 */
export function decodeMessage<M>(message: Message<M>, body: Uint8Array): M {
  const reader = new Reader(body, message.name);
  const value = message.decode(reader);
  reader.end();
  return value;
}

/** Encodes one message with its type byte, if it has one, and its length. */
export function encodeMessage<M>(message: Message<M>, value: M): Uint8Array<ArrayBuffer> {
  const writer = new Writer();
  writer.begin(message.type);
  message.encode(writer, value);
  return writer.finish();
}
