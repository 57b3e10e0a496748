/** Calls `act` after so many milliseconds, at most 2^31 - 1; what it gives takes that back. */
export type After = (ms: number, act: () => void) => () => void;

/** The machine's timers. */
export function startTimer(ms: number, act: () => void): () => void {
  const timer = setTimeout(act, ms);
  return () => clearTimeout(timer);
}

/**
 * Settles when everybody else has had their turn on the event loop. By a timer: as long as a `setImmediate` waits, Deno 2.9.6
 * looks at no socket.
 */
export function nextTurn(): Promise<void> {
  return new Promise((resolve) => void setTimeout(resolve, 0));
}

/** Settles when so much time has passed, when the signal aborts, or when everything is over. */
export async function untilDue(
  ms: number,
  { after, signal, isOver }: {
    readonly after: After;
    readonly signal?: AbortSignal;
    readonly isOver?: Promise<unknown>;
  },
): Promise<void> {
  if (signal?.aborted || ms === 0) return;
  const { promise, resolve } = Promise.withResolvers<void>();
  const stop = after(ms, resolve);
  signal?.addEventListener("abort", () => resolve(), { once: true });
  await Promise.race([promise, isOver].filter((one) => one !== undefined));
  stop();
}
