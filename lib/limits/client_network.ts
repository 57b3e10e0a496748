import { parseIpAddress } from "../network.ts";

/**
 * What counts as one address: an IPv6 address by its /64, because whoever has one address of it has them all.
 *
 * Whole are those that many hosts have in one /64: link-local ones, and all that begin with binary 000, which stand for
 * IPv4 addresses behind NAT64 or for this machine.
 *
 * @see https://www.rfc-editor.org/rfc/rfc4291#section-2.5.4
 */
export function clientNetwork(address: string): string {
  const parsed = parseIpAddress(address);
  if (parsed === undefined) return address;
  const { family, value } = parsed;
  const isWhole = family === 4 || value >> 125n === 0n || value >> 118n === LINK_LOCAL;
  return isWhole ? `${family}:${value.toString(16)}` : `${family}:${(value >> 64n).toString(16)}/64`;
}

/** The first ten bits of fe80::/10. */
const LINK_LOCAL = 0xfe80n >> 6n;
