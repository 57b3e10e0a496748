import type { Sender, StreamBroken } from "./byte_stream.ts";

/** A {@link Sender} that can be awaited. */
export class Sent implements Sender {
  readonly #over = Promise.withResolvers<void>();
  /** Settles when the stream takes more; rejects with {@link StreamBroken}. */
  readonly over = this.#over.promise;

  sent(broken?: StreamBroken): void {
    if (broken === undefined) this.#over.resolve();
    else this.#over.reject(broken);
  }
}
