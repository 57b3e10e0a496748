import type { Connected } from "../limits/connections.ts";
import type { HeldBack, Suspect } from "../limits/failed_logins.ts";
import type { LimitHit } from "../limits/limit_hits.ts";
import type { Counts } from "../limits/limits.ts";
import type { Place, Stranger } from "../limits/unauthenticated.ts";
import type { PgError } from "../errors.ts";
import type { HoldingId, MainCalls, StrangerId } from "./calls.ts";
import type { Line } from "./line.ts";

/** Everything that connections are counted by, in the main thread: one count for all workers. */
export class RemoteCounts implements Counts {
  readonly #line: Line<MainCalls>;
  readonly #strangers = new Map<StrangerId, Stranger>();
  #lastStranger = 0;

  constructor(line: Line<MainCalls>) {
    this.#line = line;
  }

  readonly failedLogins = {
    check: (suspect: Suspect) => this.#line.ask("checkFailures", suspect),
    failed: async (suspect: Suspect): Promise<HeldBack> => {
      const { ms, holding } = await this.#line.ask("failed", suspect);
      return { ms, [Symbol.dispose]: () => this.#release(holding) };
    },
    succeeded: (suspect: Suspect) => this.#line.tell("succeeded", suspect),
  };

  readonly discoveries = { take: (address: string) => this.#line.ask("discover", address) };

  readonly connections = {
    enter: async ({ address, identity, issuer, rule, backend }: Connected): Promise<Disposable> => {
      // A backend is more than what it is counted by: its password stays here.
      const { name, maxConnections } = backend;
      const connected = { address, identity, issuer, rule, backend: { name, maxConnections } };
      const holding = await this.#line.ask("enter", connected);
      return { [Symbol.dispose]: () => this.#release(holding) };
    },
  };

  readonly unauthenticated = {
    enter: (one: Stranger): Place => {
      const stranger = ++this.#lastStranger;
      this.#strangers.set(stranger, one);
      this.#line.tell("strangerEnters", stranger);
      return {
        comesFrom: (address) => this.#line.tell("strangerComesFrom", { stranger, address }),
        leaves: () => this.#line.tell("strangerLeaves", stranger),
        [Symbol.dispose]: () => {
          if (this.#strangers.delete(stranger)) this.#line.tell("strangerIsGone", stranger);
        },
      };
    },
  };

  /** The main thread wants one to leave, and it to be told why. */
  dismiss(stranger: StrangerId, error: PgError): void {
    this.#strangers.get(stranger)?.dismiss(() => error);
  }

  /** The main thread wants one to leave at once. */
  drop(stranger: StrangerId, hit?: LimitHit): void {
    this.#strangers.get(stranger)?.drop(hit);
  }

  #release(holding: HoldingId): void {
    this.#line.tell("release", holding);
  }
}
