const TLV_HEADER_LENGTH = 3;
const PP2_TYPE_CRC32C = 0x03;
const CRC_LENGTH = 4;

/**
 * What is wrong behind the addresses of a PROXY header of version 2, where there is type, length and value again and again
 * up to its end; `null` when nothing is. None of it is used, but a checksum must be right where there is one.
 *
 * @param header all of it
 * @param start where its addresses end
 * @see https://www.haproxy.org/download/3.2/doc/proxy-protocol.txt section 2.2.3
 */
export function flawOfTail(header: Uint8Array, start: number): string | null {
  const view = new DataView(header.buffer, header.byteOffset, header.byteLength);
  for (let at = start; at < header.length;) {
    const valueAt = at + TLV_HEADER_LENGTH;
    const end = valueAt > header.length ? Infinity : valueAt + view.getUint16(at + 1);
    if (end > header.length) return "it ends within what it says behind its addresses";
    if (header[at] === PP2_TYPE_CRC32C) {
      const isRight = end - valueAt === CRC_LENGTH && view.getUint32(valueAt) === checksum(header, valueAt);
      if (!isRight) return "its checksum is wrong";
    }
    at = end;
  }
  return null;
}

/** Of the header with zeros where its checksum stands. */
function checksum(header: Uint8Array, crcAt: number): number {
  return crc32c(header.map((byte, at) => at >= crcAt && at < crcAt + CRC_LENGTH ? 0 : byte));
}

/** @see RFC 9260 appendix A */
function crc32c(bytes: Uint8Array): number {
  let crc = 0xffffffff;
  for (const byte of bytes) {
    crc ^= byte;
    for (let bit = 0; bit < 8; bit++) crc = (crc >>> 1) ^ (crc & 1 ? 0x82f63b78 : 0);
  }
  return ~crc >>> 0;
}
