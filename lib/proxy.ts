import { formatAddress } from "./address.ts";
import type { Configuration } from "./config/configuration.ts";
import { getReadyToPrepare } from "./connect/saslprep.ts";
import { PgError } from "./errors.ts";
import type { Counts } from "./limits/limits.ts";
import type { ListenAddress } from "./listen_address.ts";
import { Listeners, type Sharing } from "./listeners.ts";
import { settingsOf } from "./login_settings.ts";
import { inTurns, type LongWork } from "./long_work.ts";
import type { ConnectionCensus } from "./observe/census.ts";
import type { Observer } from "./observe/events.ts";
import { type CancelDesk, CancelKeys } from "./relay/cancel_keys.ts";
import type { Secret } from "./secret.ts";
import { Session } from "./session.ts";
import { Carried, SessionCounts } from "./session_tallies.ts";
import type { SessionHouse, SessionSettings } from "./session_settings.ts";
import { SQLSTATE } from "./sqlstate.ts";
import type { ByteStream } from "./stream/byte_stream.ts";
import { startTimer, untilDue } from "./timers.ts";
import type { TokenDesk } from "./token_desk.ts";

/** How a {@link Proxy} runs. */
export interface ProxyOptions {
  readonly configuration: Configuration;
  readonly tokens: TokenDesk;
  readonly counts: Counts;
  readonly observe: Observer;
  /** Default: those of its own sessions, which are all there are. */
  readonly cancelKeys?: CancelDesk;
  /** The number of the next connection, of all since the program started; default: it counts itself. */
  readonly nextId?: () => number;
  /** Where it is one of several that listen on the same addresses. */
  readonly sharing?: Sharing;
  /** Milliseconds on a clock that only goes forward; default: the machine's. */
  readonly now?: () => number;
  /** Milliseconds since 1970; default: the machine's clock. */
  readonly wallClock?: () => number;
  /** As {@link SessionHouse.after}; default: the machine's timers. */
  readonly after?: SessionHouse["after"];
  /** As {@link SessionHouse.random}; default: the machine's. */
  readonly random?: () => number;
  /** As {@link SessionHouse.pace}; default: others have their turn in between. */
  readonly pace?: SessionHouse["pace"];
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

/** Another configuration that could be served as well. */
export interface PreparedChange {
  /** Each address that is listened on anew, as the configuration has it, and its port. */
  readonly ports: ReadonlyMap<string, number>;
  /**
   * Goes on by it: new connections do, and of the live ones each is asked whether it may stay.
   *
   * @returns `asked` settles when all have been asked, `loginsOver` when no login goes by the old one any more
   */
  adopt(): { readonly asked: Promise<unknown>; readonly loginsOver: Promise<unknown> };
  /** Stays with the old one. */
  discard(): void;
}

/** What sessions that are cut off have for their last words, in milliseconds: a little more than those who leave have. */
const LAST_WORDS_MS = 2_500;

/** The listeners and the sessions that came in by them. */
export class Proxy implements AsyncDisposable {
  readonly #listeners: Listeners;
  readonly #sessions = new Set<Session>();
  /** Settles when there is none of them left; once somebody waits for that. */
  #emptied: PromiseWithResolvers<void> | null = null;
  readonly #house: SessionHouse & { isTracing: boolean };
  #settings: SessionSettings;
  readonly #nextId: () => number;
  /** By sessions that are over. */
  readonly #carried = new Carried();
  #isDrained = false;
  /** Settles when all sessions have been asked what they were to be asked last. */
  #allAsked: Promise<unknown> = Promise.resolve();

