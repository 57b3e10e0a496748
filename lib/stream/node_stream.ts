import type { Socket } from "node:net";
import { TLSSocket } from "node:tls";
import { plainAddress } from "../address.ts";
import {
  type ByteStream,
  type ChunkTaker,
  type PeerAddress,
  type Sender,
  StreamBroken,
  type TlsDetails,
} from "./byte_stream.ts";
import { Pieces } from "./pieces.ts";
import { Sent } from "./sent.ts";
import { type Beginning, setOwner, type SocketOwner } from "./socket_owner.ts";
import { tlsDetails } from "./tls_details.ts";

/** Without traffic for so long, TCP itself asks whether the peer is still there, in milliseconds. */
export const KEEP_ALIVE_MS = 60_000;

/** What a {@link NodeStream} is told of its socket. */
export interface NodeStreamOptions {
  /** Default: what the socket says. */
  readonly peer?: PeerAddress;
  /** Inside TLS, what the records come by: it was handed over. */
  readonly over?: NodeStream;
  /** Where it has not begun yet, by what it will say so. */
  readonly beginning?: Beginning;
  /**
   * Of what is sent, the last piece is no longer than this, in bytes, as by {@link Pieces}. It must be the socket's high-water
   * mark. Default: all is sent as it comes.
   */
  readonly lastPiece?: number;
}

/** A {@link ByteStream} over a socket of `node:net` or `node:tls`. */
export class NodeStream implements ByteStream, SocketOwner {
  peer: PeerAddress;
  readonly lendsChunks = false;
  readonly keepsChunks = true;
  readonly #socket: Socket;
  /** Inside TLS, the socket that the records come by. */
  readonly #carrier: Socket | null;
  /** Once somebody has asked: the socket remembers it as well, and nobody asks for most. */
  #local: PeerAddress | undefined;
  /** Until it has begun. */
  #beginning: PromiseWithResolvers<void> | null = null;
  /** What arrived and was not read yet; the socket is paused while there is any. */
  #unread = NONE;
  #reader: PromiseWithResolvers<Uint8Array | null> | null = null;
  /** Who takes every chunk as it comes. */
  #taker: ChunkTaker | null = null;
  /** That one has asked for no more for now. */
  #isTakerBusy = false;
  /** Who is told when it takes more: last words may be written while another write waits. */
  #senders: Sender[] | null = null;
  /** By what it is sent in pieces, if it is. */
  readonly #pieces: Pieces | null;
  #error: Error | null = null;
  #hasEnded = false;
  #isClosed = false;

  constructor(socket: Socket, { peer, over, beginning, lastPiece }: NodeStreamOptions = {}) {
    this.#socket = socket;
    this.#carrier = over === undefined ? null : over.#socket;
    if (over !== undefined) this.#local = over.#local;
    this.#pieces = lastPiece === undefined ? null : new Pieces(socket, lastPiece);
    this.peer = peer ?? over?.peer ?? peerOf(socket);
    // The end may have come already; it is not told twice.
    this.#hasEnded = socket.readableEnded;
    this.#isClosed = socket.closed;
    setOwner(socket, this, beginning);
    if (beginning === undefined) this.#pause();
    else this.#beginning = Promise.withResolvers();
  }

  get local(): PeerAddress {
    return this.#local ??= localOf(this.#socket);
  }

  set local(local: PeerAddress) {
    this.#local = local;
  }

  get tls(): TlsDetails | null {
    return this.#socket instanceof TLSSocket ? tlsDetails(this.#socket) : null;
  }

  /**
   * Settles when it has begun.
   *
   * @throws {Error} when its socket fails before, or the peer closes it
   */
  begun(): Promise<void> {
    return this.#beginning?.promise ?? DONE;
  }

