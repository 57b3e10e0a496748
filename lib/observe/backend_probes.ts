import type { After } from "../timers.ts";
import type { ProxyEvent } from "./events.ts";

/** What {@link BackendProbes} need. */
export interface BackendProbesOptions {
  /** Names, in order. */
  readonly backends: readonly string[];
  /** Rejects with what is wrong when the backend is not there; must end soon by itself. */
  readonly probe: (backend: string) => Promise<void>;
  /** When a backend answered last, a login or a probe, by `now`. */
  readonly answeredMs: (backend: string) => number | undefined;
  readonly report: (event: ProxyEvent) => void;
  /** Milliseconds on a clock that only goes forward. */
  readonly now: () => number;
  /** Calls `act` after so many milliseconds; what it gives takes that back. */
  readonly after: After;
  /** At least 0 and less than 1. */
  readonly random: () => number;
}

/** How long a backend may be silent until it is asked, in milliseconds: twice in the minute that readiness looks at. */
const ASK_AFTER_MS = 25_000;

/** How soon one that did not answer is asked again, in milliseconds: it should not be thought down for long when it is back. */
const ASK_AGAIN_AFTER_MS = 5_000;

/** Within how long each is asked for the first time, in milliseconds for each: hundreds of them are not dialled at once. */
const FIRST_SPREAD_MS = 10;

/** By how much the waits differ, so that the proxies of one balancer do not all ask at once. */
const JITTER = 0.1;

/**
 * Asks backends whether they are there while nobody logs in. One at which somebody does is not asked: logins say as much.
 */
export class BackendProbes implements Disposable {
  readonly #options: BackendProbesOptions;
  readonly #timers = new Map<string, () => void>();
  /** Those that did not answer when last asked. */
  readonly #absent = new Set<string>();
  #isClosed = false;

  constructor(options: BackendProbesOptions) {
    this.#options = options;
    const { backends, random } = options;
    for (const backend of backends) {
      this.#plan(backend, backends.length * FIRST_SPREAD_MS * random());
    }
  }

  [Symbol.dispose](): void {
    this.#isClosed = true;
    for (const stop of this.#timers.values()) stop();
  }

  #plan(backend: string, ms: number): void {
    if (!this.#isClosed) this.#timers.set(backend, this.#options.after(ms, () => this.#visit(backend)));
  }

  /** Never rejects. */
  async #visit(backend: string): Promise<void> {
    const { answeredMs, now, random } = this.#options;
    const silentMs = now() - (answeredMs(backend) ?? -Infinity);
    const jitter = 1 - JITTER + 2 * JITTER * random();
    if (silentMs < ASK_AFTER_MS) return this.#plan(backend, (ASK_AFTER_MS - silentMs) * jitter + 1);
    const isThere = await this.#ask(backend);
    this.#plan(backend, (isThere ? ASK_AFTER_MS : ASK_AGAIN_AFTER_MS) * jitter);
  }

  async #ask(backend: string): Promise<boolean> {
    const { probe, report, now } = this.#options;
    const startedMs = now();
    const problem = await probe(backend).then(() => undefined, problemOf);
    if (this.#isClosed) return false;
    const wasAbsent = this.#absent.has(backend);
    const isNews = wasAbsent === (problem === undefined);
    if (problem === undefined) this.#absent.delete(backend);
    else this.#absent.add(backend);
    report({ kind: "backend_probed", backend, problem, isNews, durationMs: Math.round(now() - startedMs) });
    return problem === undefined;
  }
}

/** An error of ours has two sentences; the one that a client would not be told is the one that says something. */
function problemOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const { reason } = error as Error & { readonly reason?: unknown };
  return typeof reason === "string" ? reason : error.message;
}
