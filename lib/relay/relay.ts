// The room `relay/`: after login, bytes both ways until either end leaves.
// In: two streams, each just past its login. Out: how the session ended, and how many bytes went each way.
// Chapter: https://www.postgresql.org/docs/18/protocol-flow.html#PROTOCOL-FLOW-TERMINATION
import { asPgError, PgError } from "../errors.ts";
import { SQLSTATE } from "../sqlstate.ts";
import { type ByteStream, StreamBroken } from "../stream/byte_stream.ts";
import { encodeError } from "../wire/error_response.ts";
import { encodeMessage } from "../wire/message.ts";
import { terminate } from "../wire/frontend.ts";
import { Activity } from "./activity.ts";
import { Cancelling, type SendCancel } from "./cancelling.ts";
import { Departure } from "./departure.ts";
import { HeaderWalk } from "./header_walk.ts";
import { insertBetweenMessages } from "./insertion.ts";

/** How a session came to its end. */
export type RelayEnding = "client_left" | "client_lost" | "backend_left" | "failed" | "ended_by_policy";

/** What is known of a session once it is over. */
export interface RelayResult {
  readonly how: RelayEnding;
  /** Bytes from the client to the backend. */
  readonly bytesIn: number;
  /** Bytes from the backend to the client. */
  readonly bytesOut: number;
  /** As {@link Activity.transactions}. */
  readonly transactions: number;
  readonly cause?: unknown;
}

/** What a relay begins with. */
export interface RelayOptions {
  /** What the client sent ahead, behind its last login message. */
  readonly fromClient: Uint8Array;
  /** What the backend sent behind its ReadyForQuery. */
  readonly fromBackend: Uint8Array;
  readonly sendCancel: SendCancel;
}

/** How long a client that closed its end in a query gets for the answers under way, in milliseconds. */
const HALF_CLOSED_MS = 500;

/** How long an end that was told to close may take for reading what is left, in milliseconds. */
const LINGER_MS = 60_000;

/** The same, for a client whose session we end ourselves. */
const LINGER_DISMISSED_MS = 2_000;

/** The same, for one that has said Terminate: it waits for nothing more. */
const LINGER_TERMINATED_MS = 1_000;

const ERROR_RESPONSE = 0x45; // E

/**
 * Carries bytes both ways. Chunks go on as they came; only the headers in them are looked at.
 *
 * Either end's death ends the other: a backend that dies between two messages is announced to the client as FATAL 08006, a
 * client that dies in a query has the query cancelled, so that it leaves no lock behind.
 */
export class Relay {
  readonly activity = new Activity();
  readonly #client: ByteStream;
  readonly #backend: ByteStream;
  readonly #options: RelayOptions;
  readonly #clientWalk: HeaderWalk;
  readonly #backendWalk: HeaderWalk;
  /** A chunk that is only lent cannot be given to an end that keeps it. */
  readonly #mustCopyIn: boolean;
  readonly #mustCopyOut: boolean;
  #bytesIn = 0;
  #bytesOut = 0;
  #how: RelayEnding | null = null;
  #cause: unknown;
  /** Made when it is needed: most sessions never see a cancel, and there may be thousands of them. */
  #cancelling: Cancelling | null = null;
  /** Settles when our last bytes to the client have left. */
  #farewell: Promise<void> | null = null;
  /** Settles when the backend has been told that its query is nobody's. */
  #abandonment: Promise<void> | null = null;
  #timer: ReturnType<typeof setTimeout> | undefined;
  /** Why the session is to end when it is idle, once it is to. */
  #departure: Departure | null = null;
  /** What the client is to be told between two messages, while there is no such place. */
  #notice: Uint8Array | null = null;
  /** Bytes of the backend wait for the client to take them. */
  #isDelivering = false;

  constructor(client: ByteStream, backend: ByteStream, options: RelayOptions) {
    this.#client = client;
    this.#backend = backend;
    this.#options = options;
    this.#mustCopyIn = client.lendsChunks && backend.keepsChunks;
    this.#mustCopyOut = backend.lendsChunks && client.keepsChunks;
    this.#clientWalk = new HeaderWalk((type) => this.activity.frontendMessage(type));
    this.#backendWalk = new HeaderWalk((type, firstByte) => this.activity.backendMessage(type, firstByte));
  }

