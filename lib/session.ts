import { Chronicle } from "./chronicle.ts";
import { Entrance, type LetIn } from "./entrance.ts";
import type { PgError } from "./errors.ts";
import type { Relay } from "./relay/relay.ts";
import type { SessionHouse, SessionSettings } from "./session_settings.ts";
import type { ByteStream } from "./stream/byte_stream.ts";

/** Which connection a {@link Session} is, and what it goes by. */
export interface SessionOptions {
  /** Counts from 1 since the program started. */
  readonly id: number;
  readonly settings: SessionSettings;
  readonly house: SessionHouse;
  /** The address it came in by, as `listen.address` has it. */
  readonly listener: string;
}

/**
 * One connection's life: it comes in by an {@link Entrance}, where it says who it is and is let in somewhere, and is then
 * carried until either end leaves.
 *
 * Whatever goes wrong ends this connection alone, with one ErrorResponse.
 */
export class Session {
  readonly #chronicle: Chronicle;
  /** Until the login is over. */
  #entrance: Entrance | null;
  /** From then on. */
  #relay: Relay | null = null;

  constructor(stream: ByteStream, { id, settings, house, listener }: SessionOptions) {
    this.#chronicle = new Chronicle(stream.peer, { id, house });
    this.#entrance = new Entrance(stream, { settings, house, chronicle: this.#chronicle, listener });
  }

  /** Lives this connection's life. Never rejects. */
  async run(): Promise<void> {
    const letIn = await this.#entrance!.pass();
    this.#entrance = null;
    if (letIn !== null) await this.#carry(letIn);
  }

  /** Ends this connection from our side, with the reason for its client. */
  end(error: PgError): void {
    this.#entrance?.end(error);
    this.#relay?.end(error);
  }

  async #carry({ relay, resources }: LetIn): Promise<void> {
    using _resources = resources;
    this.#relay = relay;
    const result = await relay.run();
    this.#chronicle.note({ kind: "session_ended", durationMs: this.#chronicle.elapsedMs, ...result });
  }
}
