import { Chronicle } from "./chronicle.ts";
import { Entrance, type LetIn } from "./entrance.ts";
import { PgError } from "./errors.ts";
import type { CancelKey } from "./relay/cancel_keys.ts";
import type { Relay, RelayOwner, RelayResult } from "./relay/relay.ts";
import type { SessionHouse, SessionSettings } from "./session_settings.ts";
import type { ByteStream } from "./stream/byte_stream.ts";
import { Tenure } from "./tenure.ts";

/** Which connection a {@link Session} is, and what it goes by. */
export interface SessionOptions {
  /** Counts from 1 since the program started. */
  readonly id: number;
  readonly settings: SessionSettings;
  readonly house: SessionHouse;
  /** The address it came in by, as `listen.address` has it. */
  readonly listener: string;
  /** Called when it is over. */
  readonly over: (session: Session) => void;
}

/**
 * One connection's life: it comes in by an {@link Entrance}, where it says who it is and is let in somewhere, and is then
 * carried until either end leaves.
 *
 * Whatever goes wrong ends this connection alone, with one ErrorResponse.
 */
export class Session implements RelayOwner {
  readonly #chronicle: Chronicle;
  readonly #house: SessionHouse;
  /** Until the login is over. */
  #entrance: Entrance | null;
  #login: Promise<LetIn | null> | null = null;
  #settings: SessionSettings | null;
  /** From then on. */
  #relay: Relay | null = null;
  #tenure: Tenure | null = null;
  /** Its place among the connections. */
  #place: Disposable | null = null;
  #key: CancelKey | null = null;
  /** What is to become of it once it is let in, should it be let in all the same. */
  #ending: ((relay: Relay) => void) | null = null;
  readonly #over: (session: Session) => void;

  constructor(stream: ByteStream, { id, settings, house, listener, over }: SessionOptions) {
    this.#over = over;
    this.#house = house;
    this.#settings = settings;
    this.#chronicle = new Chronicle(stream.peer, { id, house });
    this.#entrance = new Entrance(stream, { settings, house, chronicle: this.#chronicle, listener });
  }

  /** Lives this connection's life; settles when it is let in, or will not be. Never rejects. */
  async run(): Promise<void> {
    this.#login = this.#entrance!.pass();
    const letIn = await this.#login;
    this.#entrance = this.#login = null;
    if (letIn === null) this.#over(this);
    else this.#carry(letIn);
  }

  /** Settles when the login is over; `null` when it is, or goes by other settings. */
  loginBy(settings: SessionSettings): Promise<unknown> | null {
    return settings === this.#settings ? this.#login : null;
  }

  /** What it is doing, and what it has carried so far; `null` unless it has been let in and is not over. */
  get standing() {
    if (this.#relay === null) return null;
    return { backend: this.#tenure!.backend, ...this.#relay.standing };
  }

  /** A deny list has changed: may it stay? A login under way is asked when it is over. */
  check(): void {
    this.#tenure?.check();
  }

  /** The configuration has changed: may it stay? A login under way is asked when it is over. */
  review(): void {
    this.#tenure?.review();
  }

  /**
   * Ends this connection from our side, with the reason for its client.
   *
   * @returns whether that has cut off a session in what it was doing
   */
  end(error: PgError): boolean {
    this.#endLogin(error, (relay) => relay.end(error));
    return this.#relay?.end(error) ?? false;
  }

  /** The same, but a session may finish its transaction and have its answers: {@link Relay.endWhenIdle}. */
  leave(error: PgError): void {
    this.#endLogin(error, (relay) => relay.endWhenIdle(error));
    this.#relay?.endWhenIdle(error);
  }

  /** A login may be over in the very moment it is ended: then its session is. */
  #endLogin(error: PgError, ending: (relay: Relay) => void): void {
    if (this.#entrance === null) return;
    this.#entrance.end(error);
    this.#ending = ending;
  }

  /** Nobody awaits its end: a promise is half a kilobyte for as long as it is awaited, and most sessions are idle. */
  #carry({ relay, stay, place, key }: LetIn): void {
    this.#place = place;
    this.#key = key;
    this.#relay = relay;
    const tenure = new Tenure(stay, { relay, house: this.#house, chronicle: this.#chronicle });
    this.#tenure = tenure;
    relay.run(this);
    // What has changed while it logged in must not be missed by it.
    if (this.#settings === this.#house.settings()) tenure.check();
    else tenure.review();
    this.#settings = null;
    this.#ending?.(relay);
  }

  /** As {@link RelayOwner}. */
  carried(result: RelayResult): void {
    using resources = new DisposableStack();
    resources.defer(() => this.#over(this));
    resources.use(this.#place);
    resources.use(this.#relay);
    resources.use(this.#key);
    const { backend } = resources.use(this.#tenure!);
    // From here on its bytes are told by its end, and must not be counted twice.
    this.#relay = null;
    const durationMs = this.#chronicle.elapsedMs;
    this.#chronicle.note({ kind: "session_ended", backend, durationMs, ...explained(result) });
  }
}

/** An end of our own is no fault of anybody's: its reason is told, not a cause. */
function explained(result: RelayResult) {
  const { how, cause } = result;
  if (how !== "ended_by_policy" || !(cause instanceof PgError)) return result;
  const { message, reason } = cause;
  return { ...result, cause: undefined, reason: reason === undefined ? message : `${message}: ${reason}` };
}
