import type { Socket } from "node:net";
import { TLSSocket } from "node:tls";
import {
  type ByteStream,
  type PeerAddress,
  type Receiver,
  StreamBroken,
  type TlsDetails,
} from "./byte_stream.ts";

/** A {@link ByteStream} over a socket of `node:net` or `node:tls`. */
export class NodeStream implements ByteStream {
  readonly peer: PeerAddress;
  readonly #socket: Socket;
  /** What arrived and was not read yet; the socket is paused while there is any. */
  #unread: Uint8Array[] = [];
  #reader: PromiseWithResolvers<Uint8Array | null> | null = null;
  #error: Error | null = null;
  #hasEnded = false;
  #isClosed = false;

  constructor(socket: Socket, peer: PeerAddress = peerOf(socket)) {
    this.#socket = socket;
    this.peer = peer;
    socket.on("data", this.#onData);
    socket.on("end", this.#onEnd);
    socket.on("error", this.#onError);
    socket.on("close", this.#onClose);
    socket.pause();
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
    this.#socket.resume();
    return this.#reader.promise;
  }

  write(bytes: Uint8Array): Promise<void> {
    return new Promise((resolve, reject) => {
      if (this.#isClosed) return reject(new StreamBroken(this.#error));
      this.#socket.write(bytes, (error) => error ? reject(new StreamBroken(error)) : resolve());
    });
  }

  flow(receiver: Receiver): void {
    const socket = this.#release();
    socket.on("error", this.#onError);
    socket.on("data", receiver.chunk);
    socket.on("drain", receiver.drained);
    socket.on("end", receiver.ended);
    socket.on("close", () => receiver.closed(this.#error));
    for (const chunk of this.#unread.splice(0)) receiver.chunk(chunk);
    if (this.#hasEnded) receiver.ended();
    if (this.#isClosed) receiver.closed(this.#error);
  }

  push(chunk: Uint8Array): boolean {
    return this.#socket.write(chunk);
  }

  pause(): void {
    this.#socket.pause();
  }

  resume(): void {
    this.#socket.resume();
  }

  end(): void {
    this.#socket.end();
  }

  destroy(): void {
    this.#socket.destroy();
  }

  [Symbol.dispose](): void {
    this.destroy();
  }

  /** Gives up the socket for another to carry on, with `bytes` and all that was not read in front of it. */
  handOver(bytes: Uint8Array = new Uint8Array(0)): Socket {
    const socket = this.#release();
    for (const chunk of [bytes, ...this.#unread.splice(0)].reverse()) {
      if (chunk.length > 0) socket.unshift(chunk);
    }
    return socket;
  }

  #release(): Socket {
    const socket = this.#socket;
    socket.off("data", this.#onData);
    socket.off("end", this.#onEnd);
    socket.off("error", this.#onError);
    socket.off("close", this.#onClose);
    return socket;
  }

  readonly #onData = (chunk: Uint8Array): void => {
    this.#socket.pause();
    if (this.#reader === null) this.#unread.push(chunk);
    else this.#settle((reader) => reader.resolve(chunk));
  };

  readonly #onEnd = (): void => {
    this.#hasEnded = true;
    this.#settle((reader) => reader.resolve(null));
  };

  readonly #onError = (error: Error): void => {
    this.#error = error;
  };

  readonly #onClose = (): void => {
    this.#isClosed = true;
    this.#settle((reader) => reader.reject(new StreamBroken(this.#error)));
  };

  #settle(how: (reader: PromiseWithResolvers<Uint8Array | null>) => void): void {
    const reader = this.#reader;
    this.#reader = null;
    if (reader !== null) how(reader);
  }
}

/** The address of a socket's other end; an IPv4 client of an IPv6 listener is shown by its IPv4 address. */
export function peerOf(socket: Socket): PeerAddress {
  const address = socket.remoteAddress ?? "";
  return { address: address.replace(/^::ffff:(?=\d+\.)/i, ""), port: socket.remotePort ?? 0 };
}

function tlsDetails(socket: TLSSocket): TlsDetails {
  const peerCertificate = socket.getPeerCertificate(true)?.raw;
  return {
    version: socket.getProtocol() ?? "unknown",
    cipher: socket.getCipher()?.name ?? "unknown",
    alpn: socket.alpnProtocol || null,
    peerCertificate: peerCertificate ? new Uint8Array(peerCertificate) : null,
  };
}
