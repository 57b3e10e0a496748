import type { StreamBroken } from "../stream/byte_stream.ts";
import { Direction } from "./direction.ts";
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

  /** Puts a message between two others as soon as there is room, in place of one that still waits for that. */
  insert(notice: Uint8Array): void {
    this.#notice = notice;
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
    const ending = this.exchange.beginEnding();
    ending.backendGone(cause);
    void this.exchange.closed(ending);
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
