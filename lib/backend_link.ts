import { backendViolation } from "./connect/backend_error.ts";
import type { Startup } from "./connect/log_in.ts";
import type { Backend } from "./connect/schema.ts";
import {
  ConnectTimeout,
  deriveSaltedPassword,
  dial,
  hangUp,
  randomBytes,
  startTls,
} from "./connect/questions.ts";
import { negotiateTls } from "./connect/negotiate_tls.ts";
import { reachBackend, type Reached } from "./connect/reach_backend.ts";
import { saltedPassword } from "./connect/salted_password.ts";
import type { Host, Target } from "./connect/target.ts";
import { type Answer, answer, type Dialogue, receiveByte, send } from "./dialogue.ts";
import type { Secret } from "./secret.ts";
import { Channel, type ChannelTrace } from "./stream/channel.ts";
import { dial as dialStream, secureBackend } from "./stream/dial.ts";
import type { ByteStream } from "./stream/byte_stream.ts";
import { encodeProxyHeader, type ProxiedConnection } from "./stream/proxy_header.ts";
import { terminate } from "./wire/frontend.ts";
import { encodeMessage } from "./wire/message.ts";
import { startupPacket } from "./wire/startup_packet.ts";

/** A backend of the configuration, with what its files hold. */
export interface BackendAccess extends Backend {
  /** PEM of the only authorities trusted; undefined: those the runtime trusts. */
  readonly trustedCertificates?: string;
  readonly clientIdentity?: { readonly certificates: string; readonly privateKey: Secret };
}

/** A login at a backend. */
export interface BackendLogin {
  readonly access: BackendAccess;
  /** The backend's own, with the identity filled in. */
  readonly target: Target;
  readonly startup: Startup;
  /** The client's own token, for a backend that takes it and for no other. */
  readonly token?: Secret;
  /** The client's connection, for a backend that is told of it by a PROXY header. */
  readonly proxied?: ProxiedConnection;
}

/** A backend that is ready for the first query. */
export interface OpenedBackend {
  readonly stream: ByteStream;
  /** What it sent behind its ReadyForQuery. */
  readonly buffered: Uint8Array;
  readonly reached: Reached;
  /** `null` where the backend gave no key: then nothing can be cancelled there. */
  readonly canceller: BackendCanceller | null;
}

/** How long one host may take to answer a probe, in milliseconds. */
const PROBE_TIMEOUT_MS = 10_000;

/** How long a cancel may take on its way to the backend, in milliseconds. */
const CANCEL_TIMEOUT_MS = 10_000;

/** How a backend is opened. */
export interface OpenBackendOptions {
  readonly signal: AbortSignal;
  readonly trace?: ChannelTrace;
  /** The client's stream is one of Deno's own connections: two of them beside each other cost least. */
  readonly isBesideConn: boolean;
  /** Is told of each host that was tried, without its port, and whether it is the one. */
  readonly tried: (host: string, isReached: boolean) => void;
}

/**
 * Reaches a backend and logs in.
 *
 * @throws {PgError} what {@link reachBackend} throws
 */
export async function openBackend(
  { access, target, startup, token, proxied }: BackendLogin,
  { signal, trace, isBesideConn, tried }: OpenBackendOptions,
): Promise<OpenedBackend> {
  using attempt = new Attempt(signal, tried);
  using channel = new Channel(null, signal, trace);
  const proxyHeader = proxied && encodeProxyHeader(proxied);
  const reached = await channel.converse(
    reachBackend(target, { ...access, backend: access.name, startup, token }),
    answersOver(channel, access, { attempt, isBesideConn, proxyHeader }),
  );
  attempt.succeeded();
  const { backendKey, host } = reached;
  const canceller = backendKey === undefined
    ? null
    : new BackendCanceller(access, { host, backendKey, proxyHeader });
  return { buffered: channel.takeBuffered(), stream: channel.detach(), reached, canceller };
}

/**
 * Logs in to a backend and leaves at once, as PostgreSQL likes it.
 *
 * @throws {PgError} what {@link reachBackend} throws
 */
