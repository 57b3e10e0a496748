import type { ByteStream } from "./byte_stream.ts";

/** How long a peer may take to read our last words, in milliseconds. */
const FAREWELL_MS = 2_000;

/**
 * Sends last words and closes, so that they arrive: closing a socket while the peer's bytes lie unread in it makes TCP
 * reset the connection, and a reset throws away what the peer has not read yet.
 */
export async function sayFarewell(stream: ByteStream, lastWords: Uint8Array): Promise<void> {
  const timer = setTimeout(() => stream.destroy(), FAREWELL_MS);
  try {
    await stream.write(lastWords);
    await stream.end();
    while (await stream.read() !== null);
  } catch {
    // The peer has left before us, or the time was up: there is nobody to tell.
  } finally {
    clearTimeout(timer);
    stream.destroy();
  }
}
