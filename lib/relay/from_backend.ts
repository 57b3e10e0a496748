import type { StreamBroken } from "../stream/byte_stream.ts";
import { Direction } from "./direction.ts";
import { ignoreBroken } from "./ending.ts";
import { insertBetweenMessages } from "./insertion.ts";

/** From the backend to the client, who may be told something in between. */
export class FromBackend extends Direction {
  /** What the client is to be told between two messages, while there is no such place. */
  #notice: Uint8Array | null = null;
  #isDelivering = false;

  /** Bytes wait for the client to take them. */
  get isDelivering(): boolean {
    return this.#isDelivering;
  }

  /** All is answered. */
  override get isAtRest(): boolean {
    return this.walk.isBetweenMessages && this.exchange.activity.isQuiet;
  }

  /** Tells the client something between two messages: now, or as soon as there is room, in place of what still waits for that. */
  tell(notice: Uint8Array): void {
    if (this.walk.isBetweenMessages) this.to.write(notice).catch(ignoreBroken);
    else this.#notice = notice;
  }

  override take(chunk: Uint8Array): boolean {
    // Behind our last words nothing may come.
    if (this.exchange.ending?.hasSaidFarewell) return true;
    let bytes: Uint8Array | null = chunk;
    if (this.#notice !== null) bytes = this.#walkWithNotice(chunk, this.#notice);
    else if (!this.walkOver(chunk)) return true;
    if (bytes === null) return true;
    const takesMore = this.pass(bytes);
    this.#isDelivering = !takesMore;
    this.exchange.departure?.check();
    return takesMore;
  }

  protected override passed(broken?: StreamBroken): void {
    // While the backend takes nothing, the client is not read: then only this shows that it is gone.
    if (broken !== undefined) this.exchange.beginEnding().clientGone(broken);
    this.#isDelivering = false;
    this.exchange.departure?.check();
  }

  override message(type: number, firstByte: number): void {
    this.exchange.activity.backendMessage(type, firstByte);
  }

  override ended(): void {
    this.broke(undefined);
  }

  override broke(cause: unknown): void {
    this.exchange.beginEnding().backendGone(cause);
    void this.exchange.closed();
  }

  /** Looks at the headers in a chunk, and puts the notice in between if there is room; `null` when they make no sense. */
  #walkWithNotice(chunk: Uint8Array, notice: Uint8Array): Uint8Array | null {
    try {
      const told = insertBetweenMessages(chunk, { messages: notice, walk: this.walk });
      if (told !== chunk) this.#notice = null;
      return told;
    } catch (error) {
      this.exchange.beginEnding().fail(error);
      return null;
    }
  }
}
