import type { Answer, Ask, Dialogue } from "../dialogue.ts";
import { PgError, protocolViolation } from "../errors.ts";
import type { Soon } from "../soon.ts";
import { SQLSTATE } from "../sqlstate.ts";
import { Framing } from "../wire/framing.ts";
import { decodeMessage, type Message } from "../wire/message.ts";
import { type ByteStream, StreamBroken } from "./byte_stream.ts";
import { Sent } from "./sent.ts";

/** Who is shown each message of a login as it passes; its bytes may hold secrets. */
export interface ChannelTrace {
  readonly sent: (message: Uint8Array) => void;
  readonly received: (message: Uint8Array) => void;
}

/**
 * One end of a login: it drives dialogues over a stream, and is the only place where they meet sockets and time.
 *
 * The one deadline is the signal it is given: when that aborts, whatever is awaited fails with the signal's reason.
 */
export class Channel implements Disposable {
  readonly #trace: ChannelTrace | undefined;
  readonly #deadline: AbortSignal;
  /** The deadline, or that of the stream attached. */
  #signal: AbortSignal;
  #stream: ByteStream | null;
  #framing = new Framing();
  #unsent: Uint8Array[] = [];

  constructor(stream: ByteStream | null, signal: AbortSignal, trace?: ChannelTrace) {
    this.#stream = stream;
    this.#trace = trace;
    this.#deadline = this.#signal = signal;
  }

  /** The stream spoken over. */
  get stream(): ByteStream {
    if (this.#stream === null) throw new Error("nothing is connected to this channel");
    return this.#stream;
  }

  /**
   * Speaks a dialogue to its end.
   *
   * What it sends leaves before each message it receives, before each wait and at the end. An ask that fails throws
   * inside the dialogue, at its `yield*`.
   *
   * @throws {PgError} what the dialogue throws; 08P01 when the peer breaks the protocol, 08006 when it goes away
   */
  async converse<T>(dialogue: Dialogue<T>, answers: readonly Answer[] = []): Promise<T> {
    let step = dialogue.next();
    while (!step.done) {
      let value: unknown;
      try {
        const answered = this.#answer(step.value, answers);
        // What has been read already is not waited for: a backend says thirty things at once, and promises add up.
        value = answered instanceof Promise ? await answered : answered;
      } catch (error) {
        step = dialogue.throw(error);
        continue;
      }
      step = dialogue.next(value);
    }
    await this.flush();
    return step.value;
  }

  /** Sends messages that ask for no answer, all at once. */
  async say(messages: readonly Uint8Array[]): Promise<void> {
    this.#unsent.push(...messages);
    await this.flush();
  }

  /** Sends what dialogues have said so far. */
  async flush(): Promise<void> {
    const messages = this.#unsent.splice(0);
    if (this.#trace !== undefined) messages.forEach(this.#trace.sent);
    const bytes = concatenate(messages);
    if (bytes.length === 0) return;
    const sent = new Sent();
    if (!this.stream.send(bytes, sent)) await this.#wait(sent.over);
  }

  /** Whether there is a stream to speak over. */
  get isConnected(): boolean {
    return this.#stream !== null;
  }

  /** Receives what stands in front of all messages, its own `length` of bytes; `null` when the peer leaves without a word. */
  async receiveFirst<T extends { readonly length: number }>(
    decode: (bytes: Uint8Array) => T | null,
  ): Promise<T | null> {
    if (!await this.#hasBegun()) return null;
    for (;;) {
      const found = this.#framing.takeBy(decode);
      if (found !== null) return found;
      await this.#untilMore();
    }
  }

  /** Takes the bytes received that no message has used. */
  takeBuffered(): Uint8Array {
    return this.#framing.takeAll();
  }

  /** Waits for the peer to close, whatever it sends before. */
  async untilEnd(): Promise<void> {
    while (await this.#readMore()) this.#framing.takeAll();
  }

  /** Goes on over another stream: the same connection inside TLS, or the next host with a deadline of its own. */
  attach(stream: ByteStream, signal: AbortSignal = this.#signal): void {
    this.#stream = stream;
    this.#signal = signal;
    this.#framing = new Framing();
    this.#unsent = [];
  }

  /** Gives up the stream, to another owner who will end it. */
  detach(): ByteStream {
    const stream = this.stream;
    this.#stream = null;
    return stream;
  }

  [Symbol.dispose](): void {
    this.#stream?.destroy();
    this.#stream = null;
    this.#signal = this.#deadline; // that this host's time is over is nothing to the next one
  }

  #answer(ask: Ask, answers: readonly Answer[]): Soon<unknown> {
    switch (ask.ask) {
      case "send":
        this.#unsent.push(ask.bytes);
        return;
      case "receive":
        // Whether the peer has waited for it or not: how its bytes are cut must change nothing (W14).
        if (this.#unsent.length > 0) return this.#receive(ask.expected);
        return this.#taken(ask.expected) ?? this.#receive(ask.expected);
      case "receiveByte":
        return this.#receiveByte();
      case "peekByte":
        return this.#peekByte();
      case "nothingBuffered":
        if (this.#framing.buffered > 0) {
          throw protocolViolation(`received data after ${ask.after}, outside TLS`);
        }
        return;
      case "question": {
        const answer = answers.find((answer) => answer.question === ask.question);
        if (answer === undefined) throw new Error(`nobody answers the question "${ask.question.question}"`);
        return this.#ask(answer, ask.input);
      }
    }
  }

  async #ask({ by }: Answer, input: unknown): Promise<unknown> {
    await this.flush();
    return await this.#wait(Promise.resolve(by(input)));
  }

  async #receiveByte(): Promise<number | undefined> {
    if (this.#framing.buffered === 0) await this.#untilMore();
    return this.#framing.takeByte();
  }

  async #peekByte(): Promise<number | null | undefined> {
    return await this.#hasBegun() ? this.#framing.peek() : null;
  }

  async #hasBegun(): Promise<boolean> {
    return this.#framing.buffered > 0 || await this.#readMore().catch(isGone);
  }

  async #receive<M>(expected: readonly Message<M>[]): Promise<M> {
    await this.flush();
    for (;;) {
      const message = this.#taken(expected);
      if (message !== null) return message;
      await this.#untilMore();
    }
  }

