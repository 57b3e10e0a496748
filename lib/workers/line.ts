import { type PackedError, packError, unpackError } from "./parcel.ts";

/** Where messages go to another thread and come from it: a `Worker`, or what a worker has for its own. */
export interface Port {
  postMessage(message: unknown): void;
  /** `messageerror`: something has come that cannot be read. */
  addEventListener(
    type: "message" | "messageerror",
    listener: (event: { readonly data: unknown }) => void,
  ): void;
}

/** What one end may be asked, by name; all of it plain data. `signal` aborts when the answer is not waited for any more. */
// deno-lint-ignore no-explicit-any
export type Calls = { readonly [name: string]: (about: any, signal: AbortSignal) => unknown };

type About<Call extends Calls[string]> = Parameters<Call>[0];
type Answer<Call extends Calls[string]> = Awaited<ReturnType<Call>>;

/** What passes on a line. */
type Message =
  | { readonly kind: "ask"; readonly id: number; readonly call: string; readonly about: unknown }
  | { readonly kind: "tell"; readonly call: string; readonly about: unknown }
  | { readonly kind: "answer"; readonly id: number; readonly value: unknown }
  | { readonly kind: "failure"; readonly id: number; readonly error: PackedError }
  | { readonly kind: "nevermind"; readonly id: number };

/** A question on its way. */
interface Asked {
  readonly resolve: (value: unknown) => void;
  readonly reject: (error: unknown) => void;
}

/** The other end is gone, and answers nothing any more. */
export class LineDown extends Error {
  override readonly name = "LineDown";
}

/** What a {@link Line} does besides. */
export interface LineOptions {
  /** What we were told could not be heeded, or read: nobody could be answered that. Default: throws. */
  readonly failed?: (error: unknown) => void;
}

/** A line between two threads: each end may ask the other, or tell it something. What is said first arrives first. */
export class Line<Theirs extends Calls> {
  readonly #port: Port;
  readonly #ours: Calls;
  readonly #failed: (error: unknown) => void;
  readonly #asked = new Map<number, Asked>();
  /** What we were asked and have not answered. */
  readonly #answering = new Map<number, AbortController>();
  #lastId = 0;
  #isDown = false;

  /** `ours` is what the other end may ask. */
  constructor(port: Port, ours: Calls, { failed = rethrow }: LineOptions = {}) {
    this.#port = port;
    this.#ours = ours;
    this.#failed = failed;
    port.addEventListener("message", ({ data }) => this.#take(data as Message));
    // Else whoever waits for it would wait for ever.
    port.addEventListener("messageerror", () => this.#failed(new Error("a message could not be read")));
  }

  /**
   * Asks the other end.
   *
   * @throws what the call throws there, as far as it can be packed
   * @throws {DOMException} DataCloneError when `about` is not plain data
   * @throws {LineDown} when the other end is gone
   * @throws the signal's reason when it aborts before
   */
  ask<Name extends keyof Theirs & string>(
    call: Name,
    about: About<Theirs[Name]>,
    signal?: AbortSignal,
  ): Promise<Answer<Theirs[Name]>> {
    if (this.#isDown) return Promise.reject(new LineDown("the other thread is gone"));
    if (signal?.aborted) return Promise.reject(signal.reason);
    const id = ++this.#lastId;
    const { promise, resolve, reject } = Promise.withResolvers<unknown>();
    const abort = () => {
      this.#asked.delete(id);
      this.#post({ kind: "nevermind", id });
      reject(signal!.reason);
    };
    const settled = () => signal?.removeEventListener("abort", abort);
    signal?.addEventListener("abort", abort, { once: true });
    this.#asked.set(id, {
      resolve: (value) => {
        settled();
        resolve(value);
      },
      reject: (error) => {
        settled();
        reject(error);
      },
    });
    try {
      this.#post({ kind: "ask", id, call, about });
    } catch (error) {
      this.#settle(id, ({ reject }) => reject(error));
    }
    return promise as Promise<Answer<Theirs[Name]>>;
  }

  /** Tells the other end something that is not answered. */
  tell<Name extends keyof Theirs & string>(call: Name, about: About<Theirs[Name]>): void {
    this.#post({ kind: "tell", call, about });
  }

  /** The other end is gone: whoever waits for an answer hears of it, and whoever answers need not go on. */
  hangUp(why: string): void {
    this.#isDown = true;
    const waiting = [...this.#asked.values()];
    this.#asked.clear();
    for (const { reject } of waiting) reject(new LineDown(why));
    for (const answering of this.#answering.values()) answering.abort(new LineDown(why));
    this.#answering.clear();
  }

  #post(message: Message): void {
    if (!this.#isDown) this.#port.postMessage(message);
  }

  #take(message: Message): void {
    // Some may be on their way when it is hung up: what they ask for, nobody would give back.
    if (this.#isDown) return;
    switch (message.kind) {
      case "ask":
        return void this.#answer(message);
      case "tell":
        return this.#heed(message);
      case "answer":
        return this.#settle(message.id, ({ resolve }) => resolve(message.value));
      case "failure":
        return this.#settle(message.id, ({ reject }) => reject(unpackError(message.error)));
      case "nevermind":
        this.#answering.get(message.id)?.abort(new LineDown("nobody waits for the answer any more"));
        this.#answering.delete(message.id);
    }
  }

  #heed({ call, about }: Message & { kind: "tell" }): void {
    try {
      this.#ours[call](about, NEVER);
    } catch (error) {
      this.#failed(error);
    }
  }

  async #answer({ id, call, about }: Message & { kind: "ask" }): Promise<void> {
    const answering = new AbortController();
    this.#answering.set(id, answering);
    try {
      const value = await this.#ours[call](about, answering.signal);
      this.#post({ kind: "answer", id, value });
    } catch (error) {
      this.#post({ kind: "failure", id, error: packError(error) });
    } finally {
      this.#answering.delete(id);
    }
  }

  #settle(id: number, settle: (asked: Asked) => void): void {
    const asked = this.#asked.get(id);
    this.#asked.delete(id);
    if (asked !== undefined) settle(asked);
  }
}

/** The answer, or `null` when whoever was asked is gone. */
export async function answerOf<T>(asked: Promise<T>): Promise<T | null> {
  try {
    return await asked;
  } catch (error) {
    if (error instanceof LineDown) return null;
    throw error;
  }
}

const NEVER = new AbortController().signal;

function rethrow(error: unknown): never {
  throw error;
}
