import type { Server } from "node:net";

/** Connections the system keeps waiting for us; it cuts this to what it allows. */
export const BACKLOG = 511;

/**
 * Makes up for Deno 2.9, whose `node:net` servers, those of `node:http` too, never accept again once file descriptors have
 * run out, and do not say so (W13). Listening anew on the same socket wakes them, and costs next to nothing where it is not
 * needed.
 */
export function acceptAgain(server: Server): void {
  const { _handle: handle } = server as { _handle?: { listen?(backlog: number): number } | null };
  handle?.listen?.(BACKLOG);
}
