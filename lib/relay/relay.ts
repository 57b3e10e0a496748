// The room `relay/`: after login, bytes both ways until either end leaves.
// In: two streams, each just past its login. Out: how the session ended, and how many bytes went each way.
// Chapter: https://www.postgresql.org/docs/18/protocol-flow.html#PROTOCOL-FLOW-TERMINATION
import { asPgError, PgError } from "../errors.ts";
import { SQLSTATE } from "../sqlstate.ts";
import { type ByteStream, StreamBroken } from "../stream/byte_stream.ts";
import { encodeError } from "../wire/error_response.ts";
import { Activity } from "./activity.ts";
import { HeaderWalk } from "./header_walk.ts";

/** How a session came to its end. */
export type RelayEnding = "client_left" | "client_lost" | "backend_left" | "failed" | "ended_by_policy";

/** What is known of a session once it is over. */
export interface RelayResult {
  readonly how: RelayEnding;
  /** Bytes from the client to the backend. */
  readonly bytesIn: number;
  /** Bytes from the backend to the client. */
  readonly bytesOut: number;
  readonly cause?: unknown;
}

/** What a relay begins with. */
export interface RelayOptions {
  /** What the client sent ahead, behind its last login message. */
  readonly fromClient: Uint8Array;
  /** What the backend sent behind its ReadyForQuery. */
  readonly fromBackend: Uint8Array;
  /**
   * Sends the backend a CancelRequest and settles when it has been delivered; it asks `isStillMeant` at the last moment
   * before. Never rejects.
   */
  readonly sendCancel: (isStillMeant: () => boolean) => Promise<void>;
}

/** How long a client that closed its end in a query gets for the answers under way, in milliseconds. */
const HALF_CLOSED_MS = 500;

/** How long an end that was told to close may take for reading what is left, in milliseconds. */
const LINGER_MS = 60_000;

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
  #lastBackendType = 0;
  #how: RelayEnding | null = null;
  #cause: unknown;
  /** Cancels passed on, by what they mean: who cancels the same twice waits for the same. */
  readonly #cancels = new Map<number, Promise<void>>();
  /** Cancels on their last way: while there are any, nothing of the client goes on to the backend. */
  readonly #deliveries = new Set<Promise<void>>();
  /** Settles when our last bytes to the client have left. */
  #farewell: Promise<void> | null = null;
  /** Settles when the backend has been told that its query is nobody's. */
  #abandonment: Promise<void> | null = null;
  #timer: ReturnType<typeof setTimeout> | undefined;

  constructor(client: ByteStream, backend: ByteStream, options: RelayOptions) {
    this.#client = client;
    this.#backend = backend;
    this.#options = options;
    this.#mustCopyIn = client.lendsChunks && backend.keepsChunks;
    this.#mustCopyOut = backend.lendsChunks && client.keepsChunks;
    this.#clientWalk = new HeaderWalk((type) => this.activity.frontendMessage(type));
    this.#backendWalk = new HeaderWalk((type, firstByte) => {
      this.#lastBackendType = type;
      this.activity.backendMessage(type, firstByte);
    });
  }

  /** Runs until both ends are closed, as far as they can be. */
  async run(): Promise<RelayResult> {
    await Promise.all([this.#carryFromClient(), this.#carryFromBackend()]);
    await this.#farewell;
    await this.#abandonment;
    clearTimeout(this.#timer);
    return {
      how: this.#how ?? "failed",
      bytesIn: this.#bytesIn,
      bytesOut: this.#bytesOut,
      cause: this.#cause,
    };
  }

  /** Ends the session from our side: the client is told why, if it stands between two messages. */
  end(error: PgError): void {
    if (this.#how !== null) return;
    this.#settle("ended_by_policy", error);
    this.#dismissClient(error);
    this.#backend.destroy();
  }

  /**
   * Passes a cancel on while what it means is still running; settles when it is delivered, or not meant any more.
   *
   * What the client sends meanwhile waits, so that no query asked after the cancel can be hit by it.
   */
  async cancelQuery(): Promise<void> {
    if (this.activity.isQuiet) return;
    const mark = this.activity.mark();
    const known = this.#cancels.get(mark);
    if (known !== undefined) return await known;
    const cancel = this.#cancel(mark).finally(() => this.#cancels.delete(mark));
    this.#cancels.set(mark, cancel);
    await cancel;
  }

  async #cancel(mark: number): Promise<void> {
    const delivered = Promise.withResolvers<void>();
    await this.#options.sendCancel(() => {
      if (this.activity.isPast(mark)) return false;
      this.#deliveries.add(delivered.promise);
      return true;
    });
    this.#deliveries.delete(delivered.promise);
    delivered.resolve();
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
        while (this.#deliveries.size > 0) await Promise.all(this.#deliveries);
        this.#bytesIn += chunk.length;
        await this.#send(this.#mustCopyIn ? chunk.slice() : chunk, this.#backend);
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
        if (!this.#walkOver(chunk, this.#backendWalk)) continue;
        this.#bytesOut += chunk.length;
        await this.#send(this.#mustCopyOut ? chunk.slice() : chunk, this.#client);
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

  /** To an end that takes no more, nothing is sent: that it is gone shows where it is read. */
  async #send(chunk: Uint8Array, to: ByteStream): Promise<void> {
    try {
      await to.write(chunk);
    } catch (error) {
      if (!(error instanceof StreamBroken)) throw error;
    }
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
    const isExplained = isTerminated || this.#lastBackendType === ERROR_RESPONSE;
    this.#dismissClient(isExplained ? undefined : backendLost());
    this.#backend.destroy();
  }

  #fail(thrown: unknown): void {
    if (this.#how !== null) return;
    const error = asPgError(thrown);
    this.#settle("failed", error);
    this.#dismissClient(error);
    // The backend does not notice by itself that its query is nobody's.
    if (!this.activity.isQuiet) this.#abandonment = this.#options.sendCancel(() => true);
    this.#backend.destroy();
  }

  /** Leaves the backend alone with nobody's query. */
  #abandon(): void {
    if (!this.activity.isQuiet) this.#abandonment = this.#options.sendCancel(() => true);
    this.#backend.destroy();
    this.#client.destroy();
  }

  /** Last words, if there are any and they fit: an ErrorResponse stands between two messages, or nowhere. */
  #dismissClient(error?: PgError): void {
    if (this.#farewell !== null) return;
    const lastWords = error !== undefined && this.#backendWalk.isBetweenMessages ? encodeError(error) : EMPTY;
    const lingerMs = this.activity.isTerminated ? LINGER_TERMINATED_MS : LINGER_MS;
    this.#after(lingerMs, () => this.#client.destroy());
    // Not awaited: a client slow to read has its last answers still queued in front, and end() waits for all of it.
    if (lastWords.length > 0) void this.#send(lastWords, this.#client);
    this.#farewell = this.#client.end();
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

const EMPTY = new Uint8Array(0);

function backendLost(): PgError {
  return new PgError(SQLSTATE.connectionFailure, "the backend closed the connection unexpectedly", {
    blame: "backend",
    hint: "Connect again; whether the last command took effect is not known.",
  });
}
