import type { After } from "../timers.ts";
import type { Assignment, Membership, WorkerCalls, WorkerCensus } from "./calls.ts";
import { Desk, type DeskOptions } from "./desk.ts";
import { Line, LineDown, type Port } from "./line.ts";

/** Another thread of this program: a `Worker`. */
export interface Thread extends Port {
  addEventListener(
    type: "message" | "messageerror",
    listener: (event: { readonly data: unknown }) => void,
  ): void;
  addEventListener(
    type: "error",
    listener: (event: { readonly message: string; preventDefault(): void }) => void,
  ): void;
  terminate(): void;
}

/** Starts a thread in which {@link work} is called. */
export type StartThread = (name: string) => Thread;

/** How often a worker is looked at, in milliseconds, and how many looks it may leave unanswered: then it is given up. */
const LOOK_MS = 10_000;
const MAX_UNANSWERED = 3;

/** How long whoever asks for a census waits for one worker, in milliseconds. */
const CENSUS_MS = 2_000;

/** How late its event loop was is kept so many times: nobody may ask for it. */
const MAX_LAGS = 1_000;

/** How a worker was lost. */
export interface Loss {
  readonly reason: string;
  /** How many it had. */
  readonly connections: number;
  /** It says nothing any more, and may go on doing so: Deno 2.9.6 cannot end a thread that is caught in a loop. */
  readonly isStuck: boolean;
}

/** What a {@link Member} is made of. */
export interface MemberOptions extends Omit<DeskOptions, "ready"> {
  /** From 0. */
  readonly index: number;
  readonly startThread: StartThread;
  readonly after: After;
  /** It is gone by itself, and everything it had is given back. */
  readonly lost: (member: Member, loss: Loss) => void;
}

/** One worker, as the main thread has it. */
export class Member {
  readonly index: number;
  readonly startedMs: number;
  readonly line: Line<WorkerCalls>;
  readonly #thread: Thread;
  readonly #desk: Desk;
  readonly #options: MemberOptions;
  readonly #ready = Promise.withResolvers<void>();
  #census: WorkerCensus = {
    logins: 0,
    sessions: [],
    carried: [],
    workers: { heapBytes: 0, lagsSeconds: [] },
  };
  #stopLooking: () => void = () => {};
  #unanswered = 0;
  #isServing = false;
  #sessionsLost: number | undefined;
  #isOver = false;

  constructor(options: MemberOptions) {
    const { index, startThread, now } = options;
    this.index = index;
    this.#options = options;
    this.startedMs = now();
    this.#thread = startThread(`worker ${index + 1}`);
    this.#thread.addEventListener("error", (event) => {
      // Else it would be the end of the whole program.
      event.preventDefault();
      this.lose(event.message);
    });
    this.#desk = new Desk({ ...options, ready: () => this.#ready.resolve() });
    const failed = (error: unknown) => this.lose(`it was not understood: ${messageOf(error)}`);
    this.line = new Line<WorkerCalls>(this.#thread, this.#desk.calls, { failed });
    this.#desk.line = this.line;
    this.#ready.promise.catch(() => {});
    this.#lookLater();
  }

  /** Clients may come to it: until then it can be asked nothing. */
  get isServing(): boolean {
    return this.#isServing;
  }

  /**
   * Has it begin to serve.
   *
   * @returns the port of each address
   * @throws {CannotServe} when it cannot
   * @throws {LineDown} when it is gone before
   */
  async open(
    about: { readonly assignment: Assignment; readonly membership: Membership },
  ): Promise<ReadonlyMap<string, number>> {
    await this.#ready.promise;
    const ports = await this.line.ask("open", about);
    this.#isServing = true;
    return ports;
  }

  /** What it has said of itself last. */
  get lastCensus(): WorkerCensus {
    return this.#census;
  }

  /** How many sessions it has, or had when it was gone. */
  get sessionCount(): number {
    return this.#sessionsLost ?? this.#desk.sessionCount;
  }

  /** Settles when it has said what is so of it now, or has had the time to. */
  async askCensus(): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    const stop = this.#options.after(CENSUS_MS, resolve);
    await Promise.race([promise, this.#askCensus()]);
    stop();
  }

  /** By how much its event loop was late, in seconds: each is told once. */
  takeLags(): readonly number[] {
    const { lagsSeconds, ...workers } = this.#census.workers;
    this.#census = { ...this.#census, workers: { ...workers, lagsSeconds: [] } };
    return lagsSeconds;
  }

  /** Ends its thread. */
  end(reason: string): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#sessionsLost = this.#desk.sessionCount;
    this.#stopLooking();
    this.#thread.terminate();
    this.line.hangUp(reason);
    this.#ready.reject(new LineDown(reason));
    this.#desk.close(reason);
  }

  /** It is of no use any more: ends it, and tells so. */
  lose(reason: string, { isStuck = false } = {}): void {
    if (this.#isOver) return;
    const connections = this.#desk.connectionCount;
    this.end(reason);
    this.#options.lost(this, { reason, connections, isStuck });
  }

  async #askCensus(): Promise<void> {
    try {
      const { workers, ...census } = await this.line.ask("census", null);
      const lagsSeconds = [...this.#census.workers.lagsSeconds, ...workers.lagsSeconds].slice(-MAX_LAGS);
      this.#census = { ...census, workers: { ...workers, lagsSeconds } };
    } catch {
      // It is gone, or does not serve yet; what it has said last stays.
    } finally {
      this.#unanswered = 0;
    }
  }

  /** A thread that is caught in a loop, or has ended without a word, says nothing: its silence does. */
  #lookLater(): void {
    this.#stopLooking = this.#options.after(LOOK_MS, () => {
      if (this.#unanswered === MAX_UNANSWERED) {
        return this.lose(`it has not answered for ${MAX_UNANSWERED * LOOK_MS / 1000} s`, { isStuck: true });
      }
      this.#unanswered++;
      void this.#askCensus();
      this.#lookLater();
    });
  }
}

/** What is said of an error in one line. */
export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
