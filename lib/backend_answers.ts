import type { BackendAccess } from "./backend_link.ts";
import { negotiateTls } from "./connect/negotiate_tls.ts";
import {
  ConnectTimeout,
  deriveScramKeys,
  dial,
  hangUp,
  OtherAuthority,
  randomBytes,
  type StartTls,
  startTls,
} from "./connect/questions.ts";
import { ScramKeyMemory } from "./connect/scram_key_memory.ts";
import type { Host } from "./connect/target.ts";
import { type Answer, answer, type Dialogue } from "./dialogue.ts";
import { authoritiesIn } from "./stream/authorities.ts";
import type { ByteStream } from "./stream/byte_stream.ts";
import type { Channel } from "./stream/channel.ts";
import { dial as dialStream, isMistrust, secureBackend } from "./stream/dial.ts";

/** For as long as the passwords are configured. */
const scramKeys = new ScramKeyMemory();

/** Is told of each host that was tried, without its port, and whether it is the one. */
export type Tried = (host: string, isReached: boolean) => void;

/** TLS with one host, as a login has it; none where the backend is to have none. */
export function* agreeOnTls({ name, target }: BackendAccess, host: Host): Dialogue<void> {
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

/** Whether a host is talked to outside TLS. */
export function isPlain({ target }: BackendAccess, host: Host): boolean {
  return host.kind === "unix" || target.sslmode === "disable";
}

/** Who answers what the room `connect/` asks of the outside. */
export function answersOver(
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
    answer(startTls, async (wanted) => {
      const secured = await secure(channel.detach(), { access, wanted, signal: attempt.signal });
      channel.attach(secured);
      return { certificate: secured.tls?.peerCertificate ?? undefined };
    }),
    answer(hangUp, () => channel[Symbol.dispose]()),
    answer(randomBytes, (length) => crypto.getRandomValues(new Uint8Array(length))),
    answer(deriveScramKeys, (salting) => scramKeys.keysOf(salting)),
  ];
}

/** Goes on inside TLS with a host; it may be worth another try when not all authorities were asked about it. */
async function secure(
  stream: ByteStream,
  { access, wanted: { serverName, sslmode, isAlpnRequired }, signal }: {
    readonly access: BackendAccess;
    readonly wanted: StartTls;
    readonly signal: AbortSignal;
  },
): Promise<ByteStream> {
  const { trustedCertificates } = access;
  const authorities = trustedCertificates === undefined ? undefined : authoritiesIn(trustedCertificates);
  const authoritiesPem = authorities?.pemFor(serverName);
  try {
    const secured = await secureBackend(stream, {
      mode: sslmode,
      host: serverName,
      isAlpnRequired,
      authoritiesPem,
      certificatePem: access.clientIdentity?.certificates,
      privateKeyPem: access.clientIdentity?.privateKey.reveal(),
      signal,
    });
    authorities?.accepted(serverName, secured.tls!);
    return secured;
  } catch (error) {
    throw isMistrust(error) && authorities?.refused(serverName, authoritiesPem!)
      ? new OtherAuthority()
      : error;
  }
}

/** The time one host has, inside the time the whole login has. */
export class Attempt implements Disposable {
  readonly #deadline: AbortSignal | undefined;
  readonly #tried: Tried | undefined;
  #controller = new AbortController();
  #timer: ReturnType<typeof setTimeout> | undefined;
  #host: Host | null = null;

  constructor(deadline?: AbortSignal, tried?: Tried) {
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
