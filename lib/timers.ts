/** Calls `act` after so many milliseconds, at most 2^31 - 1; what it gives takes that back. */
export type After = (ms: number, act: () => void) => () => void;

/** The machine's timers. */
export function startTimer(ms: number, act: () => void): () => void {
  const timer = setTimeout(act, ms);
  return () => clearTimeout(timer);
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
