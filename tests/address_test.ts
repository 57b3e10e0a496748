import assert from "node:assert/strict";
import { formatAddress, plainAddress } from "../lib/address.ts";

Deno.test.each<[string, number, string]>([
  ["192.0.2.1", 5432, "192.0.2.1:5432"],
  ["2001:db8::1", 5432, "[2001:db8::1]:5432"],
])("formatAddress(%s, %i) is %s", (address, port, expected) => {
  assert.equal(formatAddress(address, port), expected);
});

Deno.test.each<[string, string]>([
  ["::ffff:192.0.2.1", "192.0.2.1"],
  ["::FFFF:192.0.2.1", "192.0.2.1"],
  ["192.0.2.1", "192.0.2.1"],
  ["::ffff:c000:201", "::ffff:c000:201"],
  ["2001:db8::1", "2001:db8::1"],
])("plainAddress(%s) is %s", (address, expected) => {
  assert.equal(plainAddress(address), expected);
});