  read(): Promise<Uint8Array | null> {
    const chunk = this.#takeUnread();
    if (chunk !== undefined) return Promise.resolve(chunk);
    if (this.#hasEnded) return Promise.resolve(null);
    if (this.#isClosed) return Promise.reject(new StreamBroken(this.#error));
    this.#reader = Promise.withResolvers();
    if (this.#socket.isPaused()) this.#resume();
    return this.#reader.promise;
  }

  giveTo(taker: ChunkTaker): void {
    this.#taker = taker;
    this.#isTakerBusy = false;
    // What waits for it comes first, as far as it is taken.
    while (this.#taker !== null && !this.#isTakerBusy) {
      const chunk = this.#takeUnread();
      if (chunk !== undefined) this.#give(chunk, this.#taker);
      else if (this.#hasEnded) this.#leaveTaker()?.ended();
      else if (this.#isClosed) this.#leaveTaker()?.broke(new StreamBroken(this.#error));
      else return void (this.#socket.isPaused() && this.#resume());
    }
  }

  write(bytes: Uint8Array): Promise<void> {
    const sent = new Sent();
    return this.send(bytes, sent) ? DONE : sent.over;
  }

  send(bytes: Uint8Array, sender: Sender): boolean {
    if (this.#isClosed) {
      queueMicrotask(() => sender.sent(new StreamBroken(this.#error)));
      return false;
    }
    // Deno 2.9 fails with EPERM when nothing is written inside TLS.
    if (bytes.length === 0) return true;
    const takesMore = this.#pieces === null ? this.#socket.write(bytes) : this.#pieces.send(bytes);
    if (!takesMore) this.#tellLater(sender);
    return takesMore;
  }

  async end(): Promise<void> {
    while (this.#pieces?.areWaiting && !this.#isClosed) {
      await new Promise<void>((resolve) => this.#tellLater({ sent: () => resolve() }));
    }
    if (this.#isClosed) return;
    await new Promise<void>((resolve) => {
      this.#socket.once("close", () => resolve());
      this.#socket.end(() => resolve());
    });
  }

  isBroken(): Promise<boolean> {
    const handle = handleOf(this.#carrier ?? this.#socket);
    return Promise.resolve(handle === null || (handle.getpeername?.({}) ?? 0) !== 0);
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
    setOwner(socket, null);
    // A socket that flows gives what is put back to its listeners at once, and nobody is told of it now.
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

  #give(chunk: Uint8Array, taker: ChunkTaker): void {
    try {
      // It is not paused: an answer mostly comes first, and what comes before that, one read at most, is kept.
      this.#isTakerBusy = !taker.take(chunk);
    } catch (error) {
      this.#leaveTaker()?.broke(error);
    }
  }

  #takeUnread(): Uint8Array | undefined {
    const chunk = this.#unread.shift();
    if (this.#unread.length === 0) this.#unread = NONE;
    return chunk;
  }

  /** Nothing more is given to the taker but what is said to it now. */
  #leaveTaker(): ChunkTaker | null {
    const taker = this.#taker;
    this.#taker = null;
    return taker;
  }

  #tellLater(sender: Sender): void {
    (this.#senders ??= []).push(sender);
  }

  #tellSenders(broken?: StreamBroken): void {
    const senders = this.#senders;
    this.#senders = null;
    senders?.forEach((sender) => sender.sent(broken));
  }

  /** As {@link SocketOwner}, like those that follow. */
  began(): void {
    this.#pause();
    this.#beginning?.resolve();
    this.#beginning = null;
  }

  received(chunk: Uint8Array): void {
    if (this.#taker !== null && !this.#isTakerBusy) return this.#give(chunk, this.#taker);
    const reader = this.#reader;
    if (reader === null) {
      if (this.#unread === NONE) this.#unread = [];
      this.#unread.push(chunk);
      this.#pause();
      return;
    }
    this.#reader = null;
    reader.resolve(chunk);
  }

  ended(): void {
    this.#hasEnded = true;
    // A peer that leaves in the middle of a handshake, by FIN or RST, is seen as an end alone.
    this.#beginning?.reject(new Error("the peer closed the connection"));
    this.#reader?.resolve(null);
    this.#reader = null;
    if (!this.#isTakerBusy) this.#leaveTaker()?.ended();
  }

  drained(): void {
    if (this.#pieces?.drained() === false) return;
    this.#tellSenders();
  }

  failed(error: Error): void {
    this.#error = error;
    this.#beginning?.reject(error);
  }

  closed(): void {
    this.#isClosed = true;
    const broken = new StreamBroken(this.#error);
    this.#beginning?.reject(new Error("the peer closed the connection"));
    this.#reader?.reject(broken);
    this.#reader = null;
    if (!this.#isTakerBusy) this.#leaveTaker()?.broke(broken);
    this.#tellSenders(broken);
  }
}

/** A stream that can go on inside TLS. */
export function upgradable(stream: ByteStream): NodeStream {
  if (stream instanceof NodeStream) return stream;
  throw new TypeError("only a stream over node:net can go on inside TLS");
}

/** The socket itself: `node:net` has no public words for these. */
interface SocketHandle {
  readStart(): void;
  readStop(): void;
  /** 0, or an error: that it is connected no more. Sockets of Unix have none. */
  getpeername?(address: object): number;
}

/** `null` when the socket is closed. */
function handleOf(socket: Socket | null): SocketHandle | null {
  return (socket as unknown as { _handle?: SocketHandle } | null)?._handle ?? null;
}

const DONE = Promise.resolve();

/** Most streams are idle, and have nothing waiting: one array is enough for all of them. Nothing is put into it. */
const NONE: Uint8Array[] = [];

function peerOf(socket: Socket): PeerAddress {
  return { address: plainAddress(socket.remoteAddress ?? ""), port: socket.remotePort ?? 0 };
}

function localOf(socket: Socket): PeerAddress {
  return { address: plainAddress(socket.localAddress ?? ""), port: socket.localPort ?? 0 };
}
