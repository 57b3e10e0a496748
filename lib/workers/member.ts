import { startTimer } from "../timers.ts";
import type { WorkerCalls, WorkerCensus } from "./calls.ts";
import { Desk, type DeskOptions } from "./desk.ts";
import { Line, LineDown, type Port } from "./line.ts";

/** Another thread of this program: a `Worker`. */
export interface Thread extends Port {
  addEventListener(type: "message", listener: (event: { readonly data: unknown }) => void): void;
  addEventListener(
    type: "error",
    listener: (event: { readonly message: string; preventDefault(): void }) => void,
  ): void;
  terminate(): void;
}

/** Starts a thread in which {@link work} is called. */
export type StartThread = (name: string) => Thread;

/** How often a worker is looked at, and what it may take to answer, in milliseconds: a longer silence is its end. */
const LOOK_MS = 10_000;
const SILENCE_MS = 30_000;

/** What a {@link Member} is made of. */
export interface MemberOptions extends Omit<DeskOptions, "ready"> {
  /** From 0. */
  readonly index: number;
  readonly startThread: StartThread;
  /** It is gone by itself, and everything it had is given back. */
  readonly lost: (member: Member, reason: string) => void;
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
      this.#lose(event.message);
    });
    this.#desk = new Desk({ ...options, ready: () => this.#ready.resolve() });
    this.line = new Line<WorkerCalls>(this.#thread, this.#desk.calls);
    this.#desk.line = this.line;
    this.#ready.promise.catch(() => {});
    this.#lookLater();
  }

  /** Settles when it can be asked; rejects with {@link LineDown} when it is gone before. */
  get ready(): Promise<void> {
    return this.#ready.promise;
  }

  /** What it has said of itself last. */
  get lastCensus(): WorkerCensus {
    return this.#census;
  }

  /** What is so of it now, or was when it answered last. Never rejects. */
  async census(): Promise<WorkerCensus> {
    const { promise, resolve } = Promise.withResolvers<void>();
    const stop = startTimer(CENSUS_MS, resolve);
    await Promise.race([promise, this.#askCensus()]);
    stop();
    const census = this.#census;
    // Told once.
    this.#census = { ...census, workers: { ...census.workers, lagsSeconds: [] } };
    return census;
  }

  /** Ends its thread. */
  end(reason: string): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#stopLooking();
    this.#thread.terminate();
    this.line.hangUp(reason);
    this.#ready.reject(new LineDown(reason));
    this.#desk.close(reason);
  }

  #lose(reason: string): void {
    if (this.#isOver) return;
    this.end(reason);
    this.#options.lost(this, reason);
  }

  async #askCensus(): Promise<void> {
    const before = this.#census.workers.lagsSeconds;
    try {
      const { workers, ...census } = await this.line.ask("census", null);
      const lagsSeconds = [...before, ...workers.lagsSeconds];
      this.#census = { ...census, workers: { ...workers, lagsSeconds } };
    } catch {
      // It is gone; what it has said last stays.
    }
  }

  /** A thread that is caught in a loop, or has ended without a word, says nothing: its silence does. */
  #lookLater(): void {
    const stop = startTimer(LOOK_MS, async () => {
      this.#stopLooking = startTimer(
        SILENCE_MS,
        () => this.#lose(`it has not answered for ${SILENCE_MS / 1000} s`),
      );
      await this.#askCensus();
      this.#stopLooking();
      if (!this.#isOver) this.#lookLater();
    });
    this.#stopLooking = stop;
  }
}

/** How long whoever asks for a census waits for one worker, in milliseconds. */
const CENSUS_MS = 2_000;
