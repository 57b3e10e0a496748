import { plainAddress } from "../address.ts";
import {
  type ByteStream,
  type ChunkTaker,
  type PeerAddress,
  type Sender,
  StreamBroken,
} from "./byte_stream.ts";
import { Sent } from "./sent.ts";

/** A read buffer begins small, because an idle session holds one each way; it grows while reads come back full. */
const SMALL_BUFFER = 4 * 1024;
const LARGE_BUFFER = 64 * 1024;

/** At rest it is no longer than this: what takes one read more behind it is long itself. */
const RESTING_BUFFER = 16 * 1024;

/** After so many reads in a row that the small buffer had taken as well, it is small again. */
const SMALL_READS_TO_SHRINK = 64;

/**
 * A {@link ByteStream} over a connection of Deno's own: the cheapest there is, for what is never inside TLS.
 *
 * It reads into one buffer again and again, so a chunk is good only until the next is asked for.
 */
export class ConnStream implements ByteStream {
  peer: PeerAddress;
  local: PeerAddress;
  readonly tls = null;
  readonly lendsChunks = true;
  readonly keepsChunks = false;
  readonly #conn: Deno.Conn;
  #buffer = new Uint8Array(SMALL_BUFFER);
  /**
   * The last chunk, which is the front of the buffer; of a new buffer, nothing. The next is often as long, and making a view
   * costs as much as a walk over headers.
   */
  #chunk: Uint8Array = NOTHING;
  #smallReads = 0;
  /** Who is given what is read. */
  #taker: ChunkTaker | null = null;
  /** What is being sent, as far as it has not left, and for whom; for nobody when nothing is. */
  #unsent: Uint8Array = NOTHING;
  #sender: Sender | null = null;
  /** What comes behind it: that must not overtake it, nor follow when it has failed. */
  #behind: Sending[] | null = null;
  #broken: StreamBroken | null = null;
  #isClosed = false;

  constructor(conn: Deno.Conn, peer: PeerAddress) {
    this.#conn = conn;
    this.peer = peer;
    this.local = addressOf(conn.localAddr);
  }

  async read(): Promise<Uint8Array | null> {
    try {
      return this.#chunkOf(await this.#conn.read(this.#buffer));
    } catch (cause) {
      throw new StreamBroken(cause);
    }
  }

  giveTo(taker: ChunkTaker): void {
    this.#taker = taker;
    if (this.#buffer.length > RESTING_BUFFER && taker.isAtRest) this.#resize(RESTING_BUFFER);
    this.#conn.read(this.#buffer).then(this.#arrived, this.#unreadable);
  }

  write(bytes: Uint8Array): Promise<void> {
    const sent = new Sent();
    this.send(bytes, sent);
    return sent.over;
  }

  send(bytes: Uint8Array, sender: Sender): boolean {
    const broken = this.#broken;
    if (broken !== null) queueMicrotask(() => sender.sent(broken));
    else if (this.#sender === null) this.#begin(bytes, sender);
    else (this.#behind ??= []).push({ bytes, sender });
    return false;
  }

  async end(): Promise<void> {
    try {
      if (this.#sender !== null) await this.write(NOTHING);
      if (!this.#isClosed) await this.#conn.closeWrite();
    } catch {
      // A peer that is gone cannot be told that we have ended.
    }
  }

  async isBroken(): Promise<boolean> {
    // What is being sent fails by itself.
    if (this.#sender !== null) return false;
    try {
      // Nothing leaves by it, and a connection that is gone says so.
      await this.#conn.write(NOTHING);
      return false;
    } catch {
      return true;
    }
  }

  destroy(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#conn.close();
  }

  [Symbol.dispose](): void {
    this.destroy();
  }

  #begin(bytes: Uint8Array, sender: Sender): void {
    this.#unsent = bytes;
    this.#sender = sender;
    this.#conn.write(bytes).then(this.#sent, this.#unsendable);
  }

  // Fields: a chunk costs the promises of its read and its write, and no closure.

  readonly #arrived = (length: number | null): void => {
    const taker = this.#taker!;
    const chunk = this.#chunkOf(length);
    if (chunk === null) return taker.ended();
    try {
      if (taker.take(chunk)) this.giveTo(taker);
    } catch (error) {
      taker.broke(error);
    }
  };

  readonly #unreadable = (cause: unknown): void => this.#taker!.broke(new StreamBroken(cause));

  readonly #sent = (length: number): void => {
    const sender = this.#sender!;
    if (length < this.#unsent.length) return this.#begin(this.#unsent.subarray(length), sender);
    this.#unsent = NOTHING;
    this.#sender = null;
    const next = this.#behind?.shift();
    if (next !== undefined) this.#begin(next.bytes, next.sender);
    sender.sent();
  };

  readonly #unsendable = (cause: unknown): void => {
    const broken = this.#broken = new StreamBroken(cause);
    const senders = [this.#sender!, ...(this.#behind ?? []).map(({ sender }) => sender)];
    this.#unsent = NOTHING;
    this.#sender = this.#behind = null;
    for (const sender of senders) sender.sent(broken);
  };

  /**
   * The first `length` bytes of the buffer, which have just been read; `null` at the end. No other buffer comes while a read is
   * under way, but where a login was given up, whose bytes nobody wants.
   */
  #chunkOf(length: number | null): Uint8Array | null {
    if (length === null) return null;
    if (length !== this.#chunk.length) this.#chunk = this.#buffer.subarray(0, length);
    const chunk = this.#chunk;
    this.#fitBuffer(length);
    return chunk;
  }

  #fitBuffer(lastLength: number): void {
    const size = this.#buffer.length;
    if (lastLength === size && size < LARGE_BUFFER) this.#resize(size * 4);
    if (lastLength > SMALL_BUFFER || size === SMALL_BUFFER) {
      this.#smallReads = 0;
      return;
    }
    if (++this.#smallReads < SMALL_READS_TO_SHRINK) return;
    this.#resize(SMALL_BUFFER);
    this.#smallReads = 0;
  }

  #resize(size: number): void {
    this.#buffer = new Uint8Array(size);
    this.#chunk = NOTHING;
  }
}

/** What is to be sent, and for whom. */
interface Sending {
  readonly bytes: Uint8Array;
  readonly sender: Sender;
}

const NOTHING = new Uint8Array(0);

function addressOf(addr: Deno.Addr): PeerAddress {
  if ("hostname" in addr) return { address: plainAddress(addr.hostname), port: addr.port };
  return { address: "path" in addr ? addr.path : "", port: 0 };
}
