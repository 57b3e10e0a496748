import type { Limits } from "../limits/limits.ts";
import type { Place } from "../limits/unauthenticated.ts";
import type { ConnectionFacts, ProxyEvent, SessionEvent } from "../observe/events.ts";
import type { CancelClaim } from "../relay/cancel_keys.ts";
import type { TokenDesk } from "../token_desk.ts";
import type { HoldingId, MainCalls, StrangerId, WorkerCalls } from "./calls.ts";
import { answerOf, type Line } from "./line.ts";
import { packError, unpackEvent } from "./parcel.ts";

/** What a {@link Desk} answers out of. */
export interface DeskOptions {
  readonly limits: Limits;
  /** Who is asked about tokens by the configuration of that generation. */
  readonly tokensOf: (generation: number) => TokenDesk;
  readonly observe: (event: SessionEvent | ProxyEvent) => void;
  /** The worker that has issued a cancel key, unless it is not there. */
  readonly lineTo: (claim: CancelClaim) => Line<WorkerCalls> | undefined;
  readonly ready: () => void;
  /** Milliseconds on a clock that only goes forward. */
  readonly now: () => number;
}

/** A session of the worker, until it is over. */
interface Live {
  readonly connection: ConnectionFacts;
  readonly backend: string;
  readonly sinceMs: number;
}

/** Where one worker asks for what all of them share. What it has taken is given back when it is gone. */
export class Desk {
  readonly #options: DeskOptions;
  readonly #holdings = new Map<HoldingId, Disposable>();
  readonly #connections = new Set<HoldingId>();
  readonly #strangers = new Map<StrangerId, Place>();
  readonly #live = new Map<number, Live>();
  #lastHolding = 0;
  /** The way back to the worker. */
  line!: Line<WorkerCalls>;

  constructor(options: DeskOptions) {
    this.#options = options;
  }

  /** How many connections the worker has. */
  get connectionCount(): number {
    return this.#strangers.size + this.#connections.size;
  }

  /** How many of them have been let in. */
  get sessionCount(): number {
    return this.#live.size;
  }

  /** What the worker may ask. */
  get calls(): MainCalls {
    const { limits, tokensOf, ready } = this.#options;
    const { failedLogins, discoveries, connections } = limits;
    return {
      ready: () => ready(),
      observe: (event) => this.#observe(unpackEvent(event)),
      verify: ({ generation, token, presented }, signal) =>
        tokensOf(generation).verify(token, { ...presented, signal }),
      standingOf: ({ generation, token }) => tokensOf(generation).standingOf(token),
      introspectAgain: ({ generation, token, presented }) =>
        tokensOf(generation).introspectAgain(presented, token),
      checkFailures: (suspect) => failedLogins.check(suspect),
      failed: (suspect) => {
        const heldBack = failedLogins.failed(suspect);
        return { ms: heldBack.ms, holding: this.#hold(heldBack) };
      },
      succeeded: (suspect) => failedLogins.succeeded(suspect),
      discover: (address) => discoveries.take(address),
      enter: (connected) => {
        const holding = this.#hold(connections.enter(connected));
        this.#connections.add(holding);
        return holding;
      },
      release: (holding) => this.#release(holding),
      strangerEnters: (stranger) => this.#admit(stranger),
      strangerComesFrom: ({ stranger, address }) => this.#strangers.get(stranger)?.comesFrom(address),
      strangerLeaves: (stranger) => this.#strangers.get(stranger)?.leaves(),
      strangerIsGone: (stranger) => this.#forget(stranger),
      findCancel: (claim) => this.#askFor(claim, (line) => line.ask("findCancel", claim), false),
      cancel: (claim) => this.#askFor(claim, (line) => line.ask("cancel", claim), undefined),
    };
  }

  /** The worker is gone, and its sessions with it: everything it has taken is free again. */
  close(why: string): void {
    for (const holding of [...this.#holdings.keys()]) this.#release(holding);
    for (const stranger of [...this.#strangers.keys()]) this.#forget(stranger);
    const live = [...this.#live.values()];
    this.#live.clear();
    for (const { connection, backend, sinceMs } of live) {
      this.#options.observe({
        connection,
        kind: "session_ended",
        how: "failed",
        backend,
        durationMs: Math.round(this.#options.now() - sinceMs),
        // What it has carried since the last census nobody knows.
        bytesIn: 0,
        bytesOut: 0,
        transactions: 0,
        reason: "its worker was lost",
        cause: new Error(why),
      });
    }
  }

  #observe(event: SessionEvent | ProxyEvent): void {
    if (event.kind === "authenticated") {
      const { connection, backend, durationMs } = event;
      this.#live.set(connection.id, { connection, backend, sinceMs: this.#options.now() - durationMs });
    } else if (event.kind === "session_ended") this.#live.delete(event.connection.id);
    this.#options.observe(event);
  }

  #hold(taken: Disposable): HoldingId {
    const holding = ++this.#lastHolding;
    this.#holdings.set(holding, taken);
    return holding;
  }

  #release(holding: HoldingId): void {
    this.#holdings.get(holding)?.[Symbol.dispose]();
    this.#holdings.delete(holding);
    this.#connections.delete(holding);
  }

  /** Where the worker that is meant is gone, its sessions are: there is nothing to cancel, and nobody to be told so. */
  async #askFor<T>(
    claim: CancelClaim,
    ask: (line: Line<WorkerCalls>) => Promise<T>,
    otherwise: T,
  ): Promise<T> {
    const line = this.#options.lineTo(claim);
    return line === undefined ? otherwise : await answerOf(ask(line)) ?? otherwise;
  }

  #admit(stranger: StrangerId): void {
    const place = this.#options.limits.unauthenticated.enter({
      dismiss: (why) => this.line.tell("dismissStranger", { stranger, error: packError(why()) }),
      drop: (hit) => this.line.tell("dropStranger", { stranger, hit }),
    });
    this.#strangers.set(stranger, place);
  }

  #forget(stranger: StrangerId): void {
    this.#strangers.get(stranger)?.[Symbol.dispose]();
    this.#strangers.delete(stranger);
  }
}