  /** A message that is there; `null` when it is not, or not all of it. */
  #taken<M>(expected: readonly Message<M>[]): M | null {
    const frame = this.#framing.take(expected);
    if (frame === null) return null;
    this.#trace?.received(frame.bytes);
    return decodeMessage(frame.message, frame.body);
  }

  async #untilMore(): Promise<void> {
    if (!await this.#readMore()) throw peerGone();
  }

  async #readMore(): Promise<boolean> {
    await this.flush();
    const chunk = await this.#wait(this.stream.read());
    if (chunk === null) return false;
    this.#framing.push(chunk);
    return true;
  }

  /** Awaits something of the outside, until the deadline; a stream that breaks is a peer that went away. */
  async #wait<T>(outside: Promise<T>): Promise<T> {
    try {
      return await untilAborted(outside, this.#signal);
    } catch (error) {
      throw error instanceof StreamBroken ? peerGone(error.cause) : error;
    }
  }
}

/** A reset without a word before it, as probes of load balancers send, is silence like any other. */
function isGone(error: unknown): false {
  if (error instanceof PgError && error.sqlstate === SQLSTATE.connectionFailure) return false;
  throw error;
}

function peerGone(cause?: unknown): PgError {
  return new PgError(SQLSTATE.connectionFailure, "the connection was closed during login", { cause });
}

/** Settles as `promise` does, or rejects with the signal's reason when that comes first. */
export function untilAborted<T>(promise: Promise<T>, signal: AbortSignal): Promise<T> {
  if (signal.aborted) {
    promise.catch(() => {});
    return Promise.reject(signal.reason);
  }
  const { promise: settled, resolve, reject } = Promise.withResolvers<T>();
  const onAbort = () => reject(signal.reason);
  signal.addEventListener("abort", onAbort, { once: true });
  void promise.then(resolve, reject).then(() => signal.removeEventListener("abort", onAbort));
  return settled;
}

function concatenate(parts: readonly Uint8Array[]): Uint8Array {
  if (parts.length === 1) return parts[0];
  const whole = new Uint8Array(parts.reduce((length, part) => length + part.length, 0));
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}
