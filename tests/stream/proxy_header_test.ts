import assert from "node:assert/strict";
import fc from "fast-check";
import { PgError } from "../../lib/errors.ts";
import { formatIpAddress, parseIpAddress } from "../../lib/network.ts";
import {
  decodeProxyHeader,
  encodeProxyHeader,
  type ProxiedConnection,
  resemblesProxyHeader,
} from "../../lib/stream/proxy_header.ts";
import { concat, int16, text } from "../support/raw_messages.ts";

const SIGNATURE = [0x0d, 0x0a, 0x0d, 0x0a, 0x00, 0x0d, 0x0a, 0x51, 0x55, 0x49, 0x54, 0x0a];

/** The example of the specification, over IPv4. */
const IPV4: ProxiedConnection = {
  client: { address: "192.168.0.1", port: 56324 },
  server: { address: "192.168.0.11", port: 443 },
};
const IPV6: ProxiedConnection = {
  client: { address: "2001:db8::1", port: 50000 },
  server: { address: "2001:db8::2", port: 6432 },
};

// deno-fmt-ignore
const IPV4_BYTES = Uint8Array.of(
  ...SIGNATURE,
  0x21, // version 2, PROXY
  0x11, // TCP over IPv4
  0x00, 0x0c, // 12 bytes follow
  192, 168, 0, 1, // source address
  192, 168, 0, 11, // destination address
  0xdc, 0x04, // source port 56324
  0x01, 0xbb, // destination port 443
);

// deno-fmt-ignore
const IPV6_BYTES = Uint8Array.of(
  ...SIGNATURE,
  0x21, // version 2, PROXY
  0x21, // TCP over IPv6
  0x00, 0x24, // 36 bytes follow
  0x20, 0x01, 0x0d, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, // source address
  0x20, 0x01, 0x0d, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2, // destination address
  0xc3, 0x50, // source port 50000
  0x19, 0x20, // destination port 6432
);

/** What HAProxy 2.6 has sent with `send-proxy-v2 proxy-v2-options crc32c`, from 127.0.0.1:49098 to 127.0.0.1:20831. */
const OF_HAPROXY = Uint8Array.fromHex(
  "0d0a0d0a000d0a515549540a" + "21110013" + "7f0000017f000001bfca515f" + "03000413e21f24",
);

const LONGEST_V1 = `PROXY UNKNOWN ${"ffff:".repeat(7)}ffff ${"ffff:".repeat(7)}ffff 65535 65535\r\n`;

/** A header of version 2 with a length of its own choosing. */
function v2(command: number, family: number, rest: readonly number[] = [], length = rest.length): Uint8Array {
  return Uint8Array.of(...SIGNATURE, command, family, ...int16(length), ...rest);
}

const zeros = (length: number) => new Array<number>(length).fill(0);

Deno.test("encodeProxyHeader() writes IPv4 and IPv6 as the specification lays them out", () => {
  assert.deepEqual(encodeProxyHeader(IPV4), IPV4_BYTES);
  assert.deepEqual(encodeProxyHeader(IPV6), IPV6_BYTES);
});

Deno.test("encodeProxyHeader() writes both ends in IPv6 where one of them is", () => {
  const bytes = encodeProxyHeader({ client: IPV4.client, server: IPV6.server });
  assert.equal(bytes.toHex().slice(24, 32), "21210024");
  assert.equal(bytes.toHex().slice(32, 64), "00000000000000000000ffffc0a80001");
  assert.deepEqual(decodeProxyHeader(bytes)?.proxied, { client: IPV4.client, server: IPV6.server });
});

Deno.test("encodeProxyHeader() speaks for itself where an end has no IP address", () => {
  const client = { address: "/run/postgresql/.s.PGSQL.5432", port: 0 };
  assert.deepEqual(encodeProxyHeader({ ...IPV4, client }), v2(0x20, 0x00));
});

