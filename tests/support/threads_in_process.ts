import type { Port } from "../../lib/workers/line.ts";
import type { Thread } from "../../lib/workers/member.ts";
import { work } from "../../lib/workers/work.ts";

type MessageListener = Parameters<Port["addEventListener"]>[1];
type ErrorListener = (event: { readonly message: string; preventDefault(): void }) => void;

/** One of two ports that lead to each other: what is posted is cloned, and arrives in order, a little later. */
export class PortInProcess implements Port {
  readonly #listeners: MessageListener[] = [];
  readonly #spoiledListeners: MessageListener[] = [];
  /** Everything posted here so far, as it was. */
  readonly posted: unknown[] = [];
  other!: PortInProcess;
  isCut = false;

  static pair(): readonly [PortInProcess, PortInProcess] {
    const [one, other] = [new PortInProcess(), new PortInProcess()];
    one.other = other;
    other.other = one;
    return [one, other];
  }

  postMessage(message: unknown): void {
    const data = structuredClone(message);
    this.posted.push(message);
    queueMicrotask(() => this.isCut || this.other.take(data));
  }

  addEventListener(type: "message" | "messageerror", listener: MessageListener): void {
    (type === "message" ? this.#listeners : this.#spoiledListeners).push(listener);
  }

  /** Something has come that cannot be read. */
  takeSpoiled(): void {
    for (const listener of this.#spoiledListeners) listener({ data: null });
  }

  /** Hands a message to whoever listens here. */
  take(data: unknown): void {
    for (const listener of this.#listeners) listener({ data });
  }
}

/** A worker that runs in this thread: tests hand it clocks, and make it fail when they like. */
export class ThreadInProcess implements Thread {
  readonly name: string;
  readonly #ours: PortInProcess;
  readonly #its: PortInProcess;
  readonly #errorListeners: ErrorListener[] = [];
  readonly #closed = Promise.withResolvers<void>();
  #hasBegun = false;
  #isOver = false;
  /** Called with each message from the main thread before it is delivered: it may fail at it. */
  onMessage: (message: { readonly kind: string; readonly call?: string }) => void = () => {};

  constructor(name: string) {
    this.name = name;
    [this.#ours, this.#its] = PortInProcess.pair();
    this.#ours.addEventListener("message", ({ data }) => {
      if ((data as { readonly id?: number }).id === CLOSING) this.#closed.resolve();
    });
  }

  /** Begins to work. */
  begin(): void {
    this.#hasBegun = true;
    work({
      postMessage: (message) => this.#its.postMessage(message),
      addEventListener: (type, listener) =>
        this.#its.addEventListener(type, (event) => {
          try {
            listener(event);
          } catch (error) {
            this.fail(`Uncaught ${error}`);
          }
        }),
    });
  }

  /** What it was asked and told by the main thread so far, by name. */
  get heard(): readonly string[] {
    return this.#ours.posted.flatMap((message) => (message as { call?: string }).call ?? []);
  }

  get isOver(): boolean {
    return this.#isOver;
  }

  postMessage(message: unknown): void {
    if (!this.#isOver) this.onMessage(message as { kind: string });
    if (!this.#isOver) this.#ours.postMessage(message);
  }

  addEventListener(type: "message" | "messageerror", listener: MessageListener): void;
  addEventListener(type: "error", listener: ErrorListener): void;
  addEventListener(
    type: "message" | "messageerror" | "error",
    listener: MessageListener | ErrorListener,
  ): void {
    if (type === "error") this.#errorListeners.push(listener as ErrorListener);
    else if (type === "messageerror") this.#ours.addEventListener(type, listener as MessageListener);
    else {
      this.#ours.addEventListener("message", (event) => {
        if (!this.#isOver && !this.isSilent) (listener as MessageListener)(event);
      });
    }
  }

  /** Nothing of what it says arrives any more: as if it were caught in a loop. */
  isSilent = false;

  /** Says something to the main thread, as if the worker had. */
  say(message: unknown): void {
    this.#its.postMessage(message);
  }

  /** Hears something at once, as if the main thread had said it. */
  hear(message: unknown): void {
    this.#its.take(message);
  }

  /** Nobody has caught what it has thrown. */
  fail(message: string): void {
    if (this.#isOver) return;
    this.terminate();
    let isPrevented = false;
    const event = { message, preventDefault: () => isPrevented = true };
    for (const listener of this.#errorListeners) listener(event);
    if (!isPrevented) throw new Error(`the whole program would end: ${message}`);
  }

  terminate(): void {
    if (this.#isOver) return;
    this.#isOver = true;
    if (!this.#hasBegun) return this.#closed.resolve();
    // A thread that ends closes its sockets.
    this.#its.take({ kind: "ask", id: CLOSING, call: "close", about: null });
  }

  /** Settles when its sockets are closed. */
  get closed(): Promise<void> {
    return this.#closed.promise;
  }
}

/** The number of the question that closes a thread's sockets: no line counts so. */
const CLOSING = -1;

/** Starts threads in this one. */
export class ThreadsInProcess implements AsyncDisposable {
  /** In the order they were started. */
  readonly all: ThreadInProcess[] = [];
  /** Called with each before it begins. */
  onStart: (thread: ThreadInProcess, index: number) => void = () => {};

  readonly start = (name: string): Thread => {
    const thread = new ThreadInProcess(name);
    const index = this.all.push(thread) - 1;
    this.onStart(thread, index);
    // A thread takes a moment to begin.
    queueMicrotask(() => thread.isOver || thread.begin());
    return thread;
  };

  /** Those that run. */
  get running(): readonly ThreadInProcess[] {
    return this.all.filter(({ isOver }) => !isOver);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const thread of this.all) thread.terminate();
    await Promise.all(this.all.map(({ closed }) => closed));
  }
}
