import { formatAddress } from "./address.ts";
import type { Configuration } from "./config/configuration.ts";
import { PgError } from "./errors.ts";
import { Discoveries } from "./limits/discoveries.ts";
import { FailedLogins } from "./limits/failed_logins.ts";
import type { Census } from "./observe/census.ts";
import type { Observer } from "./observe/events.ts";
import { CancelKeys } from "./relay/cancel_keys.ts";
import { Session } from "./session.ts";
import type { SessionHouse, SessionSettings } from "./session_settings.ts";
import { SQLSTATE } from "./sqlstate.ts";
import type { ListenAddress } from "./listen_address.ts";
import { CannotServe, checkListeners, openListener } from "./listening.ts";
import { ConnListener } from "./stream/conn_listener.ts";
import { Listener } from "./stream/listener.ts";
import type { ByteStream } from "./stream/byte_stream.ts";
import { clientCertificatePolicy } from "./stream/client_certificate.ts";
import { createServerCertificate, type ServerCertificate } from "./stream/server_certificate.ts";

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

/** The listeners and the sessions that came in by them. */
export class Proxy implements AsyncDisposable {
  readonly #listeners: (Listener | ConnListener)[] = [];
  readonly #sessions = new Map<Session, Promise<void>>();
  readonly #house: SessionHouse & { isTracing: boolean };
  #configuration: Configuration;
  #settings: SessionSettings;
  #lastId = 0;

  private constructor(options: ProxyOptions) {
    const { configuration, tokens, observe } = options;
    const { now = () => performance.now(), wallClock = Date.now, after = startTimer, random = Math.random } =
      options;
    this.#configuration = configuration;
    this.#settings = settingsOf(configuration, tokens);
    this.#house = {
      settings: () => this.#settings,
      observe,
      isTracing: configuration.log.level === "trace",
      cancelKeys: new CancelKeys(),
      failedLogins: new FailedLogins(configuration.limits, now),
      discoveries: new Discoveries(configuration.limits, now),
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
    try {
      for (const address of [options.configuration.listen.address].flat()) await proxy.#listen(address);
      return proxy;
    } catch (error) {
      await proxy.close();
      throw error;
    }
  }

  /** Where clients come in: the ports the system chose, where it was asked to. */
  get addresses(): readonly ListenAddress[] {
    return this.#listeners.map((listener) => listener.address);
  }

  /** How many connections there are, whatever they are doing. */
  get connectionCount(): number {
    return this.#sessions.size;
  }

  /** What its connections are doing at this moment. */
  census(): Pick<Census, "logins" | "sessions"> {
    const standings = [...this.#sessions.keys()].map(({ standing }) => standing);
    const sessions = standings.filter((standing) => standing !== null);
    return { logins: standings.length - sessions.length, sessions };
  }

  /**
   * Goes on by another configuration: new connections go by it, and of the live ones each is asked whether it may stay.
   *
   * @returns what settles when no login goes by the old one any more
   * @throws {CannotServe} when it cannot be served without starting anew; then the old one stays
   */
  adopt(configuration: Configuration, tokens: SessionSettings["tokens"]): Promise<void> {
    checkListeners(this.#configuration.listen, configuration.listen);
    const old = this.#settings;
    this.#settings = settingsOf(configuration, tokens);
    // What was counted stays: a reload forgives nobody.
    this.#house.failedLogins.apply(configuration.limits);
    this.#house.discoveries.apply(configuration.limits);
    this.#configuration = configuration;
    this.#house.isTracing = configuration.log.level === "trace";
    const logins = [...this.#sessions.keys()].map((session) => session.loginBy(old));
    for (const session of this.#sessions.keys()) session.review();
    return Promise.all(logins).then(() => {});
  }

  /** A deny list has changed: each live session is asked whether it may stay. */
  checkSessions(): void {
    for (const session of this.#sessions.keys()) session.check();
  }

  /** Stops: no connection comes in any more, and each that is there is told 57P01. */
  async close(): Promise<void> {
    const sessions = this.#sessions.size;
    for (const listener of this.#listeners.splice(0)) listener.close();
    if (sessions > 0) this.#house.observe({ kind: "draining", sessions, graceMs: 0 });
    for (const session of this.#sessions.keys()) session.end(shuttingDown());
    await Promise.all(this.#sessions.values());
    if (sessions > 0) this.#house.observe({ kind: "drained", sessionsCut: sessions });
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  async #listen(address: ListenAddress): Promise<void> {
    const { observe } = this.#house;
    const by = formatAddress(address.host, address.port);
    const events = {
      connection: (stream: ByteStream) => this.#serve(stream, by),
      acceptPaused: (cause: Error, pauseMs: number) => observe({ kind: "accept_paused", cause, pauseMs }),
    };
    const isTlsOffered = this.#settings.certificate !== null;
    const listener = await openListener(isTlsOffered ? Listener : ConnListener, { address, events });
    this.#listeners.push(listener);
    const { host, port } = listener.address;
    observe({
      kind: "listening",
      address: formatAddress(host, port),
      isTlsOffered,
    });
  }

  #serve(stream: ByteStream, listener: string): void {
    const id = ++this.#lastId;
    const session = new Session(stream, { id, settings: this.#settings, house: this.#house, listener });
    this.#sessions.set(session, session.run().finally(() => this.#sessions.delete(session)));
  }
}

function startTimer(ms: number, act: () => void): () => void {
  const timer = setTimeout(act, ms);
  return () => clearTimeout(timer);
}

function serverCertificateOf(listen: Configuration["listen"]): ServerCertificate | null {
  if (listen.tls === undefined) return null;
  try {
    return createServerCertificate({
      certificatePem: listen.tls.certificates,
      privateKeyPem: listen.tls.privateKey.reveal(),
      minimumTlsVersion: listen.minimum_tls_version,
    });
  } catch (error) {
    throw new CannotServe(`listen.certificate cannot be used for TLS: ${(error as Error).message}`, {
      cause: error,
    });
  }
}

function settingsOf(
  { listen, startup, policy, backends, waysIn }: Configuration,
  tokens: SessionSettings["tokens"],
): SessionSettings {
  return {
    certificate: serverCertificateOf(listen),
    clientCertificates: clientCertificatePolicy(listen.client_certificate, listen.clientAuthorities),
    allowsPlaintext: listen.insecure_plaintext,
    loginTimeoutMs: listen.login_timeout,
    balancers: listen.proxy_protocol,
    parameters: { allowed: new Set(startup.parameters), dropped: new Set(startup.ignore_parameters) },
    policy,
    backends,
    waysIn,
    tokens,
  };
}

function shuttingDown(): PgError {
  return new PgError(SQLSTATE.adminShutdown, "terminating connection because the proxy is shutting down", {
    blame: "proxy",
  });
}
