import assert from "node:assert/strict";
import type { Configuration } from "../../lib/config/configuration.ts";
import type { Flags } from "../../lib/config/flags.ts";
import { loadConfiguration } from "../../lib/config/load.ts";
import { ConfigurationError } from "../../lib/config/problem.ts";
import { outsideOf, PEM, SMALLEST } from "./files.ts";

const PATH = "/etc/proxy/config.toml";

/** What is enough without a file. */
const ALONE: Flags = {
  backends: "/etc/proxy/backends.json",
  oidcDiscovery: "https://login.example.com/.well-known/openid-configuration",
  audience: ["proxy"],
  bindCert: "/etc/proxy/server.crt",
  bindKey: "/etc/proxy/server.key",
};

const BACKENDS = `{
  "42": "postgres://numbers@db1/orders",
  "/(.*)@example\\\\.com/": "postgres://\\\\1@db1/orders",
  "/^(?P<first>[a-z]+)$": "postgres://\\\\{first}@db2",
  "7": "postgres://seven@db3"
}`;

interface Given {
  /** Undefined: the flags alone. */
  readonly toml?: string;
  readonly flags: Flags;
  readonly backends?: string;
}

function load({ toml, flags, backends = BACKENDS }: Given): Promise<Configuration> {
  const files = { ...PEM, "key.pem": "", "backends.json": backends, ...(toml && { "config.toml": toml }) };
  return loadConfiguration({ path: toml === undefined ? undefined : PATH, flags }, outsideOf(files));
}

async function mistakesIn(given: Given): Promise<readonly string[]> {
  try {
    await load(given);
    return [];
  } catch (thrown) {
    assert(thrown instanceof ConfigurationError, String(thrown));
    return thrown.message.split("\n");
  }
}

Deno.test.each<[string, Flags, (configuration: Configuration) => unknown, unknown]>([
  ["--bindAddr", { bindAddr: "127.0.0.2:7" }, ({ listen }) => listen.address, { host: "127.0.0.2", port: 7 }],
  ["--bindAddr", { bindAddr: ":7" }, ({ listen }) => listen.address, { host: "::", port: 7 }],
  ["--bindAddr", { bindAddr: "localhost:7" }, ({ listen }) => listen.address, { host: "127.0.0.1", port: 7 }],
  [
    "--bindCert",
    { bindCert: "/etc/proxy/server.crt" },
    ({ listen }) => listen.certificate,
    "/etc/proxy/server.crt",
  ],
  [
    "--bindKey",
    { bindKey: "/etc/proxy/server.key" },
    ({ listen }) => listen.private_key,
    "/etc/proxy/server.key",
  ],
  ["--insecure", { insecure: true }, ({ listen }) => listen.insecure_plaintext, true],
  ["--gracePeriod", { gracePeriod: 5_400_000 }, ({ service }) => service.grace_period, 5_400_000],
  ["--refresh", { refresh: 0 }, ({ service }) => service.refresh, 0],
  ["--metricsAddr", { metricsAddr: "127.0.0.1:1" }, ({ admin }) => admin.address, {
    host: "127.0.0.1",
    port: 1,
  }],
  ["--logDestination", { logDestination: "/var/log/p" }, ({ log }) => log.file, "/var/log/p"],
  ["--logFormat", { logFormat: "fluent" }, ({ log }) => log.format, "fluent"],
  ["--verbose", { verbose: 1 }, ({ log }) => log.level, "debug"],
  ["--verbose twice", { verbose: 2 }, ({ log }) => log.level, "trace"],
  ["--jwtField", { jwtField: "a.b" }, ({ policy }) => policy.rules[0].claim.segments, ["a", "b"]],
  [
    "--reportRemoteAddr",
    { reportRemoteAddr: true },
    ({ backends }) => backends.get("orders")?.reportsRemoteAddress,
    true,
  ],
  ["--audience", { audience: ["a", "b"] }, ({ issuers }) => issuers[0].audience, ["a", "b"]],
  ["--issuer", { issuer: "https://other.example" }, ({ issuers }) => issuers[0].url, "https://other.example"],
  [
    "--oidcDiscovery",
    { oidcDiscovery: "https://other.example/.well-known/openid-configuration" },
    ({ issuers }) => issuers[0].url,
    "https://other.example",
  ],
  [
    "--signingKeys",
    { signingKeys: ["/etc/proxy/key.pem"] },
    ({ issuers: [{ url, signing_keys, issuer }] }) => ({ url, signing_keys, issuer }),
    { url: undefined, signing_keys: ["/etc/proxy/key.pem"], issuer: "https://login.example.com" },
  ],
  [
    "--backends",
    { backends: "/etc/proxy/backends.json" },
    ({ policy }) => policy.rules.map(({ issuer, name }) => [issuer, name]),
    [["corp", "42"], ["corp", "/(.*)@example\\.com/"], ["corp", "/^(?P<first>[a-z]+)$"], ["corp", "7"]],
  ],
])("%s goes before what the file says: %j", async (_flag, flags, read, expected) => {
  const toml =
    `${SMALLEST}\n[log]\nlevel = "error"\nformat = "json"\n[service]\nrefresh = "1h"\ngrace_period = "1m"\n`;
  assert.notDeepEqual(read(await load({ toml, flags: {} })), expected);
  assert.deepEqual(read(await load({ toml, flags })), expected);
});