Deno.test.each<[string, Uint8Array, ProxiedConnection | null]>([
  ["TCP4", text("PROXY TCP4 192.168.0.1 192.168.0.11 56324 443\r\n"), IPV4],
  ["TCP6", text("PROXY TCP6 2001:db8::1 2001:db8::2 50000 6432\r\n"), IPV6],
  ["TCP6 in another spelling", text("PROXY TCP6 2001:DB8:0:0::0001 2001:db8::0.0.0.2 50000 6432\r\n"), IPV6],
  ["TCP6 of IPv4 clients", text("PROXY TCP6 ::ffff:192.168.0.1 ::ffff:c0a8:b 56324 443\r\n"), IPV4],
  ["UNKNOWN", text("PROXY UNKNOWN\r\n"), null],
  ["UNKNOWN with anything behind", text("PROXY UNKNOWN what\0ever \xff\r\n"), null],
  ["UNKNOWN of 107 bytes", text(LONGEST_V1), null],
  ["version 2 over IPv4", IPV4_BYTES, IPV4],
  ["version 2 over IPv6", IPV6_BYTES, IPV6],
  ["LOCAL", v2(0x20, 0x00), null],
  ["LOCAL with addresses", v2(0x20, 0x11, [...IPV4_BYTES.subarray(16)]), null],
  ["LOCAL with anything", v2(0x20, 0xff, [1, 2, 3]), null],
  ["PROXY of an unspecified family", v2(0x21, 0x00, [9, 9]), null],
  ["PROXY over UDP", v2(0x21, 0x12, zeros(12)), null],
  ["PROXY over a Unix socket", v2(0x21, 0x31, zeros(216)), null],
  ["PROXY with more behind", v2(0x21, 0x11, [...IPV4_BYTES.subarray(16), 4, 0, 1, 0, 0xe0, 0, 0]), IPV4],
])("decodeProxyHeader() reads %s, whole and in pieces", (_name, bytes, proxied) => {
  const header = { proxied, length: bytes.length };
  assert.deepEqual(decodeProxyHeader(bytes), header);
  assert.deepEqual(decodeProxyHeader(concat(bytes, text("PROXY what the client says"))), header);
  for (let length = 0; length < bytes.length; length++) {
    assert.equal(decodeProxyHeader(bytes.subarray(0, length)), null);
  }
});

