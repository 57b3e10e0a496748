import assert from "node:assert/strict";
import { BlockList, isIP } from "node:net";
import fc from "fast-check";
import {
  formatIpAddress,
  ipAddressFrom,
  ipv6BytesOf,
  isWithin,
  parseIpAddress,
  parseNetwork,
} from "../lib/network.ts";
import { Mistake } from "../lib/mistake.ts";

Deno.test.each<[string, string, boolean]>([
  ["10.0.0.0/8", "10.255.0.1", true],
  ["10.0.0.0/8", "11.0.0.0", false],
  ["192.0.2.128/25", "192.0.2.128", true],
  ["192.0.2.128/25", "192.0.2.127", false],
  ["192.0.2.7", "192.0.2.7", true],
  ["192.0.2.7", "192.0.2.8", false],
  ["0.0.0.0/0", "203.0.113.9", true],
  ["0.0.0.0/0", "2001:db8::1", false],
  ["::/0", "2001:db8::1", true],
  ["::/0", "203.0.113.9", false],
  ["2001:db8::/32", "2001:db8:ffff::1", true],
  ["2001:db8::/32", "2001:DB8:0::1", true],
  ["2001:db8::/32", "2001:db9::", false],
  ["::1", "0:0:0:0:0:0:0:1", true],
  ["fe80::/10", "fe80::1%eth0", true],
  ["10.0.0.0/8", "::ffff:10.1.2.3", true],
  ["10.0.0.0/8", "::ffff:a01:203", true],
  ["::ffff:10.0.0.0/104", "10.1.2.3", true],
  ["::ffff:10.0.0.0/104", "11.1.2.3", false],
  ["::ffff:192.0.2.7", "192.0.2.7", true],
  ["64:ff9b::/96", "64:ff9b::192.0.2.1", true],
  ["0.0.0.0/0", "/run/postgresql/.s.PGSQL.5432", false],
  ["0.0.0.0/0", "", false],
])("isWithin() holds of %s and %s: %s", (network, address, expected) => {
  assert.equal(isWithin(address, [parseNetwork(network)]), expected);
});

Deno.test("isWithin() looks at every network", () => {
  const networks = ["192.0.2.0/24", "2001:db8::/32"].map(parseNetwork);
  assert.ok(isWithin("2001:db8::5", networks));
  assert.ok(!isWithin("2001:db8::5", []));
});

Deno.test.each([
  "",
  "/8",
  "10.0.0.0/",
  "10.0.0.0/33",
  "10.0.0.0/08",
  "10.0.0.0/-1",
  "10.0.0.0/8/8",
  "10.0.0/8",
  "10.0.0.0.0",
  "010.0.0.1",
  "256.0.0.1",
  "0x0a.0.0.1",
  "1.2.3.4 ",
  "localhost",
  "::/129",
  ":::",
  "1::2::3",
  "1:2:3:4:5:6:7",
  "1:2:3:4:5:6:7:8:9",
  "1:2:3:4:5:6:7::8",
  "12345::",
  "::g",
  ":1",
  "1:",
  "1.2.3.4::",
  "::1.2.3",
  "[::1]",
  "fe80::1%eth0",
])("parseNetwork(%j) is a mistake", (text) => {
  assert.throws(
    () => parseNetwork(text),
    (error) => error instanceof Mistake && /^must be an IP/.test(error.message),
  );
});

Deno.test.each(["10.1.2.3/8", "10.0.0.1/31", "2001:db8::1/32", "::1/0", "::ffff:10.1.2.3/104"])(
  "parseNetwork(%j) is a mistake: is it the host or the network?",
  (text) => {
    assert.throws(() => parseNetwork(text), { name: "Mistake", message: /^names a host inside the network/ });
  },
);

Deno.test("parseIpAddress() takes what the runtime takes for an address, and nothing else", () => {
  const piece = fc.constantFrom(
    "::",
    ":",
    "0",
    "1",
    "ff",
    "ffff",
    "db8",
    ".",
    "10",
    "255",
    "256",
    "01",
    "1.2.3.4",
  );
  fc.assert(
    fc.property(fc.oneof(fc.ipV4(), fc.ipV6(), fc.array(piece).map((pieces) => pieces.join(""))), (text) => {
      assert.equal(parseIpAddress(text) !== undefined, isIP(text) !== 0, text);
    }),
    { numRuns: 2000 },
  );
});

Deno.test("isWithin() finds in a network what node:net finds in it", () => {
  const ipv4 = fc.tuple(fc.ipV4(), fc.ipV4(), fc.nat(32), fc.constant("ipv4" as const));
  const ipv6 = fc.tuple(fc.ipV6(), fc.ipV6(), fc.nat(128), fc.constant("ipv6" as const));
  fc.assert(fc.property(fc.oneof(ipv4, ipv6), ([base, address, length, family]) => {
    // Another address almost never is in it: the base itself has to do as well.
    for (const candidate of [base, address]) {
      const network = zeroed(base, length);
      const list = new BlockList();
      list.addSubnet(base, length, family);
      assert.equal(
        isWithin(candidate, [network]),
        list.check(candidate, family),
        `${candidate} ${base}/${length}`,
      );
    }
  }));
});

/** The network of so many bits that an address is in. */
function zeroed(text: string, length: number) {
  const { family, value } = parseIpAddress(text)!;
  const hostBits = BigInt(Math.max(0, (family === 4 ? 32 : 128) - length));
  return { family, value: value >> hostBits << hostBits, hostBits };
}

Deno.test.each([
  ["192.0.2.7", "192.0.2.7"],
  ["0.0.0.0", "0.0.0.0"],
  ["::ffff:192.0.2.7", "192.0.2.7"],
  ["2001:0DB8::0001", "2001:db8::1"],
  ["2001:db8:0:0:1:0:0:1", "2001:db8::1:0:0:1"],
  ["2001:0:0:1:0:0:0:1", "2001:0:0:1::1"],
  ["2001:db8:0:1:1:1:1:1", "2001:db8:0:1:1:1:1:1"],
  ["::192.0.2.7", "::c000:207"],
  ["0:0:0:0:0:0:0:0", "::"],
  ["0:0:0:0:0:0:0:1", "::1"],
  ["1:0:0:0:0:0:0:0", "1::"],
])("formatIpAddress() writes %s as %s", (written, expected) => {
  assert.equal(formatIpAddress(parseIpAddress(written)!), expected);
});

Deno.test("formatIpAddress() gives one text for one address", () => {
  fc.assert(fc.property(fc.oneof(fc.ipV4(), fc.ipV6()), (written) => {
    const address = parseIpAddress(written)!;
    assert.deepEqual(parseIpAddress(formatIpAddress(address)), address);
    assert.equal(formatIpAddress(parseIpAddress(written.toUpperCase())!), formatIpAddress(address));
  }));
});

Deno.test("ipAddressFrom() reads the bytes that ipv6BytesOf() gives", () => {
  fc.assert(fc.property(fc.oneof(fc.ipV4(), fc.ipV6()), (written) => {
    const address = parseIpAddress(written)!;
    assert.deepEqual(ipAddressFrom(ipv6BytesOf(address)), address);
  }));
});
