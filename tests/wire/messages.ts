import { decodeMessage, encodeMessage, type Message } from "../../lib/wire/message.ts";

/** Any message, its type forgotten: what the tests that walk every message work on. */
export type AnyMessage = Message<unknown>;

/**
 * Every message that a file of `lib/wire/` exports, in the order of their names: one that is added there is found
 * here, and the tests then ask for its arbitrary and its golden bytes.
 */
export const messages: readonly AnyMessage[] = await exportedMessages();

/** The body of an encoded message: what stands behind its type byte, if it has one, and its length. */
export function encodeBody<M>(message: Message<M>, value: M): Uint8Array<ArrayBuffer> {
  return encodeMessage(message, value).subarray(headerLength(message));
}

/** Encodes and decodes again. */
export function roundTrip<M>(message: Message<M>, value: M): M {
  return decodeMessage(message, encodeBody(message, value));
}

/** Bytes before the body: type byte and length, or the length alone. */
export function headerLength(message: Message<unknown>): number {
  return message.type === null ? 4 : 5;
}

/** A header that declares `length` for `message`, and nothing behind it. */
export function header(message: AnyMessage, length: number): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(headerLength(message));
  if (message.type !== null) bytes[0] = message.type;
  new DataView(bytes.buffer).setUint32(bytes.length - 4, length);
  return bytes;
}

async function exportedMessages(): Promise<AnyMessage[]> {
  const room = new URL("../../lib/wire/", import.meta.url);
  const found = new Map<string, AnyMessage>();
  for await (const file of Deno.readDir(room)) {
    if (!file.name.endsWith(".ts")) continue;
    const exports: unknown[] = Object.values(await import(new URL(file.name, room).href));
    for (const message of exports.filter(isMessage)) found.set(message.name, message);
  }
  return [...found.values()].sort((a, b) => a.name.localeCompare(b.name));
}

function isMessage(value: unknown): value is AnyMessage {
  return typeof value === "object" && value !== null && "maxLength" in value && "decode" in value &&
    "encode" in value;
}