Deno.test.each<[string, string | Uint8Array, RegExp]>([
  ["an SSLRequest", Uint8Array.of(0, 0, 0, 8, 4, 210, 22, 47), /^expected a PROXY header$/],
  ["a ClientHello", Uint8Array.of(0x16, 3, 1), /^expected/],
  ["another word", "PROX\r\n", /^expected/],
  ["the word alone", "PROXY\r\n", /^expected/],
  ["small letters", "proxy TCP4 192.0.2.1 192.0.2.2 1 2\r\n", /^expected/],
  ["another signature", Uint8Array.of(...SIGNATURE.slice(0, 11), 0x0b), /^expected/],
  ["W15 a line of 108 bytes", LONGEST_V1.replace("\r\n", "0\r\n"), /longer than 107 bytes/],
  ["W15 107 bytes without an end", `PROXY ${"x".repeat(101)}`, /longer than 107 bytes/],
  ["CR alone", "PROXY UNKNOWN\rx", /CRLF/],
  ["LF alone", "PROXY UNKNOWN\n", /CRLF/],
  ["CR twice", "PROXY UNKNOWN\r\r\n", /CRLF/],
  ["an unknown family", "PROXY TCP5 192.0.2.1 192.0.2.2 1 2\r\n", /none that/],
  ["UDP", "PROXY UDP4 192.0.2.1 192.0.2.2 1 2\r\n", /none that/],
  ["UNKNOWN run together", "PROXY UNKNOWNS\r\n", /none that/],
  ["two spaces", "PROXY TCP4 192.0.2.1  192.0.2.2 1 2\r\n", /none that/],
  ["a space at the end", "PROXY TCP4 192.0.2.1 192.0.2.2 1 2 \r\n", /none that/],
  ["a field too few", "PROXY TCP4 192.0.2.1 192.0.2.2 1\r\n", /none that/],
  ["a field too many", "PROXY TCP4 192.0.2.1 192.0.2.2 1 2 3\r\n", /none that/],
  ["a port with a zero in front", "PROXY TCP4 192.0.2.1 192.0.2.2 01 2\r\n", /none that/],
  ["a port with a sign", "PROXY TCP4 192.0.2.1 192.0.2.2 +1 2\r\n", /none that/],
  ["a port over 65535", "PROXY TCP4 192.0.2.1 192.0.2.2 1 65536\r\n", /port over 65535/],
  ["an octal address", "PROXY TCP4 192.0.2.01 192.0.2.2 1 2\r\n", /none of TCP4/],
  ["IPv6 as TCP4", "PROXY TCP4 ::1 ::1 1 2\r\n", /none of TCP4/],
  ["IPv4 as TCP6", "PROXY TCP6 192.0.2.1 192.0.2.2 1 2\r\n", /none of TCP6/],
  ["a zone", "PROXY TCP6 fe80::1%eth0 fe80::2 1 2\r\n", /none that/],
  ["a name", "PROXY TCP4 localhost 192.0.2.2 1 2\r\n", /none that/],
  ["a word behind letters that are none of ours", "PROXY \u0422CP4 192.0.2.1 192.0.2.2 1 2\r\n", /none that/],
  ["version 1 in binary", v2(0x11, 0x11, zeros(12)), /unknown version or command/],
  ["version 3", v2(0x31, 0x11, zeros(12)), /unknown version or command/],
  ["command 2", v2(0x22, 0x11, zeros(12)), /unknown version or command/],
  ["an unknown address family", v2(0x21, 0x41, zeros(12)), /unknown address family/],
  ["an unknown transport", v2(0x21, 0x13, zeros(12)), /unknown address family/],
  ["a family without a transport", v2(0x21, 0x10, zeros(12)), /unknown address family/],
  ["W15 a length below its addresses", v2(0x21, 0x11, zeros(12), 11), /shorter than its addresses/],
  ["W15 IPv6 with the length of IPv4", v2(0x21, 0x21, zeros(36), 12), /shorter than its addresses/],
  ["W15 a length of 65535", v2(0x21, 0x11, zeros(12), 65535), /longer than 4096 bytes/],
  ["W15 a length of 4097 in all", v2(0x20, 0x00, [], 4081), /longer than 4096 bytes/],
  ["W15 half a type and length", v2(0x21, 0x11, [...zeros(12), 4, 0]), /ends within/],
  ["W15 a value that ends behind it", v2(0x21, 0x11, [...zeros(12), 4, 0, 2, 0]), /ends within/],
  ["a wrong checksum", v2(0x21, 0x11, [...zeros(12), 3, 0, 4, 1, 2, 3, 4]), /checksum is wrong/],
  ["half a checksum", v2(0x21, 0x11, [...zeros(12), 3, 0, 2, 0, 0]), /checksum is wrong/],
])("decodeProxyHeader() refuses %s", (_name, written, message) => {
  const bytes = typeof written === "string" ? text(written) : written;
  assert.throws(() => decodeProxyHeader(bytes), { name: "PgError", sqlstate: "08P01", message });
});

Deno.test("decodeProxyHeader() refuses as early as it can, so that nobody waits for what will not come", () => {
  assert.throws(() => decodeProxyHeader(text("PRY")), isViolation);
  assert.throws(() => decodeProxyHeader(v2(0x22, 0).subarray(0, 13)), isViolation);
  assert.throws(() => decodeProxyHeader(v2(0x21, 0x41, [], 12)), isViolation);
  assert.throws(() => decodeProxyHeader(v2(0x21, 0x11, [], 65535)), isViolation);
});

Deno.test("decodeProxyHeader() takes a checksum that is right, and none that is not", () => {
  assert.deepEqual(decodeProxyHeader(OF_HAPROXY)?.proxied, {
    client: { address: "127.0.0.1", port: 49098 },
    server: { address: "127.0.0.1", port: 20831 },
  });
  for (let at = 16; at < OF_HAPROXY.length; at++) {
    if (at === 28) continue; // the type: of another there is nothing to check
    const changed = OF_HAPROXY.slice();
    changed[at] ^= 0x40;
    assert.throws(() => decodeProxyHeader(changed), isViolation);
  }
});

