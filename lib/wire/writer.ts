const utf8 = new TextEncoder();

/** Writes one message: begin, its fields in documentation order, finish, which fills in the length behind. */
export class Writer {
  #bytes = new Uint8Array(64);
  #view = new DataView(this.#bytes.buffer);
  #length = 0;
  #lengthAt = 0;

  /** Begins a message with its type byte, or without one when `type` is `null`. */
  begin(type: number | null): this {
    this.#length = 0;
    if (type !== null) this.uint8(type);
    this.#lengthAt = this.#length;
    return this.int32(0);
  }

  uint8(value: number): this {
    const at = this.#reserve(1);
    this.#view.setUint8(at, value);
    return this;
  }

  int16(value: number): this {
    const at = this.#reserve(2);
    this.#view.setInt16(at, value);
    return this;
  }

  int32(value: number): this {
    const at = this.#reserve(4);
    this.#view.setInt32(at, value);
    return this;
  }

  bytes(value: Uint8Array): this {
    const at = this.#reserve(value.length);
    this.#bytes.set(value, at);
    return this;
  }

  /**
   * A string and its terminating zero.
   *
   * @throws {RangeError} when it holds a zero itself: what follows would be read as the next field; or half a surrogate
   * pair: every such half becomes the same U+FFFD, and two names would be one
   */
  string(value: string): this {
    if (value.includes("\0")) throw new RangeError("a protocol string cannot hold a zero byte");
    if (!value.isWellFormed()) throw new RangeError("a protocol string cannot hold half a surrogate pair");
    return this.bytes(utf8.encode(value)).uint8(0);
  }

  /** Fills in the length and gives the whole message; the writer can begin another. */
  finish(): Uint8Array<ArrayBuffer> {
    this.#view.setInt32(this.#lengthAt, this.#length - this.#lengthAt);
    return this.#bytes.slice(0, this.#length);
  }

  #reserve(length: number): number {
    const at = this.#length;
    this.#length += length;
    if (this.#length > this.#bytes.length) this.#grow();
    return at;
  }

  #grow(): void {
    const grown = new Uint8Array(Math.max(this.#length, this.#bytes.length * 2));
    grown.set(this.#bytes);
    this.#bytes = grown;
    this.#view = new DataView(grown.buffer);
  }
}