  private constructor(options: ProxyOptions) {
    const { configuration, tokens, observe, counts, cancelKeys = new CancelKeys() } = options;
    const { failedLogins, discoveries, connections, unauthenticated } = counts;
    let lastId = 0;
    this.#nextId = options.nextId ?? (() => ++lastId);
    const { now = () => performance.now(), wallClock = Date.now, after = startTimer } = options;
    const { random = Math.random, pace = inTurns } = options;
    this.#settings = settingsOf(configuration, tokens);
    this.#listeners = new Listeners({
      connection: (stream, listener) => this.#serve(stream, listener),
      acceptPaused: (cause, pauseMs) => observe({ kind: "accept_paused", cause, pauseMs }),
      listening: ({ host, port }, isTlsOffered) =>
        observe({ kind: "listening", address: formatAddress(host, port), isTlsOffered }),
    });
    this.#house = {
      settings: () => this.#settings,
      observe: (event) => {
        if (event.kind === "session_ended") this.#carried.add(event);
        observe(event);
      },
      isTracing: configuration.log.level === "trace",
      cancelKeys,
      failedLogins,
      discoveries,
      connections,
      unauthenticated,
      now,
      wallClock,
      after,
      random,
      pace,
    };
  }

  /**
   * Begins to serve.
   *
   * @throws {CannotServe} when the certificate cannot be used, or an address not be listened on; then none is
   */
  static async open(options: ProxyOptions): Promise<Proxy> {
    const proxy = new Proxy(options);
    const { configuration, sharing } = options;
    await getReadyToPrepare(passwordsOf(configuration));
    const listening = await proxy.#listeners.prepare(configuration.listen, sharing);
    listening.adopt();
    return proxy;
  }

  /** Where clients come in: the ports the system chose, where it was asked to. */
  get addresses(): readonly ListenAddress[] {
    return this.#listeners.addresses;
  }

  /** The port of each address, as the configuration has it. */
  get ports(): ReadonlyMap<string, number> {
    return this.#listeners.ports;
  }

  /** How many connections there are, whatever they are doing. */
  get connectionCount(): number {
    return this.#sessions.size;
  }

  /** What its connections are doing at this moment, and what they have carried since it was opened. */
  census(): ConnectionCensus {
    const carried = new Carried(this.#carried.entries);
    const sessions = new SessionCounts();
    let logins = 0;
    for (const { standing } of this.#sessions) {
      if (standing === null) {
        logins++;
        continue;
      }
      sessions.add(standing);
      carried.add(standing);
    }
    return { logins, sessions: sessions.entries, carried: carried.entries };
  }

  /**
   * Makes sure that another configuration can be served; nothing is changed by it. Listeners whose address stays the same
   * stay as they are.
   *
   * @throws {CannotServe} when it cannot be served without starting anew
   */
  async prepare(
    { configuration, tokens, sharing }: Pick<ProxyOptions, "configuration" | "tokens" | "sharing">,
  ): Promise<PreparedChange> {
    const settings = settingsOf(configuration, tokens);
    await getReadyToPrepare(passwordsOf(configuration));
    const listening = await this.#listeners.prepare(configuration.listen, sharing);
    const adopt = () => {
      const old = this.#settings;
      this.#settings = settings;
      this.#house.isTracing = configuration.log.level === "trace";
      const logins = [...this.#sessions].map((session) => session.loginBy(old));
      this.#askAll((session) => session.review());
      listening.adopt();
      return { asked: this.#allAsked, loginsOver: Promise.all(logins) };
    };
    return { ports: listening.ports, adopt, discard: listening.discard };
  }

  /** A deny list has changed: each live session is asked whether it may stay. */
  checkSessions(): void {
    this.#askAll((session) => session.check());
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
    for (const session of this.#sessions) session.leave(shuttingDown());
    const isOver = this.#untilEmpty();
    await untilDue(graceMs, { after, signal, isOver });
    const cut = this.#cut();
    await untilDue(LAST_WORDS_MS, { after, isOver });
    // Answers wait for a client that does not read them, and have waited long enough.
    for (const session of this.#sessions) if (session.standing !== null) cut.add(session);
    this.#isDrained = true;
    observe({ kind: "drained", sessionsCut: cut.size });
    return { cut: cut.size };
  }

  /** Stops: no connection comes in any more, and each that is there is told 57P01. After {@link drain} nobody is waited for. */
  async close(): Promise<void> {
    this.#listeners.close();
    this.#cut();
    await this.#allAsked;
    if (!this.#isDrained) await this.#untilEmpty();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  /** One after the other: there may be thousands, and whoever is not asked yet waits for his bytes meanwhile. */
  #askAll(ask: (session: Session) => void): void {
    const { pace } = this.#house;
    const asked = pace(askEach([...this.#sessions], ask));
    // Else each would keep what came of the one before, for as long as the program runs.
    this.#allAsked = Promise.all([this.#allAsked, asked]).then(() => {});
  }

  /** Ends every connection now; gives the sessions that are cut off by it. */
  #cut(): Set<Session> {
    return new Set([...this.#sessions].filter((session) => session.end(shuttingDown())));
  }

  #serve(stream: ByteStream, listener: string): void {
    const id = this.#nextId();
    const session = new Session(stream, {
      id,
      settings: this.#settings,
      house: this.#house,
      listener,
      over: this.#forget,
    });
    this.#sessions.add(session);
    void session.run();
  }

  readonly #forget = (session: Session): void => {
    this.#sessions.delete(session);
    if (this.#sessions.size === 0) this.#emptied?.resolve();
  };

  async #untilEmpty(): Promise<void> {
    if (this.#sessions.size === 0) return;
    this.#emptied ??= Promise.withResolvers();
    await this.#emptied.promise;
  }
}

function passwordsOf({ backends }: Configuration): readonly (Secret | undefined)[] {
  return [...backends.values()].map(({ target }) => target.password);
}

function* askEach(sessions: readonly Session[], ask: (session: Session) => void): LongWork<void> {
  for (const session of sessions) {
    ask(session);
    yield;
  }
}

function shuttingDown(): PgError {
  return new PgError(SQLSTATE.adminShutdown, "terminating connection because the proxy is shutting down", {
    blame: "proxy",
  });
}
