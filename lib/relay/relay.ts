// The room `relay/`: after login, bytes both ways until either end leaves.
// In: two streams, each just past its login. Out: how the session ended, and how many bytes went each way.
// Chapter: https://www.postgresql.org/docs/18/protocol-flow.html#PROTOCOL-FLOW-TERMINATION
import { asPgError, PgError } from "../errors.ts";
import { SQLSTATE } from "../sqlstate.ts";
import type { ByteStream } from "../stream/byte_stream.ts";
import { encodeError } from "../wire/error_response.ts";
import { Activity } from "./activity.ts";
import { HeaderWalk } from "./header_walk.ts";

/** How a session came to its end. */
export type RelayEnding = "client_left" | "client_lost" | "backend_left" | "failed" | "ended_by_proxy";

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
  readonly fromClient?: Uint8Array;
  /** What the backend sent behind its ReadyForQuery. */
  readonly fromBackend?: Uint8Array;
  /** The client is gone with a query running: the backend does not notice by itself before the query is done. */
  readonly cancelAbandonedQuery: () => void;
}

/** How long a client that closed its end gets for the answers under way, in milliseconds. */
const HALF_CLOSED_MS = 500;

/** How long an end that was told to close may take for reading what is left, in milliseconds. */
const LINGER_MS = 60_000;

const ERROR_RESPONSE = 0x45; // E

/**
 * Carries bytes both ways. Chunks go on as they came; only the headers in them are looked at.
 *
 * Either end's death ends the other: a backend that dies between two messages is announced to the client as FATAL 08006,
 * a client that dies in a query has the query cancelled, so that it leaves no lock behind.
 */
export class Relay {
  readonly activity = new Activity();
  readonly #client: ByteStream;
  readonly #backend: ByteStream;
  readonly #options: RelayOptions;
  readonly #over = Promise.withResolvers<RelayResult>();
  readonly #clientWalk: HeaderWalk;
  readonly #backendWalk: HeaderWalk;
  #bytesIn = 0;
  #bytesOut = 0;
  #lastBackendType = 0;
  #how: RelayEnding | null = null;
  #cause: unknown;
  #isClientOpen = true;
  #isBackendOpen = true;
  #timer: ReturnType<typeof setTimeout> | undefined;

