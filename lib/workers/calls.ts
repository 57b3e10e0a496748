// What the two ends of a line may ask each other. All of it is plain data: it is cloned on its way.
import type { Connected } from "../limits/connections.ts";
import type { Suspect } from "../limits/failed_logins.ts";
import type { LimitHit } from "../limits/limit_hits.ts";
import type { ConnectionCensus } from "../observe/census.ts";
import type { DrainOptions } from "../proxy.ts";
import type { CancelClaim } from "../relay/cancel_keys.ts";
import type { Soon } from "../soon.ts";
import type { StandingOfToken } from "../token/token_verifier.ts";
import type { TokenNames, VerifiedToken } from "../token/verified_token.ts";
import type { Presented, Standing } from "../token_desk.ts";
import type { PackedError, PackedEvent } from "./parcel.ts";
import type { ReadInputs } from "./read_inputs.ts";

/** Something counted in the main thread for a worker, until the worker lets go of it. */
export type HoldingId = number;

/** A connection of a worker that has not proved who it is, by a number of the worker's own. */
export type StrangerId = number;

/** A token to be asked about. `generation` says by which configuration: a login keeps to the one it began with. */
export interface TokenQuestion {
  readonly generation: number;
  readonly token: VerifiedToken;
}

/** What a worker asks the main thread, where everything is that the workers share. */
export type MainCalls = {
  /** It can be asked. */
  readonly ready: (about: null) => void;
  readonly observe: (event: PackedEvent) => void;
  readonly verify: (
    about: {
      readonly generation: number;
      readonly token: string;
      readonly presented: Omit<Presented, "signal">;
    },
    signal: AbortSignal,
  ) => Promise<VerifiedToken>;
  readonly standingOf: (
    about: { readonly generation: number; readonly token: TokenNames },
  ) => Soon<Standing>;
  readonly introspectAgain: (
    about: TokenQuestion & { readonly presented: string },
  ) => Promise<StandingOfToken>;
  readonly checkFailures: (suspect: Suspect) => void;
  readonly failed: (suspect: Suspect) => { readonly ms: number; readonly holding: HoldingId };
  readonly succeeded: (suspect: Suspect) => void;
  readonly discover: (address: string) => void;
  readonly enter: (connected: Connected) => HoldingId;
  readonly release: (holding: HoldingId) => void;
  readonly strangerEnters: (stranger: StrangerId) => void;
  readonly strangerComesFrom: (about: { readonly stranger: StrangerId; readonly address: string }) => void;
  readonly strangerLeaves: (stranger: StrangerId) => void;
  readonly strangerIsGone: (stranger: StrangerId) => void;
  /** Whether a session of another worker is meant. */
  readonly findCancel: (claim: CancelClaim) => Promise<boolean>;
  /** Settles when it is delivered, or not meant any more. */
  readonly cancel: (claim: CancelClaim) => Promise<void>;
};

/** A configuration that a worker is to serve. */
export interface Assignment {
  readonly generation: number;
  readonly inputs: ReadInputs;
  /** As {@link Sharing}. */
  readonly sharing: { readonly isFirst: boolean; readonly ports: ReadonlyMap<string, number> };
}

/** Which of the workers one is. */
export interface Membership {
  readonly index: number;
  /** How many there are. */
  readonly of: number;
  /** Connections since the program started, counted by all workers: a 64-bit integer in shared memory. */
  readonly connections: SharedArrayBuffer;
}

/** What a worker says of itself at one moment. */
export type WorkerCensus = Required<ConnectionCensus>;

/** What the main thread asks a worker. */
export type WorkerCalls = {
  /** Begins to serve; gives the port of each address. */
  readonly open: (
    about: { readonly assignment: Assignment; readonly membership: Membership },
  ) => Promise<ReadonlyMap<string, number>>;
  /** As {@link Proxy.prepare}: the ports of addresses that are new. */
  readonly prepare: (assignment: Assignment) => Promise<ReadonlyMap<string, number>>;
  /** Goes on by what was prepared last; settles when each live session has been asked whether it may stay. */
  readonly adopt: (about: null) => Promise<void>;
  /** Settles when no login goes by the configuration any more that was there before. */
  readonly loginsOver: (about: null) => Promise<unknown>;
  readonly discard: (about: null) => void;
  readonly checkSessions: (about: null) => void;
  readonly dismissStranger: (about: { readonly stranger: StrangerId; readonly error: PackedError }) => void;
  readonly dropStranger: (about: { readonly stranger: StrangerId; readonly hit?: LimitHit }) => void;
  readonly census: (about: null) => WorkerCensus;
  readonly findCancel: (claim: CancelClaim) => boolean;
  readonly cancel: (claim: CancelClaim) => Promise<void>;
  /** As {@link Proxy.drain}. */
  readonly drain: (options: Omit<DrainOptions, "signal">) => Promise<{ readonly cut: number }>;
  /** The drain is to be over now. */
  readonly hurry: (about: null) => void;
  readonly close: (about: null) => Promise<void>;
};
