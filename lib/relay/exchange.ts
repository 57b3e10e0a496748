import type { ByteStream } from "../stream/byte_stream.ts";
import { Activity } from "./activity.ts";
import { type Canceller, Cancelling } from "./cancelling.ts";
import type { Departure } from "./departure.ts";
import { Ending } from "./ending.ts";
import { FromBackend } from "./from_backend.ts";
import { FromClient } from "./from_client.ts";
import type { ReadAhead, RelayOwner } from "./relay.ts";

/** A session under way: its two ends, its two directions, and what these have to know of each other. */
export class Exchange {
  readonly activity = new Activity();
  readonly fromClient: FromClient;
  readonly fromBackend: FromBackend;
  /** Once the session is to end when it is idle. */
  departure: Departure | null = null;
  readonly #client: ByteStream;
  readonly #backend: ByteStream;
  readonly #canceller: Canceller;
  /** Made when it is needed: most sessions never see a cancel, and there may be thousands of them. */
  #cancelling: Cancelling | null = null;
  /** Once it has begun. */
  #ending: Ending | null = null;
  /** How many ends are not closed yet. */
  #open = 2;
  #owner: RelayOwner | null = null;

  constructor(client: ByteStream, backend: ByteStream, canceller: Canceller) {
    this.#client = client;
    this.#backend = backend;
    this.#canceller = canceller;
    this.fromClient = new FromClient(this, { from: client, to: backend });
    this.fromBackend = new FromBackend(this, { from: backend, to: client });
  }

  /** Carries until both ends are closed, as far as they can be, and then tells `owner`. */
  begin(owner: RelayOwner, { fromClient, fromBackend }: ReadAhead): void {
    this.#owner = owner;
    this.fromClient.begin(fromClient);
    this.fromBackend.begin(fromBackend);
  }

  /** Lets go of both ends. */
  destroy(): void {
    this.#client.destroy();
    this.#backend.destroy();
  }

  /** Its end; `null` until somebody has begun it. */
  get ending(): Ending | null {
    return this.#ending;
  }

  /** Its end, which begins now if it has not before. */
  beginEnding(): Ending {
    if (this.#ending !== null) return this.#ending;
    this.departure?.[Symbol.dispose]();
    this.fromClient[Symbol.dispose]();
    return this.#ending = new Ending({
      client: this.#client,
      backend: this.#backend,
      activity: this.activity,
      clientWalk: this.fromClient.walk,
      backendWalk: this.fromBackend.walk,
      cancels: () => this.cancels(),
    });
  }

  /** One of the two ends is closed, which its end has been told. */
  async closed(): Promise<void> {
    if (--this.#open > 0) return;
    const ending = this.beginEnding();
    await ending.isOver();
    this.#owner?.carried({
      how: ending.how ?? "failed",
      bytesIn: this.fromClient.bytes,
      bytesOut: this.fromBackend.bytes,
      transactions: this.activity.transactions,
      cause: ending.cause,
    });
  }

  /** Its cancels; `null` while there was none. */
  get cancelling(): Cancelling | null {
    return this.#cancelling;
  }

  /** Its cancels, for one more. */
  cancels(): Cancelling {
    return this.#cancelling ??= new Cancelling(this.activity, this.#canceller);
  }

  /** All that was asked whole is answered, the client has the answers, and no transaction is open. */
  get isDone(): boolean {
    const { isIdle, isTerminated } = this.activity;
    return this.#ending === null && isIdle && !isTerminated && !this.fromBackend.isDelivering &&
      this.fromBackend.walk.isBetweenMessages;
  }
}
