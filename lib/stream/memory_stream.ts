import {
  type ByteStream,
  type ChunkTaker,
  type PeerAddress,
  type Sender,
  StreamBroken,
} from "./byte_stream.ts";

/** Bytes one end may leave unread before the other's `write` waits. */
export const CAPACITY = 16 * 1024;

/** Two ends of one connection that never leaves memory: what is written to one is read from the other. */
export function memoryPair(): [ByteStream, ByteStream] {
  const toRight = new Pipe();
  const toLeft = new Pipe();
  return [new MemoryStream("left", toLeft, toRight), new MemoryStream("right", toRight, toLeft)];
}

class MemoryStream implements ByteStream {
  readonly tls = null;
  readonly lendsChunks = false;
  readonly keepsChunks = true;
  peer: PeerAddress;
  local: PeerAddress;
  readonly #incoming: Pipe;
  readonly #outgoing: Pipe;

  constructor(address: string, incoming: Pipe, outgoing: Pipe) {
    this.peer = { address, port: 0 };
    this.local = { address: "here", port: 0 };
    this.#incoming = incoming;
    this.#outgoing = outgoing;
  }

  read(): Promise<Uint8Array | null> {
    return this.#incoming.read();
  }

  giveTo(taker: ChunkTaker): void {
    this.#give(taker).then((hasEnded) => hasEnded && taker.ended(), (cause) => taker.broke(cause));
  }

  write(bytes: Uint8Array): Promise<void> {
    return this.#outgoing.write(bytes);
  }

  send(bytes: Uint8Array, sender: Sender): boolean {
    this.write(bytes).then(() => sender.sent(), (broken) => sender.sent(broken));
    return false;
  }

  end(): Promise<void> {
    this.#outgoing.end();
    return Promise.resolve();
  }

  isBroken(): Promise<boolean> {
    return Promise.resolve(this.#outgoing.isBroken);
  }

  destroy(): void {
    this.#incoming.break();
    this.#outgoing.break();
  }

  [Symbol.dispose](): void {
    this.destroy();
  }

  /** Gives chunks until `taker` takes no more; whether the last was among them. */
  async #give(taker: ChunkTaker): Promise<boolean> {
    for (;;) {
      const chunk = await this.read();
      if (chunk === null) return true;
      if (!taker.take(chunk)) return false;
    }
  }
}

/** One direction. */
class Pipe {
  readonly #chunks: Uint8Array[] = [];
  #length = 0;
  #hasEnded = false;
  #isBroken = false;
  #changed = Promise.withResolvers<void>();

  async read(): Promise<Uint8Array | null> {
    for (;;) {
      if (this.#isBroken) throw new StreamBroken();
      const chunk = this.#chunks.shift();
      if (chunk !== undefined) {
        this.#length -= chunk.length;
        this.#change();
        return chunk;
      }
      if (this.#hasEnded) return null;
      await this.#changed.promise;
    }
  }

  async write(bytes: Uint8Array): Promise<void> {
    if (this.#isBroken || this.#hasEnded) throw new StreamBroken();
    this.#chunks.push(bytes);
    this.#length += bytes.length;
    this.#change();
    while (this.#length > CAPACITY) {
      await this.#changed.promise;
      if (this.#isBroken) throw new StreamBroken();
    }
  }

  get isBroken(): boolean {
    return this.#isBroken;
  }

  end(): void {
    this.#hasEnded = true;
    this.#change();
  }

  break(): void {
    this.#isBroken = true;
    this.#change();
  }

  #change(): void {
    this.#changed.resolve();
    this.#changed = Promise.withResolvers();
  }
}
