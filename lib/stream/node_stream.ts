import type { Socket } from "node:net";
import { type DetailedPeerCertificate, TLSSocket } from "node:tls";
import { plainAddress } from "../address.ts";
import {
  type ByteStream,
  type PeerAddress,
  StreamBroken,
  type TakeChunk,
  type TlsDetails,
} from "./byte_stream.ts";

/** Without traffic for so long, TCP itself asks whether the peer is still there, in milliseconds. */
export const KEEP_ALIVE_MS = 60_000;

/** What a {@link NodeStream} is told of its socket. */
export interface NodeStreamOptions {
  /** Default: what the socket says. */
  readonly peer?: PeerAddress;
  readonly local?: PeerAddress;
  /** Inside TLS, the socket that the records come by. */
  readonly carrier?: Socket;
  /**
   * Of what is sent, the last piece is no longer than this, in bytes, and is given to the socket by itself. It must be the
   * socket's high-water mark. Default: all is sent as it comes.
   */
  readonly lastPiece?: number;
}

/** A {@link ByteStream} over a socket of `node:net` or `node:tls`. */
export class NodeStream implements ByteStream {
  peer: PeerAddress;
  local: PeerAddress;
  readonly lendsChunks = false;
  readonly keepsChunks = true;
  readonly #socket: Socket;
  /** Inside TLS, the socket that the records come by. */
  readonly #carrier: Socket | null;
  /** What arrived and was not read yet; the socket is paused while there is any. */
  #unread: Uint8Array[] = [];
  #reader: PromiseWithResolvers<Uint8Array | null> | null = null;
  /** Who takes every chunk as it comes. */
  #taker: Taker | null = null;
  #writer: PromiseWithResolvers<void> | null = null;
  readonly #lastPiece: number;
  /** What the socket is to be given later. */
  #unsent: Uint8Array[] = [];
  #error: Error | null = null;
  #hasEnded = false;
  #isClosed = false;

