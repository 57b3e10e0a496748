import type { HeaderWalk } from "./header_walk.ts";

/**
 * Walks over a chunk and puts `messages` where the first message in it ends; gives the chunk itself where none does.
 *
 * @throws {PgError} 08P01 as {@link HeaderWalk.walk}
 */
export function insertBetweenMessages(
  chunk: Uint8Array,
  { messages, walk }: { readonly messages: Uint8Array; readonly walk: HeaderWalk },
): Uint8Array {
  const at = walk.finishMessage(chunk);
  if (!walk.isBetweenMessages) return chunk;
  walk.walk(chunk.subarray(at));
  const bytes = new Uint8Array(chunk.length + messages.length);
  bytes.set(chunk.subarray(0, at));
  bytes.set(messages, at);
  bytes.set(chunk.subarray(at), at + messages.length);
  return bytes;
}
