import { type PgError, protocolViolation } from "../errors.ts";
import { formatIpAddress, ipAddressFrom, ipv6BytesOf, parseIpAddress } from "../network.ts";
import type { PeerAddress } from "./byte_stream.ts";
import { flawOfTail } from "./proxy_header_tail.ts";

/** What a PROXY header tells of a client's connection to whoever has sent the header. */
export interface ProxiedConnection {
  readonly client: PeerAddress;
  /** What the client has connected to. */
  readonly server: PeerAddress;
}

/** A header as it came. */
export interface ProxyHeader {
  /** `null`: the sender speaks for itself, as with its health checks, or for somebody it has no IP address of. */
  readonly proxied: ProxiedConnection | null;
  /** All of it, in bytes: what the client says begins behind. */
  readonly length: number;
}

const NAME = "PROXY";

const V1_START = new TextEncoder().encode(`${NAME} `);
const V1_MAX_LENGTH = 107; // with its CRLF
const CR = 0x0d;
const LF = 0x0a;

const V2_SIGNATURE = Uint8Array.of(0x0d, 0x0a, 0x0d, 0x0a, 0x00, 0x0d, 0x0a, 0x51, 0x55, 0x49, 0x54, 0x0a);
const V2_FIXED_LENGTH = 16;
const V2_LOCAL = 0x20; // version 2, command 0
const V2_PROXY = 0x21; // version 2, command 1

/** A sender may add what it likes, a client's certificate even; more than this is nobody's header. */
const V2_MAX_LENGTH = 4096;

const UNSPECIFIED = 0x00;
const TCP_OVER_IPV4 = 0x11;
const TCP_OVER_IPV6 = 0x21;

/** Bytes of the addresses by family and transport: nothing else is allowed. */
const V2_ADDRESS_LENGTHS: ReadonlyMap<number, number> = new Map([
  [UNSPECIFIED, 0],
  [TCP_OVER_IPV4, 12],
  [0x12, 12], // UDP over IPv4
  [TCP_OVER_IPV6, 36],
  [0x22, 36], // UDP over IPv6
  [0x31, 216], // UNIX stream
  [0x32, 216], // UNIX datagram
]);

/**
 * Reads the PROXY header that a connection begins with, version 1 or 2; `null` when it is not complete yet.
 *
 * It refuses as soon as what has come cannot become a header any more, so that nobody waits for the rest of something else.
 *
 * @see https://www.haproxy.org/download/3.2/doc/proxy-protocol.txt sections 2.1 and 2.2
 * @throws {PgError} 08P01 when it is none, or a malformed one
 */
export function decodeProxyHeader(bytes: Uint8Array): ProxyHeader | null {
  if (beginsLike(bytes, V1_START)) return decodeV1(bytes);
  if (beginsLike(bytes, V2_SIGNATURE)) return decodeV2(bytes);
  throw protocolViolation("expected a PROXY header");
}

/** Whether bytes, at least four of them, begin as PROXY headers do, and as nothing else that clients of ours say. */
export function resemblesProxyHeader(bytes: Uint8Array): boolean {
  return bytes.length >= 4 && (beginsLike(bytes, V1_START) || beginsLike(bytes, V2_SIGNATURE));
}

/** A header of version 2. Addresses that are no IP addresses are left out: the sender then speaks for itself. */
export function encodeProxyHeader({ client, server }: ProxiedConnection): Uint8Array {
  const source = parseIpAddress(client.address);
  const destination = parseIpAddress(server.address);
  if (source === undefined || destination === undefined) return v2(V2_LOCAL, UNSPECIFIED);
  // Both are of one family: an IPv4 address has an IPv6 form.
  const isIpv4 = source.family === 4 && destination.family === 4;
  const bytesOf = (address: typeof source) => ipv6BytesOf(address).subarray(isIpv4 ? 12 : 0);
  return v2(V2_PROXY, isIpv4 ? TCP_OVER_IPV4 : TCP_OVER_IPV6, [
    ...bytesOf(source),
    ...bytesOf(destination),
    ...uint16(client.port),
    ...uint16(server.port),
  ]);
}