Deno.test("overlay() of flags alone is a configuration without a file", async () => {
  const { path, files, issuers, listen } = await load({ flags: ALONE });
  assert.equal(path, undefined);
  assert.deepEqual(files, [
    "/etc/proxy/backends.json",
    "/etc/proxy/server.crt",
    "/etc/proxy/server.key",
  ]);
  assert.deepEqual(issuers.map(({ name, url }) => [name, url]), [[
    "oidcDiscovery",
    "https://login.example.com",
  ]]);
  assert.notEqual(listen.tls, undefined);
});

Deno.test("A5 overlay() asks a backends file in its order, each expression for the whole claim", async () => {
  const { policy, backends } = await load({ flags: { ...ALONE, jwtField: "email" } });
  assert.deepEqual(
    policy.rules.map(({ claim, match, backend }) => [claim.text, match?.kind, match?.text, backend]),
    [
      ["email", "text", "42", "entry 1"],
      ["email", "expression", "/(.*)@example\\.com/", "entry 2"],
      ["email", "expression", "/^(?P<first>[a-z]+)$/", "entry 3"],
      ["email", "text", "7", "entry 4"],
    ],
  );
  assert.deepEqual([...backends.values()].map(({ target }) => [target.user, target.sslmode]), [
    ["numbers", "verify-full"],
    ["\\1", "verify-full"],
    ["\\{first}", "verify-full"],
    ["seven", "verify-full"],
  ]);
});

Deno.test("overlay() takes tokens of both kinds of keys, each by its own iss", async () => {
  const { issuers, policy } = await load({
    flags: { ...ALONE, signingKeys: ["/etc/proxy/key.pem"], issuer: "offline" },
    backends: '{ "alice": "postgres://alice@db1" }',
  });
  assert.deepEqual(issuers.map(({ name, url, issuer }) => [name, url, issuer]), [
    ["oidcDiscovery", "https://login.example.com", undefined],
    ["signingKeys", undefined, "offline"],
  ]);
  assert.deepEqual(policy.rules.map(({ name, issuer, backend }) => [name, issuer, backend]), [
    ["alice of oidcDiscovery", "oidcDiscovery", "entry 1"],
    ["alice of signingKeys", "signingKeys", "entry 1"],
  ]);
});

const TWO_ISSUERS = SMALLEST.replace(
  "[[backends]]",
  '[[issuers]]\nname = "b"\nurl = "https://b"\naudience = ["b"]\n$&',
);