export async function tryLogin(login: BackendLogin, signal: AbortSignal): Promise<Reached> {
  const { stream, reached } = await openBackend(login, { signal, isBesideConn: false, tried: () => {} });
  using _ = stream;
  await stream.write(encodeMessage(terminate, { kind: "Terminate" }));
  await stream.end();
  return reached;
}

/**
 * Is the backend there? Speaks to its hosts in turn until one answers, as far as a login does before it says who it is: inside
 * TLS its certificate has been checked. PostgreSQL logs nothing of it.
 *
 * @throws {PgError} 08001 or 08P01 with what is wrong at the last of the hosts as its reason
 */
export async function probeBackend(access: BackendAccess): Promise<void> {
  const [last, ...others] = access.target.hosts.toReversed();
  for (const host of others.reverse()) {
    const isThere = await probeHost(access, host).then(() => true, () => false);
    if (isThere) return;
  }
  await probeHost(access, last);
}

async function probeHost(access: BackendAccess, host: Host): Promise<void> {
  using attempt = new Attempt();
  const signal = attempt.begin(host, Math.min(access.target.connectTimeoutMs, PROBE_TIMEOUT_MS));
  using channel = new Channel(await dialStream(host, { transport: "socket", signal }), signal);
  if (access.sendsProxyHeader) await channel.stream.write(encodeProxyHeader(OURSELVES));
  const answers = answersOver(channel, access, { attempt, isBesideConn: false });
  await channel.converse(isPlain(access, host) ? askForTls(access, host) : cancelTls(access, host), answers);
  // With bytes unread, as TLS leaves them, a close would reset the connection, and PostgreSQL log that.
  await channel.stream.end();
  await channel.untilEnd().catch(() => {});
}

/**
 * A port may be open while nobody is behind it: outside TLS, whoever says yes or no to TLS is there. Behind a yes TLS begins,
 * unchecked, as nothing is said in it: a backend that is left before logs that it could not accept it.
 */
function* askForTls({ name }: BackendAccess, host: Host): Dialogue<void> {
  yield* send(encodeMessage(startupPacket, { kind: "SSLRequest" }));
  const reply = String.fromCharCode(yield* receiveByte("the answer to SSLRequest"));
  if (!"SN".includes(reply)) throw backendViolation(name, "it answered SSLRequest with neither S nor N");
  if (reply === "N" || host.kind === "unix") return;
  yield* startTls({ serverName: host.host, sslmode: "require", isAlpnRequired: false });
}

/** No IP addresses, so that the header says that the proxy speaks for itself. */
const OURSELVES: ProxiedConnection = { client: { address: "", port: 0 }, server: { address: "", port: 0 } };

/** What a CancelRequest for one session takes, and no more: it is kept as long as the session lasts. */
export class BackendCanceller {
  readonly #access: BackendAccess;
  readonly #host: Host;
  readonly #backendKey: NonNullable<Reached["backendKey"]>;
  readonly #proxyHeader: Uint8Array | undefined;

  constructor(
    access: BackendAccess,
    { host, backendKey, proxyHeader }: Pick<Required<Reached>, "host" | "backendKey"> & {
      readonly proxyHeader?: Uint8Array;
    },
  ) {
    this.#access = access;
    this.#host = host;
    this.#backendKey = backendKey;
    this.#proxyHeader = proxyHeader;
  }

