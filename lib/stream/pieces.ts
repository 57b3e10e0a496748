import type { Socket } from "node:net";

/** So much may wait for a socket that is given it in pieces, in bytes: while one piece leaves, the next chunk is read. */
const MAX_UNSENT = 64 * 1024;

/**
 * What is sent by a socket in pieces of which the last is short, and is given to it by itself: what is given to a TLS socket in
 * one piece, or has waited in it, becomes records of 16 KiB and a rest.
 */
export class Pieces {
  readonly #socket: Socket;
  readonly #lastPiece: number;
  #unsent: Uint8Array[] = [];
  #unsentLength = 0;

  /** `lastPiece`, in bytes, is the socket's high-water mark: it then says when a longer piece has left. */
  constructor(socket: Socket, lastPiece: number) {
    this.#socket = socket;
    this.#lastPiece = lastPiece;
  }

  /** Something waits for the socket. */
  get areWaiting(): boolean {
    return this.#unsentLength > 0;
  }

  /** Gives the socket bytes, or keeps them for later; whether it takes more. */
  send(bytes: Uint8Array): boolean {
    if (this.#unsentLength === 0 && bytes.length <= this.#lastPiece - this.#socket.writableLength) {
      return this.#socket.write(bytes);
    }
    this.#unsent.push(bytes);
    this.#unsentLength += bytes.length;
    if (!this.#socket.writableNeedDrain) this.#sendNext();
    return this.#unsentLength < MAX_UNSENT;
  }

  /** What was given to the socket has left; whether it takes more. */
  drained(): boolean {
    if (this.#unsentLength > 0) this.#sendNext();
    return this.#unsentLength < MAX_UNSENT;
  }

  /** Of what waits, gives the socket all but the last piece, or that: so much that it tells when it has sent it. */
  #sendNext(): void {
    const { writableLength } = this.#socket;
    // What waits in the socket becomes one piece with what is added to it.
    let left = writableLength > 0
      ? this.#lastPiece - writableLength
      : Math.max(this.#lastPiece, this.#unsentLength - this.#lastPiece);
    this.#socket.cork();
    while (left > 0 && this.#unsent.length > 0) {
      const [bytes] = this.#unsent;
      const part = bytes.subarray(0, left);
      this.#socket.write(part);
      left -= part.length;
      this.#unsentLength -= part.length;
      if (part.length === bytes.length) this.#unsent.shift();
      else this.#unsent[0] = bytes.subarray(part.length);
    }
    this.#socket.uncork();
  }
}
