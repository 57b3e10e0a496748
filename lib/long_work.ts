import type { Soon } from "./soon.ts";
import { nextTurn } from "./timers.ts";

/** Work that may take long: it yields wherever others may have their turn on the event loop. */
export type LongWork<T> = Generator<void, T, void>;

/** How long work is done: {@link inTurns} where somebody else may be waiting, {@link atOnce} where nobody is. */
export type Pace = <T>(work: LongWork<T>) => Soon<T>;

/** How long one turn lasts, in milliseconds; the time between two yields comes on top of it. */
const TURN_MS = 2;

/** What {@link inTurns} takes. */
export interface TurnsOutside {
  /** Milliseconds on a clock that only goes forward; default: the machine's. */
  readonly now?: () => number;
  /** Settles when it is our turn again; default: when everybody else has had theirs. */
  readonly pause?: () => Promise<void>;
}

/** Does the work: at once where one turn is enough, else others have theirs after each of ours. */
export function inTurns<T>(work: LongWork<T>, outside: TurnsOutside = {}): Soon<T> {
  const { now = () => performance.now(), pause = untilOurTurn } = outside;
  const step = oneTurn(work, now);
  return step.done ? step.value : otherTurns(work, { now, pause });
}

/** Does the work from beginning to end. */
export function atOnce<T>(work: LongWork<T>): T {
  for (;;) {
    const step = work.next();
    if (step.done) return step.value;
  }
}

async function otherTurns<T>(work: LongWork<T>, { now, pause }: Required<TurnsOutside>): Promise<T> {
  for (;;) {
    await pause();
    const step = oneTurn(work, now);
    if (step.done) return step.value;
  }
}

function oneTurn<T>(work: LongWork<T>, now: () => number): IteratorResult<void, T> {
  const untilMs = now() + TURN_MS;
  for (;;) {
    const step = work.next();
    if (step.done || now() >= untilMs) return step;
  }
}

/** Of all who wait for another turn, the last. */
let lastInLine: Promise<void> = Promise.resolve();

/** One at a time: the turns of many would be as long together as none of them may be. */
function untilOurTurn(): Promise<void> {
  return lastInLine = lastInLine.then(nextTurn);
}
