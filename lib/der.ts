/** One element of DER, as its tag says what it is. */
export interface DerElement {
  readonly tag: number;
  readonly content: Uint8Array;
}

/** Tags of the elements that certificates are read by. */
export const DER = {
  boolean: 0x01,
  integer: 0x02,
  octetString: 0x04,
  objectIdentifier: 0x06,
  sequence: 0x30,
} as const;

/**
 * The DER elements side by side in `bytes`; it ends where they stop making sense.
 *
 * @see https://www.itu.int/rec/T-REC-X.690
 */
export function derElements(bytes: Uint8Array = new Uint8Array()): DerElement[] {
  const found: DerElement[] = [];
  let at = 0;
  while (at + 2 <= bytes.length) {
    const tag = bytes[at];
    const lengthBytes = bytes[at + 1] < 0x80 ? 0 : bytes[at + 1] & 0x7f;
    if (lengthBytes > 4) break;
    const start = at + 2 + lengthBytes;
    const length = lengthBytes === 0
      ? bytes[at + 1]
      : bytes.subarray(at + 2, start).reduce((sum, byte) => sum * 256 + byte, 0);
    if (start + length > bytes.length) break;
    found.push({ tag, content: bytes.subarray(start, start + length) });
    at = start + length;
  }
  return found;
}
