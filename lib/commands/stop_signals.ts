/** The signals that end the program. SIGHUP, which a closing terminal sends too, ends nothing. */
export type StopSignal = "SIGTERM" | "SIGINT";

/** What signals need from outside. */
export interface SignalsOutside {
  /** Calls `act` each time that the signal comes. */
  readonly listen: (signal: StopSignal, act: () => void) => void;
  /** Milliseconds on a clock that only goes forward. */
  readonly now: () => number;
}

/** This process. */
const THIS_PROCESS: SignalsOutside = { listen: Deno.addSignalListener, now: () => performance.now() };

/**
 * How soon behind a SIGINT another one is the same, in milliseconds: of Ctrl-C the terminal tells every program in front,
 * and `deno task` or `npx` among them tells ours once more.
 */
const ECHO_MS = 200;

/** The first SIGTERM or SIGINT aborts `signal`: the program is to end. Another aborts `now`: it is to end at once. */
export function stopSignals(
  { listen, now: clock }: SignalsOutside = THIS_PROCESS,
): { readonly signal: AbortSignal; readonly now: AbortSignal } {
  const stop = new AbortController();
  const now = new AbortController();
  let interruptedMs = -Infinity;
  const act = () => (stop.signal.aborted ? now : stop).abort();
  listen("SIGTERM", act);
  listen("SIGINT", () => {
    if (clock() - interruptedMs < ECHO_MS) return;
    interruptedMs = clock();
    act();
  });
  return { signal: stop.signal, now: now.signal };
}
