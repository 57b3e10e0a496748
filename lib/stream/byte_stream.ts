// The room `stream/`: the only sockets of the house.
// In: sockets of the runtime. Out: a `ByteStream`, whatever carries it, and the driver that lets a dialogue speak over one.
// Chapter: https://www.postgresql.org/docs/18/protocol-flow.html#PROTOCOL-FLOW-SSL

/** Where an end is, as logs and rules see it. */
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
  /** The name the client asked for (SNI), on the side that was asked. */
  readonly serverName: string | null;
  /** The application protocol agreed on; `null` when the peer offered none. */
  readonly alpn: string | null;
  /** The peer's certificate in DER, when it showed one. */
  readonly peerCertificate: Uint8Array | null;
  /** What the peer sent with its certificate to explain where it comes from, in DER. */
  readonly peerIntermediates: readonly Uint8Array[];
}

/** A stream broke: the peer went away without ending it, or it was let go on our side. */
export class StreamBroken extends Error {
  override readonly name = "StreamBroken";

  constructor(cause?: unknown) {
    super("the connection is broken", { cause });
  }
}

/** Who takes chunks of a stream as they come. */
export interface ChunkTaker {
  /** Nothing more is expected for now: whoever gives it chunks may make itself small. */
  readonly isAtRest: boolean;
  /**
   * Takes one; whether it takes more. If not, nothing more is told, not even the end, until it is given more by another
   * `giveTo`, which comes once this has returned.
   */
  take(chunk: Uint8Array): boolean;
  /** The peer has sent its last byte. */
  ended(): void;
  /** The stream broke, or was let go by `destroy`: a {@link StreamBroken}; or `take` has thrown this. */
  broke(cause: unknown): void;
}

/** Who sends by a stream. */
export interface Sender {
  /** It takes more, or it broke: told once, after `send` has returned, maybe in the middle of an event of its socket. */
  sent(broken?: StreamBroken): void;
}

/**
 * A two-way stream of bytes with back-pressure and half-close: TCP, TLS or memory.
 *
 * One reader and one writer at a time. Who does not read slows the peer down by TCP's own window, and who awaits `write` is
 * slowed down by the peer.
 */
export interface ByteStream extends Disposable {
  /** Whose connection it is: the other end, or who that one has come for, once its PROXY header has said so. */
  peer: PeerAddress;
  /** What that one has connected to, or, where we have dialled, our own end. */
  local: PeerAddress;
  /** `null` outside TLS. */
  readonly tls: TlsDetails | null;

  /** A chunk is good only until the next `read` or `giveTo`: the stream reads into the same buffer again. */
  readonly lendsChunks: boolean;
  /** What is written may still be needed when `write` has settled. */
  readonly keepsChunks: boolean;

  /**
   * The next chunk, which then belongs to the caller unless the stream {@link lendsChunks}; `null` when the peer has sent
   * its last byte.
   *
   * @throws {StreamBroken} when it breaks, or is let go by `destroy`
   */
  read(): Promise<Uint8Array | null>;

  /**
   * Gives `taker` chunk after chunk, up to the peer's last byte: as by {@link read}, and cheaper. It pauses when that one takes
   * no more, and goes on when this is called again; until then a chunk that was lent stays as it is.
   */
  giveTo(taker: ChunkTaker): void;

  /**
   * Sends bytes; settles when it takes more.
   *
   * @throws {StreamBroken} when it breaks, or is let go by `destroy`
   */
  write(bytes: Uint8Array): Promise<void>;

  /** As {@link write}, and cheaper: whether it takes more. If it does not, `sender` is told later, once it does or has broken. */
  send(bytes: Uint8Array, sender: Sender): boolean;

  /** Sends what is queued, then our end: the peer may still send. Settles when all of it has left, or the stream is gone. */
  end(): Promise<void>;

  /** Whether the peer has reset the connection, or TCP has given it up: for who does not read, and would not see it. */
  isBroken(): Promise<boolean>;

  /** Lets go at once, both ways; a `read` or `write` under way fails. */
  destroy(): void;
}