  constructor(client: ByteStream, backend: ByteStream, options: RelayOptions) {
    this.#client = client;
    this.#backend = backend;
    this.#options = options;
    this.#clientWalk = new HeaderWalk((type) => this.activity.frontendMessage(type));
    this.#backendWalk = new HeaderWalk((type, firstByte) => {
      this.#lastBackendType = type;
      this.activity.backendMessage(type, firstByte);
    });
  }

  /** Runs until both ends are closed. */
  run(): Promise<RelayResult> {
    this.#backend.flow({
      chunk: this.#onBackendChunk,
      drained: () => this.#client.resume(),
      ended: () => this.#onBackendGone(null),
      closed: (error) => {
        this.#isBackendOpen = false;
        this.#onBackendGone(error);
        this.#finishIfOver();
      },
    });
    this.#client.flow({
      chunk: this.#onClientChunk,
      drained: () => this.#backend.resume(),
      ended: () => this.#onClientEnded(),
      closed: (error) => {
        this.#isClientOpen = false;
        this.#onClientGone(error);
        this.#finishIfOver();
      },
    });
    // What was read ahead during the login goes first: the streams deliver nothing before the next turn of the event loop.
    const { fromBackend, fromClient } = this.#options;
    if (fromBackend?.length) this.#onBackendChunk(fromBackend);
    if (fromClient?.length) this.#onClientChunk(fromClient);
    this.#backend.resume();
    this.#client.resume();
    return this.#over.promise;
  }

  /** Ends the session from our side: the client is told why, if it stands between two messages. */
  end(error: PgError): void {
    if (this.#how !== null) return;
    this.#settle("ended_by_proxy", error);
    this.#tellClient(error);
    this.#closeBoth();
  }

  readonly #onClientChunk = (chunk: Uint8Array): void => {
    if (this.#how !== null) return;
    this.#bytesIn += chunk.length;
    try {
      this.#clientWalk.walk(chunk);
    } catch (error) {
      return this.#fail(error);
    }
    if (!this.#backend.push(chunk)) this.#client.pause();
  };

  readonly #onBackendChunk = (chunk: Uint8Array): void => {
    if (!this.#isClientOpen) return;
    this.#bytesOut += chunk.length;
    try {
      this.#backendWalk.walk(chunk);
    } catch (error) {
      return this.#fail(error);
    }
    if (!this.#client.push(chunk)) this.#backend.pause();
  };

  /** The client sends no more. After Terminate the backend ends by itself, when it is done with what came before. */
  #onClientEnded(): void {
    if (this.#how !== null) return;
    const { isTerminated, isQuiet } = this.activity;
    this.#settle(isTerminated ? "client_left" : "client_lost");
    this.#backend.end();
    if (isTerminated) return;
    if (isQuiet) this.#destroyAfter(LINGER_MS);
    else this.#after(HALF_CLOSED_MS, () => this.#abandon());
  }

  /** The client cannot be reached any more. */
  #onClientGone(error: Error | null): void {
    this.#settle(this.activity.isTerminated ? "client_left" : "client_lost", error);
    if (!this.#isBackendOpen) return;
    if (this.activity.isTerminated) this.#backend.end();
    else this.#abandon();
    // Nobody is left to read the answers: they must not keep the backend waiting.
    this.#backend.resume();
  }

  #onBackendGone(error: Error | null): void {
    if (this.#how === null) {
      this.#settle("backend_left", error);
      // A backend that says why it leaves has said enough.
      if (this.#lastBackendType !== ERROR_RESPONSE) this.#tellClient(backendLost());
    }
    if (!this.#isClientOpen) return;
    this.#client.end();
    this.#client.resume();
    this.#destroyAfter(LINGER_MS);
  }

  /** Leaves the backend alone with nobody's query. */
  #abandon(): void {
    if (!this.activity.isQuiet) this.#options.cancelAbandonedQuery();
    this.#backend.destroy();
    this.#client.destroy();
  }

  #fail(thrown: unknown): void {
    if (this.#how !== null) return;
    const error = asPgError(thrown);
    this.#settle("failed", error);
    this.#tellClient(error);
    if (!this.activity.isQuiet) this.#options.cancelAbandonedQuery();
    this.#closeBoth();
  }

  #closeBoth(): void {
    this.#backend.destroy();
    this.#client.end();
    this.#client.resume();
    this.#destroyAfter(LINGER_MS);
  }

  /** An ErrorResponse fits only between two messages; in the middle of one, the close must speak for itself. */
  #tellClient(error: PgError): void {
    if (this.#isClientOpen && this.#backendWalk.isBetweenMessages) this.#client.push(encodeError(error));
  }

  #settle(how: RelayEnding, cause: unknown = null): void {
    this.#how ??= how;
    this.#cause ??= cause ?? undefined;
  }

  #destroyAfter(ms: number): void {
    this.#after(ms, () => {
      this.#backend.destroy();
      this.#client.destroy();
    });
  }

  #after(ms: number, act: () => void): void {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(act, ms);
  }

  #finishIfOver(): void {
    if (this.#isClientOpen || this.#isBackendOpen) return;
    clearTimeout(this.#timer);
    this.#over.resolve({
      how: this.#how ?? "failed",
      bytesIn: this.#bytesIn,
      bytesOut: this.#bytesOut,
      cause: this.#cause,
    });
  }
}

function backendLost(): PgError {
  return new PgError(SQLSTATE.connectionFailure, "the backend closed the connection unexpectedly", {
    blame: "backend",
    hint: "Connect again; whether the last command took effect is not known.",
  });
}
