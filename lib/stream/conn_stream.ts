import { plainAddress } from "../address.ts";
import { type ByteStream, type ChunkTaker, type PeerAddress, StreamBroken } from "./byte_stream.ts";

/** A read buffer begins small, because an idle session holds one each way; it grows while reads come back full. */
const SMALL_BUFFER = 4 * 1024;
const LARGE_BUFFER = 64 * 1024;

/** After so many reads in a row that the small buffer had taken as well, it is small again. */
const SMALL_READS_TO_SHRINK = 64;

/**
 * A {@link ByteStream} over a connection of Deno's own: the cheapest there is, for what is never inside TLS.
 *
 * It reads into one buffer again and again, so a chunk is good only until the next `read`.
 */
export class ConnStream implements ByteStream {
  peer: PeerAddress;
  local: PeerAddress;
  readonly tls = null;
  readonly lendsChunks = true;
  readonly keepsChunks = false;
  readonly #conn: Deno.Conn;
  #buffer = new Uint8Array(SMALL_BUFFER);
  #smallReads = 0;
  /** The last write, until it is over: what is written behind it must not overtake it, nor follow when it has failed. */
  #writing: Promise<void> | null = null;
  #queued = 0;
  #isClosed = false;

  constructor(conn: Deno.Conn, peer: PeerAddress) {
    this.#conn = conn;
    this.peer = peer;
    this.local = addressOf(conn.localAddr);
  }

  async read(): Promise<Uint8Array | null> {
    const buffer = this.#buffer;
    try {
      const length = await this.#conn.read(buffer);
      if (length === null) return null;
      this.#fitBuffer(length);
      return length === buffer.length ? buffer : buffer.subarray(0, length);
    } catch (cause) {
      throw new StreamBroken(cause);
    }
  }

  readAll(taker: ChunkTaker): void {
    this.#giveAll(taker).then(() => taker.ended(), (cause) => taker.broke(cause));
  }

  send(bytes: Uint8Array): Promise<void> {
    return this.write(bytes);
  }

  write(bytes: Uint8Array): Promise<void> {
    const before = this.#writing;
    this.#queued++;
    return this.#writing = before === null ? this.#writeAll(bytes) : before.then(() => this.#writeAll(bytes));
  }

  async end(): Promise<void> {
    try {
      await this.#writing;
      if (!this.#isClosed) await this.#conn.closeWrite();
    } catch {
      // A peer that is gone cannot be told that we have ended.
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

  async #giveAll(taker: ChunkTaker): Promise<void> {
    for (;;) {
      const buffer = this.#buffer;
      let length: number | null;
      // As in `read`, and not by it: a promise more for each chunk is felt.
      try {
        length = await this.#conn.read(buffer);
      } catch (cause) {
        throw new StreamBroken(cause);
      }
      if (length === null) return;
      this.#fitBuffer(length);
      const taken = taker.take(length === buffer.length ? buffer : buffer.subarray(0, length));
      if (taken !== null) await taken;
    }
  }

  async #writeAll(bytes: Uint8Array): Promise<void> {
    try {
      let written = await this.#conn.write(bytes);
      while (written < bytes.length) written += await this.#conn.write(bytes.subarray(written));
    } catch (cause) {
      throw new StreamBroken(cause);
    }
    if (--this.#queued === 0) this.#writing = null;
  }

  #fitBuffer(lastLength: number): void {
    const size = this.#buffer.length;
    if (lastLength === size && size < LARGE_BUFFER) this.#buffer = new Uint8Array(size * 4);
    if (lastLength > SMALL_BUFFER || size === SMALL_BUFFER) {
      this.#smallReads = 0;
      return;
    }
    if (++this.#smallReads < SMALL_READS_TO_SHRINK) return;
    this.#buffer = new Uint8Array(SMALL_BUFFER);
    this.#smallReads = 0;
  }
}

function addressOf(addr: Deno.Addr): PeerAddress {
  if ("hostname" in addr) return { address: plainAddress(addr.hostname), port: addr.port };
  return { address: "path" in addr ? addr.path : "", port: 0 };
}
