import { type PgError, protocolViolation } from "../errors.ts";

const strictUtf8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });
const lenientUtf8 = new TextDecoder("utf-8", { ignoreBOM: true });

/**
 * Reads the fields of one message body in documentation order; every read checks that the bytes are there.
 *
 * What it returns as bytes are views into the body: copy what outlives it.
 */
export class Reader {
  readonly #body: Uint8Array;
  readonly #view: DataView;
  readonly #name: string;
  #position = 0;

  constructor(body: Uint8Array, name: string) {
    this.#body = body;
    this.#view = new DataView(body.buffer, body.byteOffset, body.byteLength);
    this.#name = name;
  }

  /** Bytes not yet read. */
  get remaining(): number {
    return this.#body.length - this.#position;
  }

  /** @throws {PgError} 08P01 when the body is too short */
  uint8(): number {
    return this.#view.getUint8(this.#advance(1));
  }

  /** @throws {PgError} 08P01 when the body is too short */
  int16(): number {
    return this.#view.getInt16(this.#advance(2));
  }

  /** @throws {PgError} 08P01 when the body is too short */
  int32(): number {
    return this.#view.getInt32(this.#advance(4));
  }

  /** @throws {PgError} 08P01 when the body is too short */
  uint32(): number {
    return this.#view.getUint32(this.#advance(4));
  }

  /** @throws {PgError} 08P01 when the body is too short or `length` is negative */
  bytes(length: number): Uint8Array {
    const start = this.#advance(length);
    return this.#body.subarray(start, start + length);
  }

  /** All bytes up to the end of the body. */
  rest(): Uint8Array {
    return this.bytes(this.remaining);
  }

  /**
   * A null-terminated string that must be UTF-8: two byte strings never read as the same name.
   *
   * @throws {PgError} 08P01 when it is unterminated or not UTF-8
   */
  string(): string {
    const bytes = this.#untilNul();
    try {
      return strictUtf8.decode(bytes);
    } catch {
      throw this.violation("has a string that is not valid UTF-8");
    }
  }

  /**
   * A null-terminated string for people: what is not UTF-8 becomes U+FFFD. A server may not yet know our encoding
   * when it sends an error.
   *
   * @throws {PgError} 08P01 when it is unterminated
   */
  text(): string {
    return lenientUtf8.decode(this.#untilNul());
  }

  /**
   * Holds that the body is used up.
   *
   * @throws {PgError} 08P01 when bytes are left
   */
  end(): void {
    if (this.remaining > 0) throw this.violation(`has ${this.remaining} bytes too many`);
  }

  /** The error of a malformed body, for a decoder to throw. */
  violation(what: string): PgError {
    return protocolViolation(`malformed ${this.#name}: it ${what}`);
  }

  #untilNul(): Uint8Array {
    const end = this.#body.indexOf(0, this.#position);
    if (end < 0) throw this.violation("has an unterminated string");
    const bytes = this.#body.subarray(this.#position, end);
    this.#position = end + 1;
    return bytes;
  }

  #advance(length: number): number {
    const start = this.#position;
    if (length < 0 || length > this.remaining) throw this.violation("ends too early");
    this.#position += length;
    return start;
  }
}
