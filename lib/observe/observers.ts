import type { Observer } from "./events.ts";

/**
 * One observer that tells several, in order. One that throws harms neither the others nor the session that something was
 * told of; `complain` hears of the first time each does.
 */
export function tellAll(
  observers: readonly Observer[],
  complain: (error: unknown) => void,
): Observer {
  const complainedOf = new Set<Observer>();
  return (event) => {
    for (const observer of observers) {
      try {
        observer(event);
      } catch (error) {
        if (complainedOf.has(observer)) continue;
        complainedOf.add(observer);
        complain(error);
      }
    }
  };
}
