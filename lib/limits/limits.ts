import type { Soon } from "../soon.ts";
import { type Connected, Connections } from "./connections.ts";
import { Discoveries } from "./discoveries.ts";
import { FailedLogins, type HeldBack, type Suspect } from "./failed_logins.ts";
import type { LimitsSettings } from "./schema.ts";
import { Turns } from "./turns.ts";
import { Unauthenticated } from "./unauthenticated.ts";

/** Everything that connections are counted by, as they see it: who counts may be in another thread. */
export interface Counts {
  readonly failedLogins: {
    /** As {@link FailedLogins.check}. */
    check(suspect: Suspect): Soon<void>;
    /** As {@link FailedLogins.failed}. */
    failed(suspect: Suspect): Soon<HeldBack>;
    /** As {@link FailedLogins.succeeded}. */
    succeeded(suspect: Suspect): void;
  };
  readonly discoveries: {
    /** As {@link Discoveries.take}. */
    take(address: string): Soon<void>;
  };
  readonly connections: {
    /** As {@link Connections.enter}. */
    enter(connected: Connected): Soon<Disposable>;
  };
  readonly unauthenticated: Pick<Unauthenticated, "enter">;
}

/** Everything that is limited, counted in this thread. */
export class Limits implements Counts {
  readonly failedLogins: FailedLogins;
  readonly discoveries: Discoveries;
  readonly connections: Connections;
  readonly unauthenticated: Unauthenticated;
  readonly turns: Turns;

  /** `now` is in milliseconds on a clock that only goes forward. */
  constructor(settings: LimitsSettings, now: () => number) {
    this.failedLogins = new FailedLogins(settings, now);
    this.discoveries = new Discoveries(settings, now);
    this.connections = new Connections(settings);
    this.unauthenticated = new Unauthenticated(settings, now);
    this.turns = new Turns(settings);
  }

  /** How many connections count for `limits.connections`, and how many for `limits.unauthenticated`. */
  get counted(): { readonly connections: number; readonly unauthenticated: number } {
    return { connections: this.connections.size, unauthenticated: this.unauthenticated.size };
  }

  /** Goes by other settings from now on. What was counted stays: a reload forgives nobody. */
  apply(settings: LimitsSettings): void {
    const { failedLogins, discoveries, connections, unauthenticated, turns } = this;
    for (const each of [failedLogins, discoveries, connections, unauthenticated, turns]) each.apply(settings);
  }
}
