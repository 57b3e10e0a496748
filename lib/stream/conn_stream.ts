import { type ByteStream, type PeerAddress, StreamBroken } from "./byte_stream.ts";

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
  readonly peer: PeerAddress;
  readonly tls = null;
  readonly lendsChunks = true;
  readonly keepsChunks = false;
  readonly #conn: Deno.Conn;
  #buffer = new Uint8Array(SMALL_BUFFER);
  #smallReads = 0;
  /** The last write, while it is under way: what is written behind it must not overtake it. */
  #writing: Promise<void> | null = null;
  #isClosed = false;

  constructor(conn: Deno.Conn, peer: PeerAddress) {
    this.#conn = conn;
    this.peer = peer;
  }

  async read(): Promise<Uint8Array | null> {
    const buffer = this.#buffer;
    const length = await this.#conn.read(buffer).catch(broken);
    if (length === null) return null;
    this.#fitBuffer(length);
    return length === buffer.length ? buffer : buffer.subarray(0, length);
  }

  async write(bytes: Uint8Array): Promise<void> {
    while (this.#writing !== null) await this.#writing.catch(() => {});
    const writing = this.#writing = this.#writeAll(bytes);
    try {
      await writing;
    } finally {
      if (this.#writing === writing) this.#writing = null;
    }
  }

  async end(): Promise<void> {
    while (this.#writing !== null) await this.#writing.catch(() => {});
    // A peer that is gone cannot be told that we have ended.
    if (!this.#isClosed) await this.#conn.closeWrite().catch(() => {});
  }

  destroy(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#conn.close();
  }

  [Symbol.dispose](): void {
    this.destroy();
  }

  async #writeAll(bytes: Uint8Array): Promise<void> {
    let written = await this.#conn.write(bytes).catch(broken);
    while (written < bytes.length) written += await this.#conn.write(bytes.subarray(written)).catch(broken);
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

/** Whatever ended a connection under a read or a write, a `destroy` of ours included. */
function broken(cause: unknown): never {
  throw new StreamBroken(cause);
}
