// The room `relay/`: after login, bytes both ways until either end leaves.
// In: two streams, each just past its login. Out: how the session ended, and how many bytes went each way.
// Chapter: https://www.postgresql.org/docs/18/protocol-flow.html#PROTOCOL-FLOW-TERMINATION
import type { PgError } from "../errors.ts";
import type { ByteStream } from "../stream/byte_stream.ts";
import type { Activity } from "./activity.ts";
import type { Canceller } from "./cancelling.ts";
import { Departure } from "./departure.ts";
import type { RelayEnding } from "./ending.ts";
import { Exchange } from "./exchange.ts";

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

/** Who is told that a relay is over. */
export interface RelayOwner {
  carried(result: RelayResult): void;
}

/** What was read ahead of a relay. */
export interface ReadAhead {
  /** What the client sent behind its last login message. */
  readonly fromClient: Uint8Array;
  /** What the backend sent behind its ReadyForQuery. */
  readonly fromBackend: Uint8Array;
}

/** What a relay begins with. */
export interface RelayOptions extends ReadAhead {
  readonly canceller: Canceller;
  /** As {@link PATIENCE_MS}, its default. */
  readonly patienceMs?: number;
}

/**
 * Carries bytes both ways. Chunks go on as they came; only the headers in them are looked at.
 *
 * Either end's death ends the other: a backend that dies between two messages is announced to the client as FATAL 08006, a
 * client that dies in a query has the query cancelled, so that it leaves no lock behind.
 */
export class Relay implements Disposable {
  readonly #exchange: Exchange;
  readonly #patienceMs: number | undefined;
  /** What was read ahead, until it runs. */
  #ahead: ReadAhead;

  constructor(client: ByteStream, backend: ByteStream, options: RelayOptions) {
    this.#exchange = new Exchange(client, backend, options.canceller);
    this.#patienceMs = options.patienceMs;
    this.#ahead = options;
  }

  get activity(): Activity {
    return this.#exchange.activity;
  }

  /** What the session is doing, and what it has carried so far. */
  get standing() {
    const { activity: { state, transactions }, fromClient, fromBackend } = this.#exchange;
    return { state, transactions, bytesIn: fromClient.bytes, bytesOut: fromBackend.bytes };
  }

  /** Runs until both ends are closed, as far as they can be, and then tells `owner`. */
  run(owner: RelayOwner): void {
    this.#exchange.begin(owner, this.#ahead);
    this.#ahead = NOTHING;
  }

  /** Lets go of both ends. */
  [Symbol.dispose](): void {
    this.#exchange.destroy();
  }

  /**
   * Ends the session from our side: the client is told why, if it stands between two messages.
   *
   * @returns whether it was doing anything, which is lost by it
   */
  end(error: PgError): boolean {
    const { ending, isDone, fromClient } = this.#exchange;
    if (ending !== null) return false;
    const isAtRest = isDone && fromClient.walk.isBetweenMessages;
    this.#exchange.beginEnding().cut(error, { isAtRest });
    return !isAtRest;
  }

  /**
   * Ends the session from our side at the first moment when nothing is lost by it: all that was asked is answered, the
   * client has the answers, and no transaction is open. For a moment of patience it goes on as before. Then no more of the
   * client is passed on than it takes to finish what is under way, query by query.
   *
   * What the client sends behind that gets no answer, and nothing of it was done. A session that keeps a transaction open
   * is not ended so, nor is a stream of replication.
   */
  endWhenIdle(error: PgError): void {
    const exchange = this.#exchange;
    if (exchange.ending !== null) return;
    exchange.departure ??= new Departure({
      isDone: () => exchange.isDone,
      isAwaitingRest: () => !exchange.fromClient.walk.isBetweenMessages,
      needsClient: () => exchange.activity.needsClient,
      leave: () => exchange.beginEnding().depart(error),
    }, this.#patienceMs);
    exchange.departure.check();
  }

  /**
   * Tells the client something in one message: now, or as soon as the backend stands between two messages. What waits for
   * that is replaced by what is told later.
   */
  notify(message: Uint8Array): void {
    if (this.#exchange.ending === null) this.#exchange.fromBackend.tell(message);
  }

  /**
   * Passes a cancel on while what it means is still running; settles when it is delivered, or not meant any more.
   *
   * What the client sends meanwhile waits, so that no query asked after the cancel can be hit by it.
   */
  cancelQuery(): Promise<void> {
    return this.#exchange.cancels().cancel();
  }
}

const NOTHING: ReadAhead = { fromClient: new Uint8Array(0), fromBackend: new Uint8Array(0) };
