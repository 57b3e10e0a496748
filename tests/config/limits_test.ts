import assert from "node:assert/strict";
import { loadConfiguration } from "../../lib/config/load.ts";
import { ConfigurationError } from "../../lib/config/problem.ts";
import { outsideOf, PEM, SMALLEST } from "./files.ts";

const PATH = "/etc/proxy/config.toml";

const load = (toml: string) => loadConfiguration(PATH, outsideOf({ "config.toml": toml, ...PEM }));

/** Every line of the error, without the file's name. */
async function mistakesIn(toml: string): Promise<string[]> {
  try {
    await load(toml);
    return [];
  } catch (thrown) {
    assert(thrown instanceof ConfigurationError, String(thrown));
    return thrown.message.split("\n").map((line) => line.replace(`${PATH}:`, ""));
  }
}

/** The smallest configuration with this key of its backend in line 13. */
const withBackend = (line: string) =>
  SMALLEST.replace('orders"\n\n[[rules]]', `orders"\n${line}\n\n[[rules]]`);

/** The smallest configuration, whose last table is a rule, with this key of it in line 18. */
const withRule = (line: string) => `${SMALLEST}${line}\n`;

/** The smallest configuration with this key of `[limits]` in line 19. */
const withLimit = (line: string) => `${SMALLEST}[limits]\n${line}\n`;

Deno.test("loadConfiguration() reads how many connections of a rule and to a backend there may be", async () => {
  const { policy } = await load(withRule("max_connections = 5"));
  assert.equal(policy.rules[0].maxConnections, 5);
  const { backends } = await load(withBackend("max_connections = 90"));
  assert.equal(backends.get("orders")!.maxConnections, 90);
});

Deno.test("loadConfiguration() reads how long sessions may be idle", async () => {
  const { policy } = await load(withRule('idle_timeout = "1h"\nidle_in_transaction_timeout = "5m"'));
  const { idleMs, idleInTransactionMs } = policy.rules[0].lifetime;
  assert.deepEqual({ idleMs, idleInTransactionMs }, { idleMs: 3_600_000, idleInTransactionMs: 300_000 });
});

Deno.test("loadConfiguration() reads how many connections the clients of a network may have", async () => {
  const { limits } = await load(withLimit('connections_per_network = { "10.0.0.0/8" = 100, "::1" = 2 }'));
  assert.deepEqual(limits.connections_per_network.map(({ text, max }) => [text, max]), [
    ["10.0.0.0/8", 100],
    ["::1", 2],
  ]);
});

const MAXIMUM = "must be a whole number from 1 to 1000000; leave it out for no limit";
const COUNT = "must be a whole number from 0 to 1000000; 0 turns the limit off";

Deno.test.each<[string, string, string[]]>([
  ["a rule for nobody", withRule("max_connections = 0"), [`18: rules[0].max_connections ${MAXIMUM}`]],
  ["half of a connection", withBackend("max_connections = 1.5"), [
    `13: backends[0].max_connections ${MAXIMUM}`,
  ]],
  ["a rule without patience", withRule('idle_timeout = "10ms"'), [
    "18: rules[0].idle_timeout must be between 1s and 24d",
  ]],
  ["a timeout that is a number", withRule("idle_in_transaction_timeout = 5"), [
    '18: rules[0].idle_in_transaction_timeout must be a duration in quotes, such as "30s", "5m", "24h" or "500ms"',
  ]],
  ["connections fewer than none", withLimit("connections = -1"), [`19: limits.connections ${COUNT}`]],
  ["a number in quotes", withLimit('unauthenticated = "1000"'), [`19: limits.unauthenticated ${COUNT}`]],
  ["too many", withLimit("unauthenticated_per_address = 1000001"), [
    `19: limits.unauthenticated_per_address ${COUNT}`,
  ]],
  ["a network for nobody", withLimit('connections_per_network = { "10.0.0.0/8" = 0 }'), [
    `19: limits.connections_per_network."10.0.0.0/8" ${MAXIMUM}`,
  ]],
  ["a network that is none", withLimit('connections_per_network = { "ten" = 1, "10.0.0.1/8" = 1 }'), [
    '19: limits.connections_per_network.ten must be an IP address or network, such as "192.0.2.7",' +
    ' "10.0.0.0/8" or "2001:db8::/32"',
    '19: limits.connections_per_network."10.0.0.1/8" names a host inside the network:' +
    " write 0 behind its first 8 bits, or leave out /8",
  ]],
  ["networks that are no table", withLimit("connections_per_network = 100"), [
    '19: limits.connections_per_network must be a table of networks, such as { "10.0.0.0/8" = 100 }',
  ]],
])("loadConfiguration() refuses %s", async (_name, toml, mistakes) => {
  assert.deepEqual((await mistakesIn(toml)).map((line) => line.replace(/^(\d+):\d+:/, "$1:")), mistakes);
});
