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
import type { Host } from "./connect/target.ts";
import { type Answer, answer, send } from "./dialogue.ts";
import type { Secret } from "./secret.ts";
import { Channel } from "./stream/channel.ts";
import { dial as dialSocket, secureBackend } from "./stream/dial.ts";
import type { NodeStream } from "./stream/node_stream.ts";
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
  readonly startup: Startup;
}

/** How long a cancel may take on its way to the backend, in milliseconds. */
const CANCEL_TIMEOUT_MS = 10_000;

/** One session's connection to its backend: made once, and cancelled over others like it. */
export class BackendLink implements Disposable {
  readonly reached: Reached;
  readonly #channel: Channel<NodeStream>;
  readonly #access: BackendAccess;

  private constructor(channel: Channel<NodeStream>, access: BackendAccess, reached: Reached) {
    this.#channel = channel;
    this.#access = access;
    this.reached = reached;
  }

  /**
   * Reaches the backend and logs in.
   *
   * @throws {PgError} what {@link reachBackend} throws
   */
  static async open({ access, startup }: BackendLogin, signal: AbortSignal): Promise<BackendLink> {
    using attempt = new Attempt(signal);
    const channel = new Channel<NodeStream>(null, signal);
    try {
      const reached = await channel.converse(
        reachBackend(access.target, { ...access, backend: access.name, startup }),
        answersOver(channel, access, attempt),
      );
      return new BackendLink(channel, access, reached);
    } catch (error) {
      channel[Symbol.dispose]();
      throw error;
    }
  }

  /** The stream, and what the backend sent behind its ReadyForQuery. */
  release(): { readonly stream: NodeStream; readonly buffered: Uint8Array } {
    return { buffered: this.#channel.takeBuffered(), stream: this.#channel.detach() };
  }

  /**
   * Asks the backend to cancel what this session runs, on a connection of its own inside the same kind of TLS; settles
   * when the backend has closed that, which it does once the cancel has been delivered.
   *
   * @param isStillMeant asked when the connection stands: the query may be over by then
   */
  async cancel(isStillMeant: () => boolean): Promise<void> {
    const { backendKey, host } = this.reached;
    if (backendKey === undefined) return;
    using attempt = new Attempt();
    const signal = attempt.begin(CANCEL_TIMEOUT_MS);
    using channel = new Channel<NodeStream>(await dialSocket(host, signal), signal);
    await channel.converse(cancelTls(this.#access, host), answersOver(channel, this.#access, attempt));
    if (!isStillMeant()) return;
    const request = encodeMessage(startupPacket, { kind: "CancelRequest", ...backendKey });
    await channel.converse(send(request));
    await channel.untilEnd();
  }

  [Symbol.dispose](): void {
    this.#channel[Symbol.dispose]();
  }
}

function* cancelTls({ name, target }: BackendAccess, host: Host) {
  const { sslmode, sslnegotiation } = target;
  if (host.kind === "unix" || sslmode === "disable") return;
  yield* negotiateTls({
    backend: name,
    serverName: host.host,
    sslmode,
    isDirect: sslnegotiation === "direct",
  });
}

/** Who answers what the room `connect/` asks of the outside. */
function answersOver(
  channel: Channel<NodeStream>,
  access: BackendAccess,
  attempt: Attempt,
): readonly Answer[] {
  return [
    answer(dial, async ({ host, timeoutMs }) => {
      const signal = attempt.begin(timeoutMs);
      channel.attach(await dialSocket(host, signal), signal);
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
  #controller = new AbortController();
  #timer: ReturnType<typeof setTimeout> | undefined;

  constructor(deadline?: AbortSignal) {
    this.#deadline = deadline;
  }

  /** Aborts when the host of now has had its time, or the login. */
  get signal(): AbortSignal {
    const { signal } = this.#controller;
    return this.#deadline === undefined ? signal : AbortSignal.any([this.#deadline, signal]);
  }

  /** The next host begins. */
  begin(timeoutMs: number): AbortSignal {
    const controller = this.#controller = new AbortController();
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => controller.abort(new ConnectTimeout()), timeoutMs);
    return this.signal;
  }

  [Symbol.dispose](): void {
    clearTimeout(this.#timer);
  }
}
