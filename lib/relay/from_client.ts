import { StreamBroken } from "../stream/byte_stream.ts";
import { Sent } from "../stream/sent.ts";
import type { Cancelling } from "./cancelling.ts";
import type { Departure } from "./departure.ts";
import { Direction } from "./direction.ts";
import { ignoreBroken } from "./ending.ts";

/** How often a client is looked for that is not read, in milliseconds. */
const LOOK_MS = 1_000;

/** From the client to the backend: what it asks waits for a cancel on its way, and is held back when the session is to end. */
export class FromClient extends Direction implements Disposable {
  /** More of the client is not asked for yet. */
  #isHeldUp = false;
  #look: ReturnType<typeof setTimeout> | undefined;

  /** It has asked all that it wants to know for now. */
  override get isAtRest(): boolean {
    return this.walk.isBetweenMessages && !this.exchange.activity.isSending;
  }

  override take(chunk: Uint8Array): boolean {
    this.#isHeldUp = !this.#take(chunk);
    if (this.#isHeldUp) this.#lookLater();
    return !this.#isHeldUp;
  }

  override message(type: number): void {
    this.exchange.activity.frontendMessage(type);
  }

  override ended(): void {
    this.exchange.beginEnding().clientEnded();
    void this.exchange.closed();
  }

  override broke(cause: unknown): void {
    this.exchange.beginEnding().clientGone(cause);
    void this.exchange.closed();
  }

  /** Looks for the client no more. */
  [Symbol.dispose](): void {
    clearTimeout(this.#look);
  }

  protected override passed(): void {
    // That the backend is gone shows where it is read.
    this.exchange.departure?.check();
  }

  protected override goOn(): void {
    this.#isHeldUp = false;
    super.goOn();
  }

  #take(chunk: Uint8Array): boolean {
    const { ending, departure, cancelling } = this.exchange;
    // Once the session is over, bytes are read only because a close with bytes unread would reset the connection, and lose
    // our last words on their way.
    if (ending !== null) return true;
    if (departure?.isHoldingBack) return this.#wait(this.#passWhatIsNeeded(chunk, departure));
    if (!this.walkOver(chunk)) return true;
    if (cancelling?.isDelivering) return this.#wait(this.#passBehind(cancelling, chunk));
    const takesMore = this.pass(chunk);
    if (takesMore && departure !== null) departure.check();
    return takesMore;
  }

  /**
   * While a client is not read its death shows nowhere, and what it has left running may hold locks. A reset is found so; an
   * end that comes behind bytes that wait is not, until TCP gives the connection up.
   */
  async #lookForClient(): Promise<void> {
    this.#look = undefined;
    if (!this.#isHeldUp) return;
    if (await this.from.isBroken()) this.exchange.beginEnding().clientGone(new StreamBroken());
    else if (this.exchange.ending === null) this.#lookLater();
  }

  #lookLater(): void {
    this.#look ??= setTimeout(() => this.#lookForClient(), LOOK_MS);
  }

  /** Takes no more until something is done. */
  #wait(passing: Promise<void>): false {
    passing.then(() => this.goOn(), (cause) => this.broke(cause));
    return false;
  }

  async #passBehind(cancelling: Cancelling, chunk: Uint8Array): Promise<void> {
    await cancelling.untilDelivered();
    if (this.exchange.ending !== null) return;
    await this.#passAndWait(chunk);
    this.exchange.departure?.check();
  }

  /** Passes on of a chunk what finishes what is under way. The rest waits, and no more is read, until that needs it too. */
  async #passWhatIsNeeded(chunk: Uint8Array, departure: Departure): Promise<void> {
    for (let rest = chunk; rest.length > 0;) {
      await departure.untilNeeded();
      await this.exchange.cancelling?.untilDelivered();
      if (this.exchange.ending !== null) return;
      const needed = rest.subarray(0, this.#walkOverNeeded(rest));
      rest = rest.subarray(needed.length);
      await this.#passAndWait(needed);
      departure.check();
    }
  }

  /** How many bytes of a chunk are needed; none when a header in them makes no sense, which ends this session. */
  #walkOverNeeded(chunk: Uint8Array): number {
    let at = 0;
    try {
      while (at < chunk.length && this.exchange.activity.needsClient) {
        at += this.walk.walkMessage(chunk.subarray(at));
      }
      return at;
    } catch (error) {
      this.exchange.beginEnding().fail(error);
      return 0;
    }
  }

  async #passAndWait(bytes: Uint8Array): Promise<void> {
    const sent = new Sent();
    if (!this.pass(bytes, sent)) await sent.over.catch(ignoreBroken);
  }
}
