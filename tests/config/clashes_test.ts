import assert from "node:assert/strict";
import { loadConfiguration } from "../../lib/config/load.ts";
import { ConfigurationError } from "../../lib/config/problem.ts";
import { outsideOf, PEM, SMALLEST } from "./files.ts";

const PATH = "/etc/proxy/config.toml";

/** Every line of the error, without the file's name; the smallest configuration has 17 lines. */
async function mistakesIn(toml: string): Promise<string[]> {
  try {
    await loadConfiguration(PATH, outsideOf({ "config.toml": toml, ...PEM }));
    return [];
  } catch (thrown) {
    assert(thrown instanceof ConfigurationError, String(thrown));
    return thrown.message.split("\n").map((line) => line.replace(`${PATH}:`, ""));
  }
}

const listening = (address: string) => SMALLEST.replace("[listen]", `[listen]\naddress = ${address}`);

Deno.test.each<[string, string, string[]]>([
  [
    "the audit trail in the log",
    `${SMALLEST}[log]\nfile = "proxy.log"\n[audit]\nfile = "../proxy/proxy.log"\n`,
    ["21: audit.file names ../proxy/proxy.log, which is log.file too: give the audit trail a file of its own"],
  ],
  [
    "the audit trail in the certificate",
    `${SMALLEST}[audit]\nfile = "server.crt"\n`,
    ["19: audit.file names server.crt, which the configuration is read from: choose another file"],
  ],
  [
    "the log in the configuration",
    `${SMALLEST}[log]\nfile = "config.toml"\n`,
    ["19: log.file names config.toml, which the configuration is read from: choose another file"],
  ],
  [
    "an address twice",
    listening('["127.0.0.1:6432", "[::1]:6432", "127.0.0.1:6432"]'),
    ["2: listen.address[2] is there twice: remove one"],
  ],
  [
    "one address for clients and metrics",
    `${listening('["[::1]:6432", "127.0.0.1:6432"]')}[admin]\naddress = "127.0.0.1:6432"\n`,
    ["20: admin.address is in listen.address too: choose another port"],
  ],
])("loadConfiguration() refuses %s", async (_what, toml, mistakes) => {
  assert.deepEqual(await mistakesIn(toml), mistakes);
});

Deno.test.each<[string, string]>([
  ["a log and an audit trail", `${SMALLEST}[log]\nfile = "proxy.log"\n[audit]\nfile = "audit.jsonl"\n`],
  [
    "ports that the system chooses",
    `${listening('["127.0.0.1:0", "127.0.0.1:0"]')}[admin]\naddress = "127.0.0.1:0"\n`,
  ],
  ["one port of two addresses", `${listening('"127.0.0.2:6432"')}[admin]\naddress = "127.0.0.1:6432"\n`],
])("loadConfiguration() takes %s", async (_what, toml) => {
  assert.deepEqual(await mistakesIn(toml), []);
});
