/** How {@link waitUntil} waits. */
export interface WaitOptions {
  /** What is awaited, in words that finish the sentence "Waited in vain for …". */
  readonly what: string;
  /** Default 10 000 ms. */
  readonly timeoutMs?: number;
  /** Default 10 ms. */
  readonly intervalMs?: number;
}

/**
 * Asks again and again until the condition gives something truthy, and returns that.
 *
 * @throws {Error} when the time is over; what the condition threw last is its cause.
 */
export async function waitUntil<T>(
  condition: () => T | Promise<T>,
  { what, timeoutMs = 10_000, intervalMs = 10 }: WaitOptions,
): Promise<NonNullable<T>> {
  const deadline = performance.now() + timeoutMs;
  let cause: unknown;
  while (true) {
    try {
      const value = await condition();
      if (value) return value;
      cause = undefined;
    } catch (thrown) {
      cause = thrown;
    }
    if (performance.now() >= deadline) {
      throw new Error(`Waited in vain for ${what} (${timeoutMs} ms)`, { cause });
    }
    await new Promise((resolve) => setTimeout(resolve, intervalMs));
  }
}
