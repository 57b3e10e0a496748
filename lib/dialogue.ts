import type { Message } from "./wire/message.ts";

/**
 * What a login asks of the outside, one at a time.
 *
 * A login is a {@link Dialogue}: a generator written in the order it is spoken. It has no sockets, no clock and no
 * randomness; it yields asks, and whoever drives it (`stream/channel.ts`, or a test that plays a script) answers.
 */
export type Ask =
  | { readonly ask: "send"; readonly bytes: Uint8Array<ArrayBuffer> }
  | { readonly ask: "receive"; readonly expected: readonly Message<unknown>[] }
  | { readonly ask: "receiveByte"; readonly of: string }
  | { readonly ask: "peekByte" }
  | { readonly ask: "nothingBuffered"; readonly after: string }
  | { readonly ask: "question"; readonly question: Question<unknown, unknown>; readonly input: unknown };

/** A linear conversation with one peer that ends in a `T` or throws a `PgError`. */
export type Dialogue<T> = Generator<Ask, T, unknown>;

/** A question to the outside that is not a message: verify a token, dial a backend, give random bytes. */
export interface Question<I, O> {
  (input: I): Dialogue<O>;
  readonly question: string;
}

/** Who answers one {@link Question}. */
export interface Answer {
  readonly question: Question<unknown, unknown>;
  readonly by: (input: unknown) => unknown;
}

/** Sends one encoded message; it leaves together with its neighbours, at the latest before the next message received. */
export function* send(bytes: Uint8Array<ArrayBuffer>): Dialogue<void> {
  yield { ask: "send", bytes };
}

/**
 * Receives one message, which must be one of `expected`: anything else is the peer's protocol violation.
 *
 * @throws {PgError} 08P01 when another message comes, or a malformed one, or one over its length
 */
export function* receive<M>(...expected: readonly Message<M>[]): Dialogue<M> {
  return (yield { ask: "receive", expected: expected as readonly Message<unknown>[] }) as M;
}

/** Receives a single byte that is no message: the answer to SSLRequest and GSSENCRequest. */
export function* receiveByte(of: string): Dialogue<number> {
  return (yield { ask: "receiveByte", of }) as number;
}

/** Waits for the first byte without taking it; `null` when the peer closes without a word. */
export function* peekByte(): Dialogue<number | null> {
  return (yield { ask: "peekByte" }) as number | null;
}

/**
 * Holds that the peer has sent nothing more yet: bytes slipped in before TLS would be read as if they came inside it
 * (CVE-2021-23214, CVE-2021-23222).
 *
 * @throws {PgError} 08P01 when there are bytes behind the message named by `after`
 */
export function* nothingBuffered(after: string): Dialogue<void> {
  yield { ask: "nothingBuffered", after };
}

/** Declares a {@link Question}; `name` is what the trace and a playing test call it. */
export function question<I, O>(name: string): Question<I, O> {
  function* put(input: I): Dialogue<O> {
    return (yield {
      ask: "question",
      question: put as unknown as Question<unknown, unknown>,
      input,
    }) as O;
  }
  return Object.assign(put, { question: name });
}

/** Says who answers `question` while a dialogue is driven. */
export function answer<I, O>(question: Question<I, O>, by: (input: I) => O | Promise<O>): Answer {
  return {
    question: question as unknown as Question<unknown, unknown>,
    by: by as (input: unknown) => unknown,
  };
}
