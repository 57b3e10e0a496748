// The room `stream/`: the only sockets of the house.
// In: sockets of the runtime. Out: a `ByteStream`, whatever carries it, and the driver that lets a dialogue speak over one.
// Chapter: https://www.postgresql.org/docs/18/protocol-flow.html#PROTOCOL-FLOW-SSL

/** Where the other end is, as logs and rules see it. */
export interface PeerAddress {
  /** An IP address without port or brackets, or the path of a Unix socket. */
  readonly address: string;
  /** 0 where there are no ports. */
  readonly port: number;
}

/** What TLS settled on, when a stream is inside it. */
export interface TlsDetails {
  /** As `TLSv1.3`. */
  readonly version: string;
  readonly cipher: string;
  /** The application protocol agreed on; `null` when the peer offered none. */
  readonly alpn: string | null;
  /** The peer's certificate in DER, when it showed one. */
  readonly peerCertificate: Uint8Array | null;
}

/** A stream broke: the peer went away without ending it, or it was let go on our side. */
export class StreamBroken extends Error {
  override readonly name = "StreamBroken";

  constructor(cause?: unknown) {
    super("the connection is broken", { cause });
  }
}

/** Who is told what arrives on a stream once it flows. Each is called as it happens; none may throw. */
export interface Receiver {
  /** A chunk has arrived; it belongs to the receiver. */
  readonly chunk: (chunk: Uint8Array) => void;
  /** The stream takes more again, after a `push` that returned false. */
  readonly drained: () => void;
  /** The peer has sent its last byte. */
  readonly ended: () => void;
  /** The stream is gone, both ways; with the error if there was one. Called once, last. */
  readonly closed: (error: Error | null) => void;
}

/**
 * A two-way stream of bytes with back-pressure and half-close: TCP, TLS or memory.
 *
 * A login reads it in turns (`read`, `write`); after login it flows (`flow`, `push`), because a callback a chunk costs
 * less than a promise.
 */
export interface ByteStream extends Disposable {
  readonly peer: PeerAddress;
  /** `null` outside TLS. */
  readonly tls: TlsDetails | null;

  /**
   * The next chunk, which then belongs to the caller; `null` at the peer's end. Not after `flow`.
   *
   * @throws {StreamBroken} when it breaks
   */
  read(): Promise<Uint8Array | null>;

  /**
   * Sends bytes; settles when the stream has taken them.
   *
   * @throws {StreamBroken} when it breaks
   */
  write(bytes: Uint8Array): Promise<void>;

  /** Lets everything that arrives from now on flow to `receiver`, beginning with what was not read yet. */
  flow(receiver: Receiver): void;

  /** Sends a chunk of a flow, keeping it until it is sent; false asks the caller to wait for `drained`. */
  push(chunk: Uint8Array): boolean;

  /** Stops and lets go on what flows in; the peer feels it by TCP's own window. */
  pause(): void;
  resume(): void;

  /** Sends what is queued, then our end: the peer may still send. */
  end(): void;

  /** Lets go at once, both ways. */
  destroy(): void;
}