  /** What the session is doing, and what it has carried so far. */
  get standing() {
    const { state, transactions } = this.activity;
    return { state, transactions, bytesIn: this.#bytesIn, bytesOut: this.#bytesOut };
  }

  /** Runs until both ends are closed, as far as they can be. */
  async run(): Promise<RelayResult> {
    await Promise.all([this.#carryFromClient(), this.#carryFromBackend()]);
    await this.#farewell;
    await this.#abandonment;
    clearTimeout(this.#timer);
    this.#departure?.[Symbol.dispose]();
    return {
      how: this.#how ?? "failed",
      bytesIn: this.#bytesIn,
      bytesOut: this.#bytesOut,
      transactions: this.activity.transactions,
      cause: this.#cause,
    };
  }

  /**
   * Ends the session from our side: the client is told why, if it stands between two messages.
   *
   * @returns whether it was doing anything, which is lost by it
   */
  end(error: PgError): boolean {
    if (this.#how !== null) return false;
    const wasAtRest = this.#isAtRest();
    this.#departure?.[Symbol.dispose]();
    this.#departure = null;
    this.#settle("ended_by_policy", error);
    this.#dismissClient(error);
    this.#abandonBackend();
    return !wasAtRest;
  }

  /**
   * Ends the session from our side at the first moment when nothing is lost by it: all that was asked is answered, the
   * client has the answers, neither side stands inside a message, and no transaction is open. Until then it goes on as before.
   *
   * What the client sends after that moment is not passed on: it gets no answer, and nothing of it was done. A session that
   * is never idle is never ended so: a stream of replication, or a client that keeps a transaction open.
   */
  endWhenIdle(error: PgError): void {
    if (this.#how !== null) return;
    this.#departure ??= new Departure(error, {
      isAtRest: () => this.#isAtRest(),
      leave: () => this.#depart(),
    });
    this.#departure.check();
  }

  /**
   * Tells the client something in one message: now, or as soon as the backend stands between two messages. What waits for
   * that is replaced by what is told later.
   */
  notify(message: Uint8Array): void {
    if (this.#how !== null) return;
    if (this.#backendWalk.isBetweenMessages) this.#client.write(message).catch(ignoreBroken);
    else this.#notice = message;
  }

  /**
   * Passes a cancel on while what it means is still running; settles when it is delivered, or not meant any more.
   *
   * What the client sends meanwhile waits, so that no query asked after the cancel can be hit by it.
   */
  cancelQuery(): Promise<void> {
    return this.#cancels().cancel();
  }

  async #carryFromClient(): Promise<void> {
    const { fromClient } = this.#options;
    try {
      for (
        let chunk = await first(fromClient, this.#client);
        chunk !== null;
        chunk = await this.#client.read()
      ) {
        // Once the session is over, bytes are read only because a close with bytes unread would reset the connection, and
        // lose our last words on their way.
        if (this.#how !== null || !this.#walkOver(chunk, this.#clientWalk)) continue;
        if (this.#cancelling?.isDelivering) await this.#cancelling.untilDelivered();
        this.#bytesIn += chunk.length;
        // Awaited here and not in a function of its own: a promise more for each chunk is felt.
        try {
          await this.#backend.write(this.#mustCopyIn ? chunk.slice() : chunk);
        } catch (error) {
          ignoreBroken(error);
        }
        if (this.#departure !== null) this.#departure.check();
      }
      this.#clientEnded();
    } catch (error) {
      this.#clientGone(error);
    }
  }

  async #carryFromBackend(): Promise<void> {
    const { fromBackend } = this.#options;
    try {
      for (
        let chunk = await first(fromBackend, this.#backend);
        chunk !== null;
        chunk = await this.#backend.read()
      ) {
        // Behind our last words nothing may come.
        if (this.#farewell !== null) continue;
        if (this.#notice !== null) {
          const told = this.#walkWithNotice(chunk, this.#notice);
          if (told === null) continue;
          chunk = told;
        } else if (!this.#walkOver(chunk, this.#backendWalk)) continue;
        this.#bytesOut += chunk.length;
        this.#isDelivering = true;
        try {
          await this.#client.write(this.#mustCopyOut ? chunk.slice() : chunk);
        } catch (error) {
          ignoreBroken(error);
          // While the backend takes nothing, the client is not read: then only this shows that it is gone.
          this.#clientGone(error);
        }
        this.#isDelivering = false;
        if (this.#departure !== null) this.#departure.check();
      }
      this.#backendGone();
    } catch (error) {
      this.#backendGone(error);
    }
  }

  /** Looks at the headers in a chunk; false when they make no sense, which ends this session and no other. */
  #walkOver(chunk: Uint8Array, walk: HeaderWalk): boolean {
    try {
      walk.walk(chunk);
      return true;
    } catch (error) {
      this.#fail(error);
      return false;
    }
  }

  /** Looks at the headers in a chunk, and puts the notice in between if there is room; `null` when they make no sense. */
  #walkWithNotice(chunk: Uint8Array, notice: Uint8Array): Uint8Array | null {
    try {
      const told = insertBetweenMessages(chunk, { messages: notice, walk: this.#backendWalk });
      if (told !== chunk) this.#notice = null;
      return told;
    } catch (error) {
      this.#fail(error);
      return null;
    }
  }

  /** Nothing is on its way through us, and nothing is lost if nothing more comes. */
  #isAtRest(): boolean {
    const { isIdle, isTerminated } = this.activity;
    return this.#how === null && isIdle && !isTerminated && !this.#isDelivering &&
      this.#clientWalk.isBetweenMessages && this.#backendWalk.isBetweenMessages;
  }

  #depart(): void {
    const { error } = this.#departure!;
    this.#settle("ended_by_policy", error);
    this.#dismissClient(error);
    this.#backend.write(encodeMessage(terminate, { kind: "Terminate" })).catch(ignoreBroken);
    this.#backend.end();
    // The short time begins when our last words have left: a slow client has other things queued in front of them.
    this.#farewell = this.#farewell!.then(() =>
      this.#after(LINGER_DISMISSED_MS, () => {
        this.#client.destroy();
        this.#backend.destroy();
      })
    );
  }

  /** The client sends no more. After Terminate the backend ends by itself, when it is done with what came before. */
  #clientEnded(): void {
    if (this.#how !== null) return;
    const { isTerminated, isQuiet } = this.activity;
    this.#settle(isTerminated ? "client_left" : "client_lost");
    this.#backend.end();
    if (isTerminated) return;
    this.#after(isQuiet ? LINGER_MS : HALF_CLOSED_MS, () => this.#abandon());
  }

  /** The client cannot be reached any more. */
  #clientGone(cause: unknown): void {
    if (this.#how !== null) return;
    this.#settle(this.activity.isTerminated ? "client_left" : "client_lost", cause);
    if (this.activity.isTerminated) this.#backend.end();
    else this.#abandon();
  }

  #backendGone(cause?: unknown): void {
    if (this.#how !== null) return this.#dismissClient();
    const { isTerminated } = this.activity;
    this.#settle(isTerminated ? "client_left" : "backend_left", cause);
    // A backend that leaves at Terminate owes no reason, even if it is faster than the client's own close; and one that
    // says why it leaves has said enough.
    const isExplained = isTerminated || this.#backendWalk.lastType === ERROR_RESPONSE;
    this.#dismissClient(isExplained ? undefined : backendLost());
    this.#backend.destroy();
  }

  #fail(thrown: unknown): void {
    if (this.#how !== null) return;
    const error = asPgError(thrown);
    this.#settle("failed", error);
    this.#dismissClient(error);
    this.#abandonBackend();
  }

  /** Leaves the backend alone with nobody's query. */
  #abandon(): void {
    this.#abandonBackend();
    this.#client.destroy();
  }

  /** Leaves the backend, and no query running there: it does not notice by itself that nobody waits for the answer. */
  #abandonBackend(): void {
    this.#abandonment = this.#cancels().abandon();
    this.#backend.destroy();
  }

  #cancels(): Cancelling {
    return this.#cancelling ??= new Cancelling(this.activity, this.#options.sendCancel);
  }

  /** Last words, if there are any and they fit: an ErrorResponse stands between two messages, or nowhere. */
  #dismissClient(error?: PgError): void {
    if (this.#farewell !== null) return;
    const lastWords = error !== undefined && this.#backendWalk.isBetweenMessages ? encodeError(error) : EMPTY;
    this.#after(this.#lingerMs(), () => this.#client.destroy());
    // Not awaited: a client slow to read has its last answers still queued in front, and end() waits for all of it.
    if (lastWords.length > 0) this.#client.write(lastWords).catch(ignoreBroken);
    this.#farewell = this.#client.end();
  }

  #lingerMs(): number {
    if (this.activity.isTerminated) return LINGER_TERMINATED_MS;
    const mayTakeLong = this.#how === "backend_left" || this.#departure !== null;
    return mayTakeLong ? LINGER_MS : LINGER_DISMISSED_MS;
  }

  #settle(how: RelayEnding, cause?: unknown): void {
    this.#how = how;
    this.#cause = cause instanceof StreamBroken ? cause.cause ?? undefined : cause;
  }

  #after(ms: number, act: () => void): void {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(act, ms);
  }
}

/** What was read ahead goes first. */
function first(readAhead: Uint8Array, stream: ByteStream): Promise<Uint8Array | null> {
  return readAhead.length > 0 ? Promise.resolve(readAhead) : stream.read();
}

/** To an end that takes no more nothing is sent: that it is gone shows where it is read. */
function ignoreBroken(error: unknown): void {
  if (!(error instanceof StreamBroken)) throw error;
}

const EMPTY = new Uint8Array(0);

function backendLost(): PgError {
  return new PgError(SQLSTATE.connectionFailure, "the backend closed the connection unexpectedly", {
    blame: "backend",
    hint: "Connect again; whether the last command took effect is not known.",
  });
}
