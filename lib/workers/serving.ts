// The room `workers/`: the event loops that carry connections, one or several.
// In: a configuration that can be served. Out: a proxy in this thread, or one in each of several, which act as one.
// Chapter: https://man7.org/linux/man-pages/man7/socket.7.html, SO_REUSEPORT
import type { Configuration } from "../config/configuration.ts";
import type { ListenAddress } from "../listen_address.ts";
import { CannotServe } from "../listening.ts";
import type { ConnectionCensus } from "../observe/census.ts";
import type { DrainOptions } from "../proxy.ts";
import type { Soon } from "../soon.ts";
import type { DeskVerifier } from "../token_desk.ts";
import type { ReadInputs } from "./read_inputs.ts";

/** What is served. */
export interface Served {
  readonly configuration: Configuration;
  readonly verifier: DeskVerifier;
  /** What the configuration was read from, for threads that have to read the same. */
  readonly inputs: ReadInputs;
}

/** Sessions cannot move from one thread to another. */
export function workersChanged(): CannotServe {
  return new CannotServe(
    "service.workers has changed, which takes a restart: end the program and start it again",
  );
}

/** Another configuration that could be served as well. */
export interface Change {
  /**
   * Goes on by it.
   *
   * @returns `adopted` settles when new connections do and each live one has been asked, and `loginsOver` when no login goes by the old one any more
   */
  adopt(): { readonly adopted: Promise<unknown>; readonly loginsOver: Promise<unknown> };
  /** Stays with the old one. */
  discard(): void;
}

/** Whoever serves clients. */
export interface Serving extends AsyncDisposable {
  /** Where clients come in: the ports the system chose, where it was asked to. */
  readonly addresses: readonly ListenAddress[];
  /** How many connections there are, whatever they are doing. */
  readonly connectionCount: number;
  /** How many connections count for `limits.connections`, and how many for `limits.unauthenticated`. */
  readonly counted: { readonly connections: number; readonly unauthenticated: number };
  /** Settles, with why, when it cannot go on like that: it is to be drained, and the program started anew. */
  readonly broken: Promise<string>;
  /** What connections are doing at this moment, and what they have carried since the program started. */
  census(): Soon<ConnectionCensus>;
  /**
   * Makes sure that another configuration can be served; nothing is changed by it.
   *
   * @throws {CannotServe} when it cannot be served without starting anew
   */
  prepare(served: Served): Promise<Change>;
  /** A deny list has changed: each live session is asked whether it may stay. */
  checkSessions(): void;
  /** As {@link Proxy.drain}. */
  drain(options: DrainOptions): Promise<{ readonly cut: number }>;
  /** Stops, as {@link Proxy.close}. */
  close(): Promise<void>;
}
