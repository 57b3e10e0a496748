import type { HeaderWalk } from "./header_walk.ts";

/**
 * Walks over a chunk and puts `messages` where the message that it goes on with ends; gives the chunk itself where that does
 * not end in it.
 *
 * @throws {PgError} 08P01 as {@link HeaderWalk.walk}
 */
export function insertBetweenMessages(
  chunk: Uint8Array,
  { messages, walk }: { readonly messages: Uint8Array; readonly walk: HeaderWalk },
): Uint8Array {
  const at = walk.isBetweenMessages ? 0 : walk.walkMessage(chunk);
  if (!walk.isBetweenMessages) return chunk;
  walk.walk(chunk.subarray(at));
  const bytes = new Uint8Array(chunk.length + messages.length);
  bytes.set(chunk.subarray(0, at));
  bytes.set(messages, at);
  bytes.set(chunk.subarray(at), at + messages.length);
  return bytes;
}
