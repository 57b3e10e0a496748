import { type ByteStream, type PeerAddress, type Receiver, StreamBroken } from "./byte_stream.ts";

/** Two ends of one connection that never leaves memory: what is written to one is read from the other. */
export function memoryPair(): [MemoryStream, MemoryStream] {
  const left = new MemoryStream({ address: "left", port: 0 });
  const right = new MemoryStream({ address: "right", port: 0 });
  left.connect(right);
  right.connect(left);
  return [left, right];
}

/** A {@link ByteStream} in memory, for playing a session without sockets. It holds up to {@link CAPACITY} bytes unread. */
export class MemoryStream implements ByteStream {
  readonly tls = null;
  readonly peer: PeerAddress;
  #other!: MemoryStream;
  #arrived: Uint8Array[] = [];
  #hasEnded = false;
  #isClosed = false;
  #isPaused = false;
  #isFull = false;
  #receiver: Receiver | null = null;
  #wake: () => void = () => {};

  constructor(peer: PeerAddress) {
    this.peer = peer;
  }

  /** Joins this end to its other. */
  connect(other: MemoryStream): void {
    this.#other = other;
  }

  async read(): Promise<Uint8Array | null> {
    for (;;) {
      const chunk = this.#arrived.shift();
      if (chunk !== undefined) {
        this.#other.#drain();
        return chunk;
      }
      if (this.#hasEnded) return null;
      if (this.#isClosed) throw new StreamBroken();
      await new Promise<void>((resolve) => this.#wake = resolve);
    }
  }

  write(bytes: Uint8Array): Promise<void> {
    if (this.#isClosed) return Promise.reject(new StreamBroken());
    this.push(bytes);
    return Promise.resolve();
  }

  flow(receiver: Receiver): void {
    this.#receiver = receiver;
    this.#deliver();
  }

  push(chunk: Uint8Array): boolean {
    if (this.#isClosed) return true;
    this.#other.#arrived.push(chunk.slice());
    this.#other.#deliver();
    this.#isFull = this.#other.#unread > CAPACITY;
    return !this.#isFull;
  }

  pause(): void {
    this.#isPaused = true;
  }

  resume(): void {
    this.#isPaused = false;
    this.#deliver();
  }

  end(): void {
    this.#other.#hasEnded = true;
    this.#other.#deliver();
  }

  destroy(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#receiver?.closed(null);
    this.#wake();
    this.#other.destroy();
  }

  [Symbol.dispose](): void {
    this.destroy();
  }

  get #unread(): number {
    return this.#arrived.reduce((length, chunk) => length + chunk.length, 0);
  }

  #deliver(): void {
    this.#wake();
    while (this.#receiver !== null && !this.#isPaused) {
      const chunk = this.#arrived.shift();
      if (chunk === undefined) break;
      this.#receiver.chunk(chunk);
      this.#other.#drain();
    }
    if (this.#receiver !== null && this.#hasEnded && this.#arrived.length === 0) this.#receiver.ended();
  }

  #drain(): void {
    if (!this.#isFull || this.#other.#unread > 0) return;
    this.#isFull = false;
    this.#receiver?.drained();
  }
}

/** Bytes one end may leave unread before `push` says to wait. */
export const CAPACITY = 16 * 1024;
