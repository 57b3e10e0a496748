import * as v from "valibot";
import { Mistake, parsedBy } from "./mistake.ts";

/** An IP address as a number. */
export interface IpAddress {
  readonly family: 4 | 6;
  readonly value: bigint;
}

/** All addresses that begin with the same bits. */
export interface Network extends IpAddress {
  /** How many bits at the end may be anything. */
  readonly hostBits: bigint;
}

/** What {@link parseNetwork} reads, for messages. */
export const NETWORK_MESSAGE =
  'must be an IP address or network, such as "192.0.2.7", "10.0.0.0/8" or "2001:db8::/32"';

/**
 * Reads `10.0.0.0/8`, `2001:db8::/32` or a single address.
 *
 * @throws {Mistake} when it is none, or names a host and a network at once, as `10.1.2.3/8` does
 */
export function parseNetwork(text: string): Network {
  const [, addressText = "", lengthText] = /^([^/]+)(?:\/(0|[1-9]\d{0,2}))?$/.exec(text) ?? [];
  const bytes = bytesOf(addressText);
  if (bytes === undefined) throw new Mistake(NETWORK_MESSAGE);
  const bits = bytes.length * 8;
  const length = lengthText === undefined ? bits : Number(lengthText);
  if (length > bits) throw new Mistake(NETWORK_MESSAGE);
  const isMapped = isIpv4Mapped(bytes) && length >= MAPPED_BITS;
  const { family, value } = isMapped ? addressOf(bytes) : { family: familyOf(bytes), value: numberOf(bytes) };
  const hostBits = BigInt(bits - length);
  // Whoever wrote it may have meant the one host, and would let in or keep out many more.
  if (BigInt.asUintN(Number(hostBits), value) !== 0n) {
    throw new Mistake(
      `names a host inside the network: write 0 behind its first ${length} bits, or leave out /${length}`,
    );
  }
  return { family, value, hostBits };
}

/** An array of networks in the configuration. */
export const networks = v.array(
  v.pipe(v.string("must be text in quotes"), parsedBy(parseNetwork)),
  "must be an array of networks",
);

/** Reads an IP address; an IPv4 client of an IPv6 listener (`::ffff:192.0.2.1`) has its IPv4 address. */
export function parseIpAddress(text: string): IpAddress | undefined {
  // A link-local address names the interface it was reached by: fe80::1%eth0.
  const bytes = bytesOf(text.replace(/(?<=:.*)%.*$/, ""));
  return bytes === undefined ? undefined : addressOf(bytes);
}

/** The address of four bytes or sixteen, in network byte order; of an IPv4 address in IPv6 form, the IPv4 address. */
export function ipAddressFrom(bytes: Uint8Array): IpAddress {
  return addressOf([...bytes]);
}

/** The sixteen bytes of an address in network byte order: of an IPv4 address, in its IPv6 form (`::ffff:192.0.2.1`). */
export function ipv6BytesOf({ family, value }: IpAddress): Uint8Array {
  const bytes = new Uint8Array(16);
  const view = new DataView(bytes.buffer);
  const whole = family === 6 ? value : 0xffff_0000_0000n | value;
  view.setBigUint64(0, whole >> 64n);
  view.setBigUint64(8, BigInt.asUintN(64, whole));
  return bytes;
}

/**
 * An address in the one form it is written in here, as by the runtime: two texts are the same address only if they are equal.
 *
 * @see RFC 5952 section 4
 */
export function formatIpAddress(address: IpAddress): string {
  const bytes = ipv6BytesOf(address);
  if (address.family === 4) return bytes.slice(12).join(".");
  const groups = bytes.toHex().match(/.{4}/g)!;
  // URLs have IPv6 addresses in the same form, and the runtime makes it.
  return new URL(`http://[${groups.join(":")}]`).hostname.slice(1, -1);
}

/** Whether an address is in one of the networks; what is no IP address, as the path of a Unix socket, is in none. */
export function isWithin(address: string, networks: readonly Network[]): boolean {
  const parsed = parseIpAddress(address);
  if (parsed === undefined) return false;
  return networks.some(({ family, value, hostBits }) =>
    family === parsed.family && value >> hostBits === parsed.value >> hostBits
  );
}

const MAPPED_BITS = 96;

function isIpv4Mapped(bytes: readonly number[]): boolean {
  return bytes.length === 16 && bytes.slice(0, 12).every((byte, index) => byte === (index < 10 ? 0 : 0xff));
}

function addressOf(bytes: readonly number[]): IpAddress {
  const own = isIpv4Mapped(bytes) ? bytes.slice(12) : bytes;
  return { family: familyOf(own), value: numberOf(own) };
}

function familyOf(bytes: readonly number[]): 4 | 6 {
  return bytes.length === 4 ? 4 : 6;
}

function numberOf(bytes: readonly number[]): bigint {
  return bytes.reduce((number, byte) => number << 8n | BigInt(byte), 0n);
}

/** Four bytes or sixteen, in network byte order. */
function bytesOf(text: string): readonly number[] | undefined {
  return text.includes(":") ? ipv6Bytes(text) : ipv4Bytes(text);
}

/** Without leading zeros: some programs read them as octal, and 010.0.0.1 is another host there. */
function ipv4Bytes(text: string): readonly number[] | undefined {
  const parts = text.split(".");
  const isWritten = parts.length === 4 && parts.every((part) => /^(0|[1-9]\d{0,2})$/.test(part));
  const bytes = parts.map(Number);
  return isWritten && bytes.every((byte) => byte <= 255) ? bytes : undefined;
}

/** @see https://www.rfc-editor.org/rfc/rfc4291#section-2.2 */
function ipv6Bytes(text: string): readonly number[] | undefined {
  const halves = text.split("::");
  if (halves.length > 2) return undefined;
  const [before, after] = halves.map((half, index) =>
    groupBytes(half, { isLast: index === halves.length - 1 })
  );
  if (before === undefined) return undefined;
  if (halves.length === 1) return before.length === 16 ? before : undefined;
  // "::" stands for at least one group.
  if (after === undefined || before.length + after.length > 14) return undefined;
  return [...before, ...new Array<number>(16 - before.length - after.length).fill(0), ...after];
}

/** The bytes of groups between colons, the last of which may be an IPv4 address at the end of the text. */
function groupBytes(text: string, { isLast }: { isLast: boolean }): readonly number[] | undefined {
  if (text === "") return [];
  const groups = text.split(":");
  const bytes: number[] = [];
  for (const [index, group] of groups.entries()) {
    if (/^[\da-f]{1,4}$/i.test(group)) {
      const number = parseInt(group, 16);
      bytes.push(number >> 8, number & 0xff);
      continue;
    }
    const ipv4 = isLast && index === groups.length - 1 ? ipv4Bytes(group) : undefined;
    if (ipv4 === undefined) return undefined;
    bytes.push(...ipv4);
  }
  return bytes;
}