Deno.test.each<[string, Given, readonly string[]]>([
  [
    "an address that is none",
    { toml: SMALLEST, flags: { bindAddr: "example.com:1" } },
    ['--bindAddr must be an IP address and a port, such as "127.0.0.1:6432" or "[::]:6432"'],
  ],
  [
    "a certificate that is not there",
    { toml: SMALLEST, flags: { bindCert: "/etc/proxy/no.crt" } },
    ["--bindCert names /etc/proxy/no.crt, which does not exist"],
  ],
  [
    "the key of another certificate",
    { toml: SMALLEST, flags: { bindKey: "/etc/proxy/other.key" } },
    ["--bindKey names /etc/proxy/other.key, which is not the key of server.crt"],
  ],
  [
    "a claim that is none",
    { toml: SMALLEST, flags: { jwtField: "a..b" } },
    ["--jwtField must be a dotted path of claim names, such as realm_access.roles"],
  ],
  [
    "flags of one issuer over a file with two",
    { toml: TWO_ISSUERS, flags: { audience: ["x"], backends: "/etc/proxy/backends.json" } },
    [
      "--audience is for a file with one [[issuers]] table, and there are 2: change that table in the file",
      "--backends is for a file with one [[issuers]] table, and there are 2: write [[backends]] and [[rules]]," +
      " which say whose tokens they are for",
    ],
  ],
  [
    "two kinds of keys over the one issuer of a file",
    { toml: SMALLEST, flags: { oidcDiscovery: "https://x", signingKeys: ["x"] } },
    ["--signingKeys and --oidcDiscovery cannot both be the keys of the file's one issuer: give one of them"],
  ],
  [
    "an audience without an issuer",
    { flags: { ...ALONE, oidcDiscovery: undefined } },
    [
      "--audience needs --oidcDiscovery or --signingKeys: there is no issuer",
      "command line: issuers is required: add a [[issuers]] table for whoever issues the tokens",
    ],
  ],
  [
    "no audience",
    { flags: { ...ALONE, audience: undefined } },
    ["--oidcDiscovery: audience is required: name the audience the tokens must carry"],
  ],
  [
    "a backends file that is not there",
    { flags: { ...ALONE, backends: "/etc/proxy/none.json" } },
    ["--backends names /etc/proxy/none.json, which does not exist"],
  ],
  [
    "a backends file that is not JSON",
    { flags: ALONE, backends: '{\n  "alice": "postgres://alice:hunter2@db1",\n}' },
    ["/etc/proxy/backends.json:3: this backends file is not JSON"],
  ],
  [
    "a backends file that is an array",
    { flags: ALONE, backends: '["alice", "postgres://alice@db1"]' },
    [
      "/etc/proxy/backends.json: this backends file must be one JSON object from identities to URLs:" +
      ' { "alice": "postgres://…" }',
    ],
  ],
  [
    "a backends file with a table in it",
    { flags: ALONE, backends: '{ "alice": { "url": "postgres://alice@db1" } }' },
    [
      "/etc/proxy/backends.json: this backends file must be one JSON object from identities to URLs:" +
      ' { "alice": "postgres://…" }',
    ],
  ],
  [
    "an empty backends file",
    { flags: ALONE, backends: "{}" },
    ["/etc/proxy/backends.json: this backends file lets nobody in: it has no entry"],
  ],
  [
    "a backends file with a key twice",
    { flags: ALONE, backends: '{ "alice": "postgres://a@db1",\n "\\u0061lice": "postgres://b@db1" }' },
    ['/etc/proxy/backends.json:2: this backends file has "alice" twice: remove one'],
  ],
  [
    "entries that cannot be used",
    {
      flags: { ...ALONE, bindAddr: "x:1" },
      backends:
        '{ "a": "mysql://a:hunter2@db1",\n "/(/": "postgres://b@db1",\n "/x": "postgres://root@db1",\n' +
        ' "c": "postgres://\\\\1@db1", "d": "postgres://d@db1?sslmode=prefer" }',
    },
    [
      '--bindAddr must be an IP address and a port, such as "127.0.0.1:6432" or "[::]:6432"',
      '/etc/proxy/backends.json:1: "a" is not a backend\'s URL: the URL must begin with postgres:// or postgresql://',
      '/etc/proxy/backends.json:2: "/(/" is not a regular expression of RE2: missing closing ): `(`',
      '/etc/proxy/backends.json:3: "/x" would log in as the reserved role root: only a rule whose match is text may',
      '/etc/proxy/backends.json:4: "c" has a URL that uses \\1, but match is text, which captures only \\0',
      '/etc/proxy/backends.json:4: "d" is not a backend\'s URL: sslmode must be one of disable, require, verify-ca,' +
      " verify-full, because prefer may go on in plain text",
    ],
  ],
])(
  "overlay() tells of %s by the flag, or by the line of the file it names",
  async (_name, given, expected) => {
    assert.deepEqual(await mistakesIn(given), expected);
  },
);

Deno.test("T17 overlay() puts no password of a backends file into an error", async () => {
  for (
    const text of ['{ "a": "postgres://a:hunter2@db1" ', '{ "a": hunter2 }', '{ "a": "mysql://a:hunter2@b" }']
  ) {
    const mistakes = await mistakesIn({ flags: ALONE, backends: text });
    assert.equal(mistakes.length, 1);
    assert(!mistakes[0].includes("hunter2"), mistakes[0]);
  }
});
