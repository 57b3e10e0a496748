// The room `relay/`: after login, bytes both ways until either end leaves.
// In: two streams, each just past its login. Out: how the session ended, and how many bytes went each way.
// Chapter: https://www.postgresql.org/docs/18/protocol-flow.html#PROTOCOL-FLOW-TERMINATION
import type { PgError } from "../errors.ts";
import type { ByteStream, ChunkTaker, Sender, StreamBroken } from "../stream/byte_stream.ts";
import { Activity } from "./activity.ts";
import { type Canceller, Cancelling } from "./cancelling.ts";
import { Departure } from "./departure.ts";
import { Ending, ignoreBroken, type RelayEnding } from "./ending.ts";
import { HeaderWalk, type MessageListener } from "./header_walk.ts";
import { insertBetweenMessages } from "./insertion.ts";

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

/** What a relay begins with. */
export interface RelayOptions {
  /** What the client sent ahead, behind its last login message. */
  readonly fromClient: Uint8Array;
  /** What the backend sent behind its ReadyForQuery. */
  readonly fromBackend: Uint8Array;
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
  readonly activity = new Activity();
  readonly #client: ByteStream;
  readonly #backend: ByteStream;
  readonly #canceller: Canceller;
  readonly #patienceMs: number | undefined;
  /** What was read ahead, until it runs. */
  #ahead: Pick<RelayOptions, "fromClient" | "fromBackend">;
  readonly #fromClient: Direction;
  readonly #fromBackend: Direction;
  readonly #clientWalk: HeaderWalk;
  readonly #backendWalk: HeaderWalk;
  /** A chunk that is only lent cannot be given to an end that keeps it. */
  readonly #mustCopyIn: boolean;
  readonly #mustCopyOut: boolean;
  /** How many ends are not closed yet. */
  #open = 2;
  #owner: RelayOwner | null = null;
  #bytesIn = 0;
  #bytesOut = 0;
  /** Made when it is needed: most sessions never see a cancel, and there may be thousands of them. */
  #cancelling: Cancelling | null = null;
  /** Once it has begun. */
  #ending: Ending | null = null;
  /** Once the session is to end when it is idle. */
  #departure: Departure | null = null;
  /** What the client is to be told between two messages, while there is no such place. */
  #notice: Uint8Array | null = null;
  /** Bytes of the backend wait for the client to take them. */
  #isDelivering = false;

  constructor(client: ByteStream, backend: ByteStream, options: RelayOptions) {
    this.#client = client;
    this.#backend = backend;
    this.#canceller = options.canceller;
    this.#patienceMs = options.patienceMs;
    this.#ahead = options;
    this.#mustCopyIn = client.lendsChunks && backend.keepsChunks;
    this.#mustCopyOut = backend.lendsChunks && client.keepsChunks;
    this.#fromClient = new Relay.#FromClient(this);
    this.#fromBackend = new Relay.#FromBackend(this);
    this.#clientWalk = new HeaderWalk(this.#fromClient);
    this.#backendWalk = new HeaderWalk(this.#fromBackend);
  }

