import { connect as connectTcp, type Socket } from "node:net";
import { connect as connectTls, createSecureContext, type SecureVersion, TLSSocket } from "node:tls";
import { concat, type RawMessage } from "./raw_messages.ts";
import { waitUntil } from "./wait_until.ts";

const DEFAULT_TIMEOUT_MS = 5_000;

/** TLS from the client's side. */
export interface ClientTls {
  /** The authority to trust; without it, any certificate will do. */
  readonly ca?: string;
  readonly serverName?: string;
  readonly alpn?: readonly string[];
  readonly certificatePem?: string;
  readonly keyPem?: string;
  readonly version?: SecureVersion;
}

/** TLS from the server's side. */
export interface ServerTls {
  readonly certificatePem: string;
  readonly keyPem: string;
  readonly alpn?: readonly string[];
}

/** Where a connection leads, and where from. */
export interface ConnectOptions {
  readonly hostname?: string;
  /** An address of loopback: 127.0.0.2, say, to be somebody else. */
  readonly localAddress?: string;
  readonly timeoutMs?: number;
}

/** How the other side left: by FIN, or by RST or another failure. */
export type Ending = "end" | "reset";

/** One end of a connection over which a test says and hears exact bytes. Every wait has a deadline of its own. */
export class RawConnection implements AsyncDisposable {
  #socket: Socket;
  #received: Uint8Array[] = [];
  #ending?: Ending;
  #failure?: Error;
  #timeoutMs: number;

  constructor(socket: Socket, { timeoutMs = DEFAULT_TIMEOUT_MS } = {}) {
    this.#socket = socket;
    this.#timeoutMs = timeoutMs;
    this.#listen();
  }

  /** Connects to a port on loopback. */
  static async connect(
    port: number,
    { hostname = "127.0.0.1", localAddress, timeoutMs = DEFAULT_TIMEOUT_MS }: ConnectOptions = {},
  ) {
    const socket = connectTcp({ port, host: hostname, localAddress, allowHalfOpen: true, noDelay: true });
    await settled(socket, "connect");
    return new RawConnection(socket, { timeoutMs });
  }

  /** Port of this end. */
  get localPort(): number {
    return this.#socket.localPort!;
  }

  /** What ALPN chose, once TLS is there. */
  get alpnProtocol(): string | undefined {
    const { alpnProtocol } = this.#socket as TLSSocket;
    return alpnProtocol || undefined;
  }

  /** How the other side left, if it has. */
  get ending(): Ending | undefined {
    return this.#ending;
  }

  /** Writes bytes; returns when they are with the operating system. */
  async send(...parts: readonly Uint8Array[]): Promise<void> {
    const bytes = concat(...parts);
    await new Promise<void>((resolve, reject) => {
      this.#socket.write(bytes, (error) => error ? reject(error) : resolve());
    });
  }

  /** Speaks TLS from here on, as the client; for in-band TLS, after the server's `S`. */
  async startTls(tls: ClientTls = {}): Promise<void> {
    await this.#upgrade("secureConnect", (socket) =>
      connectTls({
        socket,
        servername: tls.serverName ?? "localhost",
        ca: tls.ca,
        rejectUnauthorized: tls.ca !== undefined,
        ALPNProtocols: tls.alpn && [...tls.alpn],
        cert: tls.certificatePem,
        key: tls.keyPem,
        minVersion: tls.version,
        maxVersion: tls.version,
      }));
  }

  /** Speaks TLS from here on, as the server. */
  async acceptTls(tls: ServerTls): Promise<void> {
    await this.#upgrade("secure", (socket) =>
      new TLSSocket(socket, {
        isServer: true,
        secureContext: createSecureContext({ cert: tls.certificatePem, key: tls.keyPem }),
        ALPNProtocols: tls.alpn && [...tls.alpn],
      }));
  }

  /** The next bytes, exactly so many. */
  async receive(length: number): Promise<Uint8Array> {
    const isThere = () => this.#receivedLength() >= length;
    await this.#wait(() => isThere() || this.#ending !== undefined, `${length} bytes`);
    if (!isThere()) {
      const cause = this.#failure;
      throw new Error(`The peer left after ${this.#receivedLength()} of ${length} bytes`, { cause });
    }
    return this.#take(length);
  }

  /** The next message with a type character. */
  async receiveMessage(): Promise<RawMessage> {
    const header = await this.receive(5);
    const length = new DataView(header.buffer).getInt32(1);
    return { type: String.fromCharCode(header[0]), body: await this.receive(length - 4) };
  }

  /** The next message without a type character, without its length: StartupMessage, SSLRequest, CancelRequest. */
  async receiveUntyped(): Promise<Uint8Array> {
    const header = await this.receive(4);
    return await this.receive(new DataView(header.buffer).getInt32(0) - 4);
  }

  /** Messages up to and with one of the given type. */
  async receiveMessagesUntil(type: string): Promise<RawMessage[]> {
    const messages: RawMessage[] = [];
    do messages.push(await this.receiveMessage()); while (messages.at(-1)!.type !== type);
    return messages;
  }

  /** Everything until the other side leaves; {@link RawConnection.ending} then tells how it did. */
  async receiveToEnd(): Promise<Uint8Array> {
    await this.#wait(() => this.#ending !== undefined, "the peer to leave");
    return this.#take(this.#receivedLength());
  }

  /** Stops reading: what the other side sends fills the buffers in between, and then its own. */
  pause(): void {
    this.#socket.pause();
  }

  /** Reads again. */
  resume(): void {
    this.#socket.resume();
  }

  /** Says that nothing more will come (FIN), and goes on listening. */
  end(): void {
    this.#socket.end();
  }

  /** Leaves rudely (RST). */
  reset(): void {
    this.#socket.resetAndDestroy();
  }

  /** Closes the connection. */
  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#socket.closed) return;
    const closed = new Promise((resolve) => this.#socket.once("close", resolve));
    this.#socket.destroy();
    await closed;
  }

  #listen(): void {
    const socket = this.#socket;
    socket.on("data", (bytes: Uint8Array) => this.#received.push(new Uint8Array(bytes)));
    socket.on("end", () => this.#ending ??= "end");
    socket.on("error", (error) => this.#failure ??= error);
    socket.on("close", () => this.#ending ??= "reset");
  }

  async #upgrade(event: string, wrap: (socket: Socket) => TLSSocket): Promise<void> {
    const plain = this.#socket;
    plain.removeAllListeners("data").removeAllListeners("end").removeAllListeners("close");
    plain.pause();
    const early = this.#take(this.#receivedLength());
    if (early.length > 0) plain.unshift(early);
    const secure = wrap(plain);
    this.#socket = secure;
    await settled(secure, event);
    this.#listen();
  }

  async #wait(condition: () => boolean, what: string): Promise<void> {
    await waitUntil(condition, { what, timeoutMs: this.#timeoutMs, intervalMs: 1 });
  }

  #receivedLength(): number {
    return this.#received.reduce((length, bytes) => length + bytes.length, 0);
  }

  #take(length: number): Uint8Array {
    const all = concat(...this.#received);
    this.#received = [all.slice(length)];
    return all.slice(0, length);
  }
}

/** Waits for an event of a socket, or for its failure. */
async function settled(socket: Socket, event: string): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  const onClose = () => reject(new Error(`The connection was closed before "${event}"`));
  socket.once(event, resolve).once("error", reject).once("close", onClose);
  try {
    await promise;
  } finally {
    socket.off(event, resolve).off("error", reject).off("close", onClose);
  }
}
