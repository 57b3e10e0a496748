import { formatAddress } from "./address.ts";
import type { Configuration } from "./config/configuration.ts";
import { PgError } from "./errors.ts";
import { Connections } from "./limits/connections.ts";
import { Discoveries } from "./limits/discoveries.ts";
import { FailedLogins } from "./limits/failed_logins.ts";
import { Turns } from "./limits/turns.ts";
import { Unauthenticated } from "./limits/unauthenticated.ts";
import type { ListenAddress } from "./listen_address.ts";
import { Listeners } from "./listeners.ts";
import { settingsOf } from "./login_settings.ts";
import type { Census } from "./observe/census.ts";
import type { Observer } from "./observe/events.ts";
import { CancelKeys } from "./relay/cancel_keys.ts";
import { Session } from "./session.ts";
import type { SessionHouse, SessionSettings } from "./session_settings.ts";
import { SQLSTATE } from "./sqlstate.ts";
import type { ByteStream } from "./stream/byte_stream.ts";
import { startTimer, untilDue } from "./timers.ts";

/** How a {@link Proxy} runs. */
export interface ProxyOptions {
  readonly configuration: Configuration;
  readonly tokens: SessionSettings["tokens"];
  readonly observe: Observer;
  /** Milliseconds on a clock that only goes forward; default: the machine's. */
  readonly now?: () => number;
  /** Milliseconds since 1970; default: the machine's clock. */
  readonly wallClock?: () => number;
  /** As {@link SessionHouse.after}; default: the machine's timers. */
  readonly after?: SessionHouse["after"];
  /** As {@link SessionHouse.random}; default: the machine's. */
  readonly random?: () => number;
}

/** How a {@link Proxy} is drained. */
export interface DrainOptions {
  /** How long sessions may take to become idle, in milliseconds. */
  readonly graceMs: number;
  /** How long connections are still accepted, in milliseconds: whoever balances may have to look first. */
  readonly delayMs: number;
  /** Aborts when it is to be over now. */
  readonly signal?: AbortSignal;
}

/** What sessions that are cut off have for their last words, in milliseconds: a little more than those who leave have. */
const LAST_WORDS_MS = 2_500;

/** The listeners and the sessions that came in by them. */
export class Proxy implements AsyncDisposable {
  readonly #listeners: Listeners;
  readonly #sessions = new Map<Session, Promise<void>>();
  readonly #house: SessionHouse & { isTracing: boolean };
  #settings: SessionSettings;
  #lastId = 0;
  #isDrained = false;