Deno.test("decodeProxyHeader() reads what encodeProxyHeader() writes", () => {
  fc.assert(fc.property(connections(), (connection) => {
    const bytes = encodeProxyHeader(connection);
    assert.deepEqual(decodeProxyHeader(bytes), { proxied: connection, length: bytes.length });
  }));
});

Deno.test("decodeProxyHeader() reads any line of version 1, whole only", () => {
  fc.assert(fc.property(connections(), fc.nat(), ({ client, server }, at) => {
    const isIpv4 = [client, server].every(({ address }) => !address.includes(":"));
    const written = ({ address }: typeof client) =>
      isIpv4 || address.includes(":") ? address : `::ffff:${address}`;
    const family = isIpv4 ? "TCP4" : "TCP6";
    const line = `PROXY ${family} ${written(client)} ${written(server)} ${client.port} ${server.port}\r\n`;
    assert.deepEqual(decodeProxyHeader(text(line))?.proxied, { client, server });
    assert.equal(decodeProxyHeader(text(line.slice(0, at % line.length))), null);
  }));
});

Deno.test("decodeProxyHeader() of random bytes is a header, none yet, or a protocol violation", () => {
  const starts = fc.constantFrom(text(""), text("PROXY "), text("PROXY TCP4 "), Uint8Array.from(SIGNATURE));
  const anyBytes = fc.uint8Array({ maxLength: 300 });
  fc.assert(
    fc.property(starts, anyBytes, (start, rest) => assertHeaderOrViolation(concat(start, rest))),
    { numRuns: 2000 },
  );
});

Deno.test("decodeProxyHeader() with one byte changed is a header, none yet, or a protocol violation", () => {
  const headers = fc.constantFrom(IPV4_BYTES, IPV6_BYTES, OF_HAPROXY, text(LONGEST_V1));
  fc.assert(fc.property(headers, fc.nat(), fc.nat({ max: 255 }), (bytes, at, byte) => {
    const changed = bytes.slice();
    changed[at % bytes.length] = byte;
    assertHeaderOrViolation(changed);
  }));
});

Deno.test.each<[boolean, string, Uint8Array]>([
  [true, "a header of version 1", text("PROXY TCP4 192.0.2.1 192.0.2.2 1 2\r\n")],
  [true, "its first four bytes", text("PROX")],
  [true, "a header of version 2", IPV4_BYTES],
  [true, "the first four bytes of that", IPV4_BYTES.subarray(0, 4)],
  [false, "three bytes", text("PRO")],
  [false, "an HTTP request", text("PUT / HTTP/1.1\r\n")],
  [false, "an SSLRequest", Uint8Array.of(0, 0, 0, 8, 4, 210, 22, 47)],
])("resemblesProxyHeader() is %s of %s", (expected, _name, bytes) => {
  assert.equal(resemblesProxyHeader(bytes), expected);
});

function assertHeaderOrViolation(bytes: Uint8Array): void {
  let header: ReturnType<typeof decodeProxyHeader>;
  try {
    header = decodeProxyHeader(bytes);
  } catch (error) {
    assert.ok(isViolation(error), String(error));
    return;
  }
  if (header === null) return;
  assert.ok(header.length > 0 && header.length <= bytes.length);
  if (header.proxied === null) return;
  const again = decodeProxyHeader(encodeProxyHeader(header.proxied));
  assert.deepEqual(again?.proxied, header.proxied);
}

function isViolation(error: unknown): boolean {
  return error instanceof PgError && error.sqlstate === "08P01";
}

/** Ends of any connection, each written as it would be here. */
function connections(): fc.Arbitrary<ProxiedConnection> {
  const address = fc.oneof(fc.ipV4(), fc.ipV6()).map((address) => formatIpAddress(parseIpAddress(address)!));
  const end = fc.record({ address, port: fc.nat({ max: 65535 }) }, { noNullPrototype: true });
  return fc.record({ client: end, server: end }, { noNullPrototype: true });
}