  constructor(
    socket: Socket,
    { peer = peerOf(socket), local = localOf(socket), carrier, lastPiece = 0 }: NodeStreamOptions = {},
  ) {
    this.#socket = socket;
    this.#carrier = carrier ?? null;
    this.#lastPiece = lastPiece;
    this.peer = peer;
    this.local = local;
    // The end may have come already, behind the last bytes of a handshake; it is not told twice.
    this.#hasEnded = socket.readableEnded;
    this.#isClosed = socket.closed;
    socket.on("data", this.#onData);
    socket.on("end", this.#onEnd);
    socket.on("drain", this.#onDrain);
    socket.on("error", this.#onError);
    socket.on("close", this.#onClose);
    this.#pause();
  }

  get tls(): TlsDetails | null {
    return this.#socket instanceof TLSSocket ? tlsDetails(this.#socket) : null;
  }

  read(): Promise<Uint8Array | null> {
    const chunk = this.#unread.shift();
    if (chunk !== undefined) return Promise.resolve(chunk);
    if (this.#hasEnded) return Promise.resolve(null);
    if (this.#isClosed) return Promise.reject(new StreamBroken(this.#error));
    this.#reader = Promise.withResolvers();
    if (this.#socket.isPaused()) this.#resume();
    return this.#reader.promise;
  }

  readAll(take: TakeChunk): Promise<void> {
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    this.#taker = { take, resolve, reject, isPausing: false };
    this.#giveOn();
    return promise;
  }

  write(bytes: Uint8Array): Promise<void> {
    return this.send(bytes) ?? WRITTEN;
  }

  send(bytes: Uint8Array): Promise<void> | null {
    if (this.#isClosed) return Promise.reject(new StreamBroken(this.#error));
    // Deno 2.9 fails with EPERM when nothing is written inside TLS.
    if (bytes.length === 0 || this.#sends(bytes)) return null;
    // Last words may be written while another write waits: both wait for the same.
    this.#writer ??= Promise.withResolvers();
    return this.#writer.promise;
  }

  async end(): Promise<void> {
    if (this.#unsent.length > 0) await this.#writer?.promise.catch(() => {});
    if (this.#isClosed) return;
    await new Promise<void>((resolve) => {
      this.#socket.once("close", () => resolve());
      this.#socket.end(() => resolve());
    });
  }

  destroy(): void {
    this.#socket.destroy();
  }

  [Symbol.dispose](): void {
    this.destroy();
  }

  /** Gives up the socket for another to carry on, with `bytes` and all that was not read in front of it. */
  handOver(bytes: Uint8Array = new Uint8Array(0)): Socket {
    const socket = this.#socket;
    socket.off("data", this.#onData);
    socket.off("end", this.#onEnd);
    socket.off("drain", this.#onDrain);
    socket.off("error", this.#onError);
    socket.off("close", this.#onClose);
    // A socket that flows gives what is put back to its listeners at once, and there are none now.
    socket.pause();
    for (const chunk of [bytes, ...this.#unread].reverse()) {
      if (chunk.length > 0) socket.unshift(chunk);
    }
    return socket;
  }

  /**
   * A paused TLS socket of Deno 2.9.6 goes on reading from the socket under it, and keeps all of it in memory: a client that
   * does not read its result would cost as much as that is long. So the one under it is stopped as well.
   */
  #pause(): void {
    this.#socket.pause();
    handleOf(this.#carrier)?.readStop();
  }

  #resume(): void {
    this.#socket.resume();
    handleOf(this.#carrier)?.readStart();
  }

  /** Gives the socket bytes, or keeps them for later; whether it takes more. */
  #sends(bytes: Uint8Array): boolean {
    if (this.#lastPiece === 0) return this.#socket.write(bytes);
    if (this.#unsent.length === 0 && bytes.length <= this.#lastPiece - this.#socket.writableLength) {
      return this.#socket.write(bytes);
    }
    this.#unsent.push(bytes);
    if (!this.#socket.writableNeedDrain) this.#sendPiece();
    return false;
  }

  /** Of what is unsent, gives the socket so much that it tells when it has sent that. */
  #sendPiece(): void {
    const [bytes] = this.#unsent;
    const { writableLength } = this.#socket;
    // What waits in the socket becomes one piece with what is added to it.
    const length = writableLength > 0
      ? this.#lastPiece - writableLength
      : Math.max(this.#lastPiece, bytes.length - this.#lastPiece);
    this.#socket.write(bytes.subarray(0, length));
    if (bytes.length > length) this.#unsent[0] = bytes.subarray(length);
    else this.#unsent.shift();
  }

  /** Gives the taker what waits for it, as far as it takes it, and then lets more come. */
  #giveOn(): void {
    const taker = this.#taker!;
    taker.isPausing = false;
    while (!taker.isPausing) {
      const chunk = this.#unread.shift();
      if (chunk !== undefined) this.#give(chunk, taker);
      else if (this.#hasEnded) return this.#leaveTaker();
      else if (this.#isClosed) return this.#leaveTaker(new StreamBroken(this.#error));
      else return void (this.#socket.isPaused() && this.#resume());
      if (this.#taker === null) return;
    }
  }

  #give(chunk: Uint8Array, taker: Taker): void {
    try {
      const taken = taker.take(chunk);
      if (taken === null) return;
      taker.isPausing = true;
      this.#pause();
      taken.then(() => this.#giveOn(), (error) => this.#leaveTaker(error));
    } catch (error) {
      this.#leaveTaker(error);
    }
  }

  #leaveTaker(error?: unknown): void {
    const taker = this.#taker;
    this.#taker = null;
    if (error === undefined) taker?.resolve();
    else taker?.reject(error);
  }

  readonly #onData = (chunk: Uint8Array): void => {
    const taker = this.#taker;
    if (taker !== null && !taker.isPausing) return this.#give(chunk, taker);
    const reader = this.#reader;
    if (reader === null) {
      this.#unread.push(chunk);
      this.#pause();
      return;
    }
    this.#reader = null;
    reader.resolve(chunk);
  };

  readonly #onEnd = (): void => {
    this.#hasEnded = true;
    this.#reader?.resolve(null);
    this.#reader = null;
    if (this.#taker?.isPausing === false) this.#leaveTaker();
  };

  readonly #onDrain = (): void => {
    while (this.#unsent.length > 0 && !this.#socket.writableNeedDrain) this.#sendPiece();
    if (this.#socket.writableNeedDrain) return;
    this.#writer?.resolve();
    this.#writer = null;
  };

  readonly #onError = (error: Error): void => {
    this.#error = error;
  };

  readonly #onClose = (): void => {
    this.#isClosed = true;
    const broken = new StreamBroken(this.#error);
    this.#reader?.reject(broken);
    this.#writer?.reject(broken);
    this.#reader = this.#writer = null;
    if (this.#taker?.isPausing === false) this.#leaveTaker(broken);
  };
}

/** Who takes every chunk as it comes, and what is told at the end. */
interface Taker {
  readonly take: TakeChunk;
  readonly resolve: () => void;
  readonly reject: (error: unknown) => void;
  /** It has asked for no more for now. */
  isPausing: boolean;
}

/** The socket of a stream that can go on inside TLS, with `bytes` and all that was not read in front of it. */
export function socketOf(stream: ByteStream, bytes?: Uint8Array): Socket {
  if (stream instanceof NodeStream) return stream.handOver(bytes);
  throw new TypeError("only a stream over node:net can go on inside TLS");
}

/** Reading at the socket itself, which `node:net` has no public word for. */
interface SocketHandle {
  readStart(): void;
  readStop(): void;
}

/** `null` when the socket is closed. */
function handleOf(socket: Socket | null): SocketHandle | null {
  return (socket as unknown as { _handle?: SocketHandle } | null)?._handle ?? null;
}

const WRITTEN = Promise.resolve();

function peerOf(socket: Socket): PeerAddress {
  return { address: plainAddress(socket.remoteAddress ?? ""), port: socket.remotePort ?? 0 };
}

function localOf(socket: Socket): PeerAddress {
  return { address: plainAddress(socket.localAddress ?? ""), port: socket.localPort ?? 0 };
}

function tlsDetails(socket: TLSSocket): TlsDetails {
  const [peerCertificate = null, ...peerIntermediates] = peerCertificates(socket);
  return {
    version: socket.getProtocol() ?? "unknown",
    cipher: socket.getCipher()?.name ?? "unknown",
    serverName: (socket as { servername?: string | false | null }).servername || null,
    alpn: socket.alpnProtocol || null,
    peerCertificate,
    peerIntermediates,
  };
}

/** What the peer has sent, in its order. */
function peerCertificates(socket: TLSSocket): Uint8Array[] {
  try {
    return chainOf(socket.getPeerCertificate(true));
  } catch {
    // TLS has read the first of them alone; the others may be anything.
    const { raw } = socket.getPeerCertificate(false);
    return raw === undefined ? [] : [new Uint8Array(raw)];
  }
}

/** Each `issuerCertificate` is the one sent next, whoever has issued it. */
function chainOf(first: Partial<DetailedPeerCertificate> | null): Uint8Array[] {
  const found: Uint8Array[] = [];
  for (let one = first; one?.raw !== undefined;) {
    found.push(new Uint8Array(one.raw));
    const next: DetailedPeerCertificate | undefined = one.issuerCertificate;
    // One that has signed itself is its own issuer, and the last.
    one = next === one ? null : next ?? null;
  }
  return found;
}
