import { asPgError, PgError } from "../errors.ts";
import { SQLSTATE } from "../sqlstate.ts";
import { type ByteStream, StreamBroken } from "../stream/byte_stream.ts";
import { encodeError } from "../wire/error_response.ts";
import { terminate } from "../wire/frontend.ts";
import { encodeMessage } from "../wire/message.ts";
import type { Activity } from "./activity.ts";
import type { Cancelling } from "./cancelling.ts";
import type { HeaderWalk } from "./header_walk.ts";

/** How a session came to its end. */
export type RelayEnding = "client_left" | "client_lost" | "backend_left" | "failed" | "ended_by_policy";

/** The session that is to end. */
export interface EndingOptions {
  readonly client: ByteStream;
  readonly backend: ByteStream;
  readonly activity: Activity;
  readonly clientWalk: HeaderWalk;
  readonly backendWalk: HeaderWalk;
  readonly cancels: () => Cancelling;
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
 * The end of a session, whoever begins it: what either end is told, what becomes of a query that nobody waits for any more,
 * and how long it may take. Whatever happens first is how it ended.
 */
export class Ending {
  readonly #session: EndingOptions;
  #how: RelayEnding | null = null;
  #cause: unknown;
  /** Settles when our last bytes to the client have left. */
  #farewell: Promise<void> | null = null;
  /** Settles when the backend has been told that its query is nobody's. */
  #abandonment: Promise<void> | null = null;
  #timer: ReturnType<typeof setTimeout> | undefined;

  constructor(session: EndingOptions) {
    this.#session = session;
  }

  /** `null` until it has begun. */
  get how(): RelayEnding | null {
    return this.#how;
  }

  get cause(): unknown {
    return this.#cause;
  }

  /** Behind our last words to the client nothing may come. */
  get hasSaidFarewell(): boolean {
    return this.#farewell !== null;
  }

  /** Settles when all is said; both streams have ended before. */
  async isOver(): Promise<void> {
    await this.#farewell;
    await this.#abandonment;
    clearTimeout(this.#timer);
  }

  /** Ends it from our side: now, whatever it is doing. */
  cut(error: PgError, { isAtRest }: { readonly isAtRest: boolean }): void {
    // A backend whose client just goes away complains of that in its log.
    if (isAtRest) return this.#part(error, LINGER_DISMISSED_MS);
    this.#settle("ended_by_policy", error);
    this.#dismissClient(error);
    this.#abandonBackend();
  }

  /** Ends it from our side, in a moment when nothing is lost by it. */
  depart(error: PgError): void {
    this.#part(error, LINGER_MS);
  }

  #part(error: PgError, lingerMs: number): void {
    const { client, backend, clientWalk } = this.#session;
    this.#settle("ended_by_policy", error);
    this.#dismissClient(error, lingerMs);
    // Behind half a message it would be the other half, and that might be done. Without it PostgreSQL drops what it has.
    if (clientWalk.isBetweenMessages) {
      backend.write(encodeMessage(terminate, { kind: "Terminate" })).catch(ignoreBroken);
    }
    backend.end();
    // The short time begins when our last words have left: a slow client has other things queued in front of them.
    this.#farewell = this.#farewell!.then(() =>
      this.#after(LINGER_DISMISSED_MS, () => {
        client.destroy();
        backend.destroy();
      })
    );
  }

  /** The client sends no more. After Terminate the backend ends by itself, when it is done with what came before. */
  clientEnded(): void {
    if (this.#how !== null) return;
    const { backend, activity: { isTerminated, isQuiet } } = this.#session;
    this.#settle(isTerminated ? "client_left" : "client_lost");
    backend.end();
    if (isTerminated) return;
    this.#after(isQuiet ? LINGER_MS : HALF_CLOSED_MS, () => this.#abandon());
  }

  /** The client cannot be reached any more. */
  clientGone(cause: unknown): void {
    if (this.#how !== null) return;
    const { backend, activity: { isTerminated } } = this.#session;
    this.#settle(isTerminated ? "client_left" : "client_lost", cause);
    if (isTerminated) backend.end();
    else this.#abandon();
  }

  /** The backend sends no more, or cannot be reached any more. */
  backendGone(cause?: unknown): void {
    if (this.#how !== null) return this.#dismissClient();
    const { backend, activity: { isTerminated }, backendWalk } = this.#session;
    this.#settle(isTerminated ? "client_left" : "backend_left", cause);
    // A backend that leaves at Terminate owes no reason, even if it is faster than the client's own close; and one that
    // says why it leaves has said enough.
    const isExplained = isTerminated || backendWalk.lastType === ERROR_RESPONSE;
    this.#dismissClient(isExplained ? undefined : backendLost());
    backend.destroy();
  }

  /** What came from either end makes no sense. */
  fail(thrown: unknown): void {
    if (this.#how !== null) return;
    const error = asPgError(thrown);
    this.#settle("failed", error);
    this.#dismissClient(error);
    this.#abandonBackend();
  }

  /** Leaves the backend alone with nobody's query. */
  #abandon(): void {
    this.#abandonBackend();
    this.#session.client.destroy();
  }

  /** Leaves the backend, and no query running there: it does not notice by itself that nobody waits for the answer. */
  #abandonBackend(): void {
    this.#abandonment = this.#session.cancels().abandon();
    this.#session.backend.destroy();
  }

  /** Last words, if there are any and they fit: an ErrorResponse stands between two messages, or nowhere. */
  #dismissClient(error?: PgError, lingerMs = this.#lingerMs()): void {
    if (this.#farewell !== null) return;
    const { client, backendWalk } = this.#session;
    const lastWords = error !== undefined && backendWalk.isBetweenMessages ? encodeError(error) : EMPTY;
    this.#after(lingerMs, () => client.destroy());
    // Not awaited: a client slow to read has its last answers still queued in front, and end() waits for all of it.
    if (lastWords.length > 0) client.write(lastWords).catch(ignoreBroken);
    this.#farewell = client.end();
  }

  #lingerMs(): number {
    if (this.#session.activity.isTerminated) return LINGER_TERMINATED_MS;
    return this.#how === "backend_left" ? LINGER_MS : LINGER_DISMISSED_MS;
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

/** To an end that takes no more nothing is sent: that it is gone shows where it is read. */
export function ignoreBroken(error: unknown): void {
  if (!(error instanceof StreamBroken)) throw error;
}

const EMPTY = new Uint8Array(0);

function backendLost(): PgError {
  return new PgError(SQLSTATE.connectionFailure, "the backend closed the connection unexpectedly", {
    blame: "backend",
    hint: "Connect again; whether the last command took effect is not known.",
  });
}