  /** What the session is doing, and what it has carried so far. */
  get standing() {
    const { state, transactions } = this.activity;
    return { state, transactions, bytesIn: this.#bytesIn, bytesOut: this.#bytesOut };
  }

  /** Runs until both ends are closed, as far as they can be, and then tells `owner`. */
  run(owner: RelayOwner): void {
    const { fromClient, fromBackend } = this.#ahead;
    this.#ahead = NOTHING;
    this.#owner = owner;
    begin(this.#client, fromClient, this.#fromClient);
    begin(this.#backend, fromBackend, this.#fromBackend);
  }

  /** Lets go of both ends. */
  [Symbol.dispose](): void {
    this.#client.destroy();
    this.#backend.destroy();
  }

  /**
   * Ends the session from our side: the client is told why, if it stands between two messages.
   *
   * @returns whether it was doing anything, which is lost by it
   */
  end(error: PgError): boolean {
    if (this.#isEnding) return false;
    const isAtRest = this.#isDone() && this.#clientWalk.isBetweenMessages;
    this.#end().cut(error, { isAtRest });
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
    if (this.#isEnding) return;
    this.#departure ??= new Departure({
      isDone: () => this.#isDone(),
      isAwaitingRest: () => !this.#clientWalk.isBetweenMessages,
      needsClient: () => this.activity.needsClient,
      leave: () => this.#end().depart(error),
    }, this.#patienceMs);
    this.#departure.check();
  }

  /**
   * Tells the client something in one message: now, or as soon as the backend stands between two messages. What waits for
   * that is replaced by what is told later.
   */
  notify(message: Uint8Array): void {
    if (this.#isEnding) return;
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

  // Classes, so that a session has two objects for this and not eight closures.

  static readonly #FromClient = class implements Direction {
    readonly #relay: Relay;

    constructor(relay: Relay) {
      this.#relay = relay;
    }

    take(chunk: Uint8Array): boolean {
      return this.#relay.#takeFromClient(chunk);
    }

    sent(): void {
      this.#relay.#backendTakesMore();
    }

    message(type: number): void {
      this.#relay.activity.frontendMessage(type);
    }

    ended(): void {
      const ending = this.#relay.#end();
      ending.clientEnded();
      void this.#relay.#closed(ending);
    }

    broke(cause: unknown): void {
      const ending = this.#relay.#end();
      ending.clientGone(cause);
      void this.#relay.#closed(ending);
    }
  };

  static readonly #FromBackend = class implements Direction {
    readonly #relay: Relay;

    constructor(relay: Relay) {
      this.#relay = relay;
    }

    take(chunk: Uint8Array): boolean {
      return this.#relay.#takeFromBackend(chunk);
    }

    sent(broken?: StreamBroken): void {
      this.#relay.#clientTakesMore(broken);
    }

    message(type: number, firstByte: number): void {
      this.#relay.activity.backendMessage(type, firstByte);
    }

    ended(): void {
      this.broke(undefined);
    }

    broke(cause: unknown): void {
      const ending = this.#relay.#end();
      ending.backendGone(cause);
      void this.#relay.#closed(ending);
    }
  };

  #takeFromClient(chunk: Uint8Array): boolean {
    // Once the session is over, bytes are read only because a close with bytes unread would reset the connection, and lose
    // our last words on their way.
    if (this.#isEnding) return true;
    if (this.#departure?.isHoldingBack) return this.#wait(this.#sendWhatIsNeeded(chunk, this.#departure));
    if (!this.#walkOver(chunk, this.#clientWalk)) return true;
    if (this.#cancelling?.isDelivering) return this.#wait(this.#sendBehind(this.#cancelling, chunk));
    return this.#sendToBackend(chunk);
  }

  #sendToBackend(chunk: Uint8Array): boolean {
    this.#bytesIn += chunk.length;
    const takesMore = this.#backend.send(this.#mustCopyIn ? chunk.slice() : chunk, this.#fromClient);
    if (takesMore && this.#departure !== null) this.#departure.check();
    return takesMore;
  }

  #backendTakesMore(): void {
    if (this.#departure !== null) this.#departure.check();
    this.#client.giveTo(this.#fromClient);
  }

  async #sendBehind(cancelling: Cancelling, chunk: Uint8Array): Promise<boolean> {
    await cancelling.untilDelivered();
    return this.#isEnding || this.#sendToBackend(chunk);
  }

  /** Takes no more of the client until it is known whether the backend does. */
  #wait(sending: Promise<boolean>): false {
    sending.then(
      (takesMore) => takesMore && this.#client.giveTo(this.#fromClient),
      (cause) => this.#fromClient.broke(cause),
    );
    return false;
  }

  #takeFromBackend(chunk: Uint8Array): boolean {
    // Behind our last words nothing may come.
    if (this.#ending?.hasSaidFarewell) return true;
    let bytes: Uint8Array | null = chunk;
    if (this.#notice !== null) bytes = this.#walkWithNotice(chunk, this.#notice);
    else if (!this.#walkOver(chunk, this.#backendWalk)) return true;
    if (bytes === null) return true;
    this.#bytesOut += bytes.length;
    const takesMore = this.#client.send(this.#mustCopyOut ? bytes.slice() : bytes, this.#fromBackend);
    this.#isDelivering = !takesMore;
    if (this.#departure !== null) this.#departure.check();
    return takesMore;
  }

  #clientTakesMore(broken?: StreamBroken): void {
    // While the backend takes nothing, the client is not read: then only this shows that it is gone.
    if (broken !== undefined) this.#end().clientGone(broken);
    this.#isDelivering = false;
    if (this.#departure !== null) this.#departure.check();
    this.#backend.giveTo(this.#fromBackend);
  }

  /** Passes on of a chunk what finishes what is under way. The rest waits, and no more is read, until that needs it too. */
  async #sendWhatIsNeeded(chunk: Uint8Array, departure: Departure): Promise<boolean> {
    for (let rest = chunk; rest.length > 0;) {
      await departure.untilNeeded();
      await this.#cancelling?.untilDelivered();
      if (this.#isEnding) return true;
      const needed = rest.subarray(0, this.#walkOverNeeded(rest));
      rest = rest.subarray(needed.length);
      this.#bytesIn += needed.length;
      await this.#backend.write(this.#mustCopyIn ? needed.slice() : needed).catch(ignoreBroken);
      departure.check();
    }
    return true;
  }

  /** How many bytes of a chunk are needed; none when a header in them makes no sense, which ends this session. */
  #walkOverNeeded(chunk: Uint8Array): number {
    let at = 0;
    try {
      while (at < chunk.length && this.activity.needsClient) {
        at += this.#clientWalk.walkMessage(chunk.subarray(at));
      }
      return at;
    } catch (error) {
      this.#end().fail(error);
      return 0;
    }
  }

  /** Looks at the headers in a chunk; false when they make no sense, which ends this session and no other. */
  #walkOver(chunk: Uint8Array, walk: HeaderWalk): boolean {
    try {
      walk.walk(chunk);
      return true;
    } catch (error) {
      this.#end().fail(error);
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
      this.#end().fail(error);
      return null;
    }
  }

  /** All that was asked whole is answered, the client has the answers, and no transaction is open. */
  #isDone(): boolean {
    const { isIdle, isTerminated } = this.activity;
    return !this.#isEnding && isIdle && !isTerminated && !this.#isDelivering &&
      this.#backendWalk.isBetweenMessages;
  }

  /** Its end has begun, whoever has begun that. */
  get #isEnding(): boolean {
    return this.#ending !== null;
  }

  /** Its end, which begins with this. */
  #end(): Ending {
    if (this.#ending !== null) return this.#ending;
    this.#departure?.[Symbol.dispose]();
    return this.#ending = new Ending({
      client: this.#client,
      backend: this.#backend,
      activity: this.activity,
      clientWalk: this.#clientWalk,
      backendWalk: this.#backendWalk,
      cancels: () => this.#cancels(),
    });
  }

  /** One of the two ends is closed, which was told to `ending`. */
  async #closed(ending: Ending): Promise<void> {
    if (--this.#open > 0) return;
    await ending.isOver();
    this.#owner?.carried({
      how: ending.how ?? "failed",
      bytesIn: this.#bytesIn,
      bytesOut: this.#bytesOut,
      transactions: this.activity.transactions,
      cause: ending.cause,
    });
  }

  #cancels(): Cancelling {
    return this.#cancelling ??= new Cancelling(this.activity, this.#canceller);
  }
}

/** What comes from one end: it is taken, looked at, and sent to the other. */
type Direction = ChunkTaker & Sender & MessageListener;

/** Has `taker` take what was read ahead of a stream, and then all that comes by it. */
function begin(stream: ByteStream, ahead: Uint8Array, taker: ChunkTaker): void {
  try {
    if (ahead.length > 0 && !taker.take(ahead)) return;
  } catch (cause) {
    return taker.broke(cause);
  }
  stream.giveTo(taker);
}

const NOTHING = { fromClient: new Uint8Array(0), fromBackend: new Uint8Array(0) };
