import assert from "node:assert/strict";
import { clientNetwork } from "../../lib/limits/client_network.ts";

Deno.test.each<[name: string, one: string, other: string]>([
  ["the hosts of an IPv6 /64", "2001:db8:1:2::1", "2001:db8:1:2:ffff:ffff:ffff:ffff"],
  ["an IPv6 address, however it is written", "2001:DB8::1", "2001:0db8:0:0:0:0:0:1"],
  ["an IPv4 client of an IPv6 listener and of an IPv4 one", "::ffff:192.0.2.1", "192.0.2.1"],
])("clientNetwork() counts as one %s", (_name, one, other) => {
  assert.equal(clientNetwork(one), clientNetwork(other));
});

Deno.test.each<[name: string, one: string, other: string]>([
  ["two IPv4 addresses", "192.0.2.1", "192.0.2.2"],
  ["two IPv6 /64", "2001:db8:1:2::1", "2001:db8:1:3::1"],
  ["hosts of one link", "fe80::1%eth0", "fe80::2%eth0"],
  ["IPv4 hosts behind NAT64", "64:ff9b::192.0.2.1", "64:ff9b::192.0.2.2"],
  ["this machine and an IPv4 client of an IPv6 listener", "::1", "::ffff:0.0.0.1"],
  ["an IPv4 address and an IPv6 network of the same number", "0.0.0.1", "0:0:0:1::"],
  ["two Unix sockets", "/run/a", "/run/b"],
])("clientNetwork() tells apart %s", (_name, one, other) => {
  assert.notEqual(clientNetwork(one), clientNetwork(other));
});
