import assert from "node:assert/strict";
import { loadConfiguration } from "../../lib/config/load.ts";
import { ConfigurationError } from "../../lib/config/problem.ts";
import { parseNetwork } from "../../lib/network.ts";
import { outsideOf, PEM, SMALLEST } from "./files.ts";

const PATH = "/etc/proxy/config.toml";
const NO_NETWORK = 'must be an IP address or network, such as "192.0.2.7", "10.0.0.0/8" or "2001:db8::/32"';

/** The smallest configuration with a line behind `[listen]`, the backend's URL and the rule's issuer each. */
function withLines({ listen = "", backend = "", rule = "" }): string {
  return SMALLEST.replace("[listen]\n", `[listen]\n${listen}\n`)
    .replace('/orders"\n', `/orders"\n${backend}\n`)
    .replace('issuer = "corp"\n', `issuer = "corp"\n${rule}\n`);
}

const load = (toml: string) => loadConfiguration(PATH, outsideOf({ "config.toml": toml, ...PEM }));

Deno.test("loadConfiguration() reads who sends PROXY headers, who gets them, and where a rule is for", async () => {
  const { listen, backends, policy } = await load(withLines({
    listen: 'proxy_protocol = ["10.0.0.5"]',
    backend: "send_proxy_protocol = true",
    rule: 'networks = ["10.0.0.0/8", "::1"]',
  }));
  assert.deepEqual(listen.proxy_protocol, [parseNetwork("10.0.0.5")]);
  assert.equal(backends.get("orders")?.sendsProxyHeader, true);
  assert.deepEqual(policy.rules[0].networks, ["10.0.0.0/8", "::1"].map(parseNetwork));
});

Deno.test("loadConfiguration() without a word of it has no balancers, no headers for backends and rules for anywhere", async () => {
  const { listen, backends, policy } = await load(SMALLEST);
  assert.deepEqual(listen.proxy_protocol, []);
  assert.equal(backends.get("orders")?.sendsProxyHeader, false);
  assert.equal(policy.rules[0].networks, undefined);
});

Deno.test.each<[Parameters<typeof withLines>[0], string]>([
  [{ listen: 'proxy_protocol = "10.0.0.5"' }, "2: listen.proxy_protocol must be an array of networks"],
  [{ listen: 'proxy_protocol = ["10.0.0.0/33"]' }, `2: listen.proxy_protocol[0] ${NO_NETWORK}`],
  [
    { listen: 'proxy_protocol = ["::1", "10.0.0.5/8"]' },
    "2: listen.proxy_protocol[1] names a host inside the network: write 0 behind its first 8 bits, or leave out /8",
  ],
  [{ backend: 'send_proxy_protocol = "v2"' }, "14: backends[0].send_proxy_protocol must be true or false"],
  [{ rule: 'networks = "10.0.0.0/8"' }, "18: rules[0].networks must be an array of networks"],
  [{ rule: 'networks = ["office"]' }, `18: rules[0].networks[0] ${NO_NETWORK}`],
  [
    { rule: "networks = []" },
    "18: rules[0].networks must hold at least one network; leave it out for any",
  ],
])("loadConfiguration() refuses %o", async (lines, mistake) => {
  await assert.rejects(load(withLines(lines)), (thrown) => {
    assert(thrown instanceof ConfigurationError);
    assert.deepEqual(thrown.message.split("\n").map((line) => line.replace(`${PATH}:`, "")), [mistake]);
    return true;
  });
});