function decodeV1(bytes: Uint8Array): ProxyHeader | null {
  const start = bytes.subarray(0, V1_MAX_LENGTH);
  const end = start.findIndex((byte) => byte === CR || byte === LF);
  const isEnded = end >= 0 && end < start.length - 1;
  if (isEnded && start[end] === CR && start[end + 1] === LF) {
    return { proxied: connectionOfLine(latin1.decode(start.subarray(0, end))), length: end + 2 };
  }
  // Neither of the two ends the line alone.
  if (isEnded || start[end] === LF) throw malformed("its line does not end in CRLF");
  if (start.length === V1_MAX_LENGTH) throw malformed(`its line is longer than ${V1_MAX_LENGTH} bytes`);
  return null;
}

const latin1 = new TextDecoder("latin1");

function connectionOfLine(line: string): ProxiedConnection | null {
  // What stands behind it is nobody's business.
  if (/^PROXY UNKNOWN(?: |$)/.test(line)) return null;
  const [, family, source, destination, sourcePort, destinationPort] =
    /^PROXY (TCP[46]) ([\da-fA-F:.]+) ([\da-fA-F:.]+) (0|[1-9]\d{0,4}) (0|[1-9]\d{0,4})$/
      .exec(line) ?? [];
  if (family === undefined) throw malformed("its line is none that the specification has");
  const end = (address: string, port: string): PeerAddress => {
    const parsed = parseIpAddress(address);
    const isOfFamily = address.includes(":") === (family === "TCP6");
    if (parsed === undefined || !isOfFamily) throw malformed(`it has an address that is none of ${family}`);
    if (Number(port) > 65535) throw malformed("it has a port over 65535");
    return { address: formatIpAddress(parsed), port: Number(port) };
  };
  return { client: end(source, sourcePort), server: end(destination, destinationPort) };
}

function decodeV2(bytes: Uint8Array): ProxyHeader | null {
  const command = bytes.at(12);
  if (command !== undefined && command !== V2_LOCAL && command !== V2_PROXY) {
    throw malformed("it has an unknown version or command");
  }
  if (bytes.length < V2_FIXED_LENGTH) return null;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const length = V2_FIXED_LENGTH + view.getUint16(14);
  if (length > V2_MAX_LENGTH) throw malformed(`it is longer than ${V2_MAX_LENGTH} bytes`);
  const family = bytes[13];
  // Who speaks for itself may write what it likes behind, and it is passed over.
  const addressLength = command === V2_LOCAL ? 0 : V2_ADDRESS_LENGTHS.get(family);
  if (addressLength === undefined) throw malformed("it has an unknown address family or transport");
  if (length < V2_FIXED_LENGTH + addressLength) throw malformed("it is shorter than its addresses");
  if (bytes.length < length) return null;
  if (command === V2_LOCAL || family === UNSPECIFIED) return { proxied: null, length };
  const flaw = flawOfTail(bytes.subarray(0, length), V2_FIXED_LENGTH + addressLength);
  if (flaw !== null) throw malformed(flaw);
  return { proxied: connectionOfBytes(bytes.subarray(V2_FIXED_LENGTH, length), family), length };
}

function connectionOfBytes(bytes: Uint8Array, family: number): ProxiedConnection | null {
  if (family !== TCP_OVER_IPV4 && family !== TCP_OVER_IPV6) return null;
  const width = family === TCP_OVER_IPV4 ? 4 : 16;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const end = (index: number): PeerAddress => ({
    address: formatIpAddress(ipAddressFrom(bytes.subarray(index * width, (index + 1) * width))),
    port: view.getUint16(2 * width + 2 * index),
  });
  return { client: end(0), server: end(1) };
}

function v2(command: number, family: number, rest: readonly number[] = []): Uint8Array {
  return Uint8Array.of(...V2_SIGNATURE, command, family, ...uint16(rest.length), ...rest);
}

function uint16(value: number): readonly number[] {
  return [value >> 8, value & 0xff];
}

/** As far as both go. */
function beginsLike(bytes: Uint8Array, start: Uint8Array): boolean {
  return start.every((byte, index) => index >= bytes.length || byte === bytes[index]);
}

function malformed(what: string): PgError {
  return protocolViolation(`malformed ${NAME} header: ${what}`);
}