  /**
   * Asks the backend to cancel what the session runs, on a connection of its own inside the same kind of TLS; settles when
   * the backend has closed that, which it does once the cancel has been delivered.
   *
   * @param isStillMeant asked when the connection stands: the query may be over by then
   * @throws {PgError} 08001 when the backend cannot be reached
   */
  async cancel(isStillMeant: () => boolean): Promise<void> {
    using attempt = new Attempt();
    const signal = attempt.begin(this.#host, CANCEL_TIMEOUT_MS);
    using channel = new Channel(await dialStream(this.#host, { transport: "socket", signal }), signal);
    if (this.#proxyHeader !== undefined) await channel.stream.write(this.#proxyHeader);
    const answers = answersOver(channel, this.#access, { attempt, isBesideConn: false });
    await channel.converse(cancelTls(this.#access, this.#host), answers);
    if (!isStillMeant()) return;
    await channel.say([encodeMessage(startupPacket, { kind: "CancelRequest", ...this.#backendKey })]);
    await channel.untilEnd();
  }
}

function* cancelTls({ name, target }: BackendAccess, host: Host) {
  const { sslmode, sslnegotiation } = target;
  // As in libpq there is no TLS on a socket of this machine.
  if (host.kind === "unix" || sslmode === "disable") return;
  yield* negotiateTls({
    backend: name,
    serverName: host.host,
    sslmode,
    isDirect: sslnegotiation === "direct",
  });
}

function isPlain({ target }: BackendAccess, host: Host): boolean {
  return host.kind === "unix" || target.sslmode === "disable";
}

/** Who answers what the room `connect/` asks of the outside. */
function answersOver(
  channel: Channel,
  access: BackendAccess,
  { attempt, isBesideConn, proxyHeader }: {
    readonly attempt: Attempt;
    readonly isBesideConn: boolean;
    readonly proxyHeader?: Uint8Array;
  },
): readonly Answer[] {
  return [
    answer(dial, async ({ host, timeoutMs }) => {
      const signal = attempt.begin(host, timeoutMs);
      const transport = isPlain(access, host) && isBesideConn ? "conn" : "socket";
      const stream = await dialStream(host, { transport, signal });
      // The dialogue may have given up in the same moment: then nobody would close this one.
      if (signal.aborted) stream.destroy();
      channel.attach(stream, signal);
      // In front of all else, TLS too. It is no message of the protocol: it has no place in a trace.
      if (proxyHeader !== undefined && !signal.aborted) await stream.write(proxyHeader);
    }),
    answer(startTls, async ({ serverName, sslmode, isAlpnRequired }) => {
      const secured = await secureBackend(channel.detach(), {
        mode: sslmode,
        host: serverName,
        isAlpnRequired,
        authoritiesPem: access.trustedCertificates,
        certificatePem: access.clientIdentity?.certificates,
        privateKeyPem: access.clientIdentity?.privateKey.reveal(),
        signal: attempt.signal,
      });
      channel.attach(secured);
      return { certificate: secured.tls?.peerCertificate ?? undefined };
    }),
    answer(hangUp, () => channel[Symbol.dispose]()),
    answer(randomBytes, (length) => crypto.getRandomValues(new Uint8Array(length))),
    answer(deriveSaltedPassword, saltedPassword),
  ];
}

/** The time one host has, inside the time the whole login has. */
class Attempt implements Disposable {
  readonly #deadline: AbortSignal | undefined;
  readonly #tried: OpenBackendOptions["tried"] | undefined;
  #controller = new AbortController();
  #timer: ReturnType<typeof setTimeout> | undefined;
  #host: Host | null = null;

  constructor(deadline?: AbortSignal, tried?: OpenBackendOptions["tried"]) {
    this.#deadline = deadline;
    this.#tried = tried;
  }

  /** Aborts when the host of now has had its time, or the login. */
  get signal(): AbortSignal {
    const { signal } = this.#controller;
    return this.#deadline === undefined ? signal : AbortSignal.any([this.#deadline, signal]);
  }

  /** The next host begins. */
  begin(host: Host, timeoutMs: number): AbortSignal {
    this.#over(false);
    this.#host = host;
    const controller = this.#controller = new AbortController();
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => controller.abort(new ConnectTimeout()), timeoutMs);
    return this.signal;
  }

  /** The host of now will do. */
  succeeded(): void {
    this.#over(true);
  }

  [Symbol.dispose](): void {
    this.#over(false);
    clearTimeout(this.#timer);
  }

  #over(isReached: boolean): void {
    if (this.#host === null) return;
    this.#tried?.(this.#host.kind === "unix" ? this.#host.path : this.#host.host, isReached);
    this.#host = null;
  }
}