  private constructor(options: ProxyOptions) {
    const { configuration, tokens, observe } = options;
    const { now = () => performance.now(), wallClock = Date.now, after = startTimer, random = Math.random } =
      options;
    this.#settings = settingsOf(configuration, tokens);
    this.#listeners = new Listeners({
      connection: (stream, listener) => this.#serve(stream, listener),
      acceptPaused: (cause, pauseMs) => observe({ kind: "accept_paused", cause, pauseMs }),
      listening: ({ host, port }, isTlsOffered) =>
        observe({ kind: "listening", address: formatAddress(host, port), isTlsOffered }),
    });
    this.#house = {
      settings: () => this.#settings,
      observe,
      isTracing: configuration.log.level === "trace",
      cancelKeys: new CancelKeys(),
      failedLogins: new FailedLogins(configuration.limits, now),
      discoveries: new Discoveries(configuration.limits, now),
      unauthenticated: new Unauthenticated(configuration.limits, now),
      turns: new Turns(configuration.limits),
      connections: new Connections(configuration.limits),
      now,
      wallClock,
      after,
      random,
    };
  }

  /**
   * Begins to serve.
   *
   * @throws {CannotServe} when the certificate cannot be used, or an address not be listened on; then none is
   */
  static async open(options: ProxyOptions): Promise<Proxy> {
    const proxy = new Proxy(options);
    const listen = await proxy.#listeners.prepare(options.configuration.listen);
    listen();
    return proxy;
  }

  /** Where clients come in: the ports the system chose, where it was asked to. */
  get addresses(): readonly ListenAddress[] {
    return this.#listeners.addresses;
  }

  /** How many connections there are, whatever they are doing. */
  get connectionCount(): number {
    return this.#sessions.size;
  }

  /** How many connections count for `limits.connections`, and how many for `limits.unauthenticated`. */
  get counted(): { readonly connections: number; readonly unauthenticated: number } {
    const { connections, unauthenticated } = this.#house;
    return { connections: connections.size, unauthenticated: unauthenticated.size };
  }

  /** What its connections are doing at this moment. */
  census(): Pick<Census, "logins" | "sessions"> {
    const standings = [...this.#sessions.keys()].map(({ standing }) => standing);
    const sessions = standings.filter((standing) => standing !== null);
    return { logins: standings.length - sessions.length, sessions };
  }

  /**
   * Goes on by another configuration: new connections go by it, and of the live ones each is asked whether it may stay.
   * Listeners whose address has not changed stay as they are.
   *
   * @returns `loginsOver` settles when no login goes by the old one any more
   * @throws {CannotServe} when it cannot be served without starting anew; then the old one stays
   */
  async adopt(
    configuration: Configuration,
    tokens: SessionSettings["tokens"],
  ): Promise<{ readonly loginsOver: Promise<unknown> }> {
    const settings = settingsOf(configuration, tokens);
    const listen = await this.#listeners.prepare(configuration.listen);
    const old = this.#settings;
    this.#settings = settings;
    // What was counted stays: a reload forgives nobody.
    const { failedLogins, discoveries, unauthenticated, turns, connections } = this.#house;
    for (const each of [failedLogins, discoveries, unauthenticated, turns, connections]) {
      each.apply(configuration.limits);
    }
    this.#house.isTracing = configuration.log.level === "trace";
    const logins = [...this.#sessions.keys()].map((session) => session.loginBy(old));
    for (const session of this.#sessions.keys()) session.review();
    listen();
    return { loginsOver: Promise.all(logins) };
  }

  /** A deny list has changed: each live session is asked whether it may stay. */
  checkSessions(): void {
    for (const session of this.#sessions.keys()) session.check();
  }

  /**
   * Stops without anybody losing by it, as far as there is time: connections come in for `delayMs` more, then logins are
   * ended, and sessions when they are idle. What is left of them when the grace is over is cut off.
   *
   * @returns how many sessions were cut off
   */
  async drain({ graceMs, delayMs, signal }: DrainOptions): Promise<{ readonly cut: number }> {
    const { observe, after } = this.#house;
    observe({ kind: "draining", sessions: this.#sessions.size, graceMs, delayMs });
    await untilDue(delayMs, { after, signal });
    this.#listeners.close();
    for (const session of this.#sessions.keys()) session.leave(shuttingDown());
    const isOver = Promise.all(this.#sessions.values());
    await untilDue(graceMs, { after, signal, isOver });
    const cut = this.#cut();
    await untilDue(LAST_WORDS_MS, { after, isOver });
    // Answers wait for a client that does not read them, and have waited long enough.
    for (const session of this.#sessions.keys()) if (session.standing !== null) cut.add(session);
    this.#isDrained = true;
    observe({ kind: "drained", sessionsCut: cut.size });
    return { cut: cut.size };
  }

  /** Stops: no connection comes in any more, and each that is there is told 57P01. After {@link drain} nobody is waited for. */
  async close(): Promise<void> {
    this.#listeners.close();
    this.#cut();
    if (!this.#isDrained) await Promise.all(this.#sessions.values());
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  /** Ends every connection now; gives the sessions that are cut off by it. */
  #cut(): Set<Session> {
    return new Set([...this.#sessions.keys()].filter((session) => session.end(shuttingDown())));
  }

  #serve(stream: ByteStream, listener: string): void {
    const id = ++this.#lastId;
    const session = new Session(stream, { id, settings: this.#settings, house: this.#house, listener });
    this.#sessions.set(session, session.run().finally(() => this.#sessions.delete(session)));
  }
}

function shuttingDown(): PgError {
  return new PgError(SQLSTATE.adminShutdown, "terminating connection because the proxy is shutting down", {
    blame: "proxy",
  });
}
