import { agreeOnTls, answersOver, Attempt, type Tried } from "./backend_answers.ts";
import type { Startup } from "./connect/log_in.ts";
import { OtherAuthority } from "./connect/questions.ts";
import { reachBackend, type Reached } from "./connect/reach_backend.ts";
import type { Backend } from "./connect/schema.ts";
import type { Host, Target } from "./connect/target.ts";
import type { Secret } from "./secret.ts";
import type { ByteStream } from "./stream/byte_stream.ts";
import { Channel, type ChannelTrace } from "./stream/channel.ts";
import { dial } from "./stream/dial.ts";
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

/** How long a try to bring a cancel to the backend may take, in milliseconds. */
const CANCEL_TIMEOUT_MS = 10_000;

/** How a backend is opened. */
export interface OpenBackendOptions {
  readonly signal: AbortSignal;
  readonly trace?: ChannelTrace;
  /** The client's stream is one of Deno's own connections: two of them beside each other cost least. */
  readonly isBesideConn: boolean;
  readonly tried: Tried;
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

/** What a CancelRequest for one session takes, and no more: it is kept as long as the session lasts. */
export class BackendCanceller {
  readonly #access: BackendAccess;
  readonly #host: Host;
  readonly #processId: number;
  /** In hexadecimal: in bytes it would take eight times the memory. */
  readonly #secretKey: string;
  readonly #proxyHeader: Uint8Array | undefined;

  constructor(
    access: BackendAccess,
    { host, backendKey, proxyHeader }: Pick<Required<Reached>, "host" | "backendKey"> & {
      readonly proxyHeader?: Uint8Array;
    },
  ) {
    this.#access = access;
    this.#host = host;
    this.#processId = backendKey.processId;
    this.#secretKey = backendKey.secretKey.toHex();
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
    try {
      await this.#cancel(isStillMeant);
    } catch (thrown) {
      if (!(thrown instanceof OtherAuthority)) throw thrown;
      await this.#cancel(isStillMeant);
    }
  }

  async #cancel(isStillMeant: () => boolean): Promise<void> {
    using attempt = new Attempt();
    const signal = attempt.begin(this.#host, CANCEL_TIMEOUT_MS);
    using channel = new Channel(await dial(this.#host, { transport: "socket", signal }), signal);
    if (this.#proxyHeader !== undefined) await channel.stream.write(this.#proxyHeader);
    const answers = answersOver(channel, this.#access, { attempt, isBesideConn: false });
    await channel.converse(agreeOnTls(this.#access, this.#host), answers);
    if (!isStillMeant()) return;
    const secretKey = Uint8Array.fromHex(this.#secretKey);
    const request = { kind: "CancelRequest", processId: this.#processId, secretKey } as const;
    await channel.say([encodeMessage(startupPacket, request)]);
    await channel.untilEnd();
  }
}
