/** A value, or the promise of one: whoever gives it may be at hand, or in another thread. */
export type Soon<T> = T | Promise<T>;

/** Hands a value on as soon as it is there: at once where it is, so that nothing can come in between. */
export function whenThere<T>(value: Soon<T>, use: (value: T) => void): void {
  if (value instanceof Promise) void value.then(use);
  else use(value);
}
