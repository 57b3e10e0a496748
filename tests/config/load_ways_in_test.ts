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

/** The smallest configuration with one table more: `[[ways_in]]` is in line 18, and these lines follow. */
const withWayIn = (...lines: readonly string[]) => [`${SMALLEST}[[ways_in]]`, ...lines].join("\n");

const OAUTHBEARER = ['method = "oauthbearer"', 'issuer = "corp"', 'scope = "openid pg"'];

/** The same with an issuer like this one. */
const withIssuer = (issuer: string, ...lines: readonly string[]) =>
  withWayIn(...lines).replace('url = "https://login.example.com"', issuer);

Deno.test("loadConfiguration() without [[ways_in]] has none", async () => {
  assert.deepEqual((await load(SMALLEST)).waysIn, []);
});

Deno.test("loadConfiguration() gives a way in by OAUTHBEARER its challenge", async () => {
  const { waysIn: [{ way }] } = await load(withWayIn(...OAUTHBEARER));
  assert.deepEqual(way, {
    method: "oauthbearer",
    issuer: "corp",
    challenge: { issuer: "https://login.example.com", scope: "openid pg" },
  });
});

Deno.test.each([
  [
    "with jwks_url",
    'jwks_url = "https://keys.example.com/jwks"\nissuer = "https://id.example.com/"',
    "https://id.example.com/",
  ],
  ["in capitals", 'url = "HTTPS://login.example.com"', "HTTPS://login.example.com"],
  ["of a test", 'url = "http://localhost:8080"\ninsecure_http = true', "http://localhost:8080"],
])("loadConfiguration() sends clients to the iss of an issuer %s", async (_name, issuer, expected) => {
  const { waysIn: [{ way }] } = await load(withIssuer(issuer, ...OAUTHBEARER));
  assert.equal(way.challenge?.issuer, expected);
});

Deno.test("loadConfiguration() reads a way in by password, of one issuer and of any", async () => {
  const toml = withWayIn('method = "password"', 'issuer = "corp"', "[[ways_in]]", 'method = "password"');
  const { waysIn } = await load(toml);
  assert.deepEqual(waysIn.map(({ way }) => way), [
    { method: "password", issuer: "corp" },
    { method: "password", issuer: undefined },
  ]);
});

Deno.test("loadConfiguration() reads a way in by password that clients reach without TLS", async () => {
  const toml = withWayIn('method = "password"')
    .replace('certificate = "server.crt"\nprivate_key = "server.key"', "insecure_plaintext = true");
  assert.equal((await load(toml)).waysIn.length, 1);
});

Deno.test.each([
  ["127.0.0.1:6432", "127.0.0.1:6432"],
  ["[::1]:6432", "[0:0::1]:6432"],
  ["[::ffff:127.0.0.1]:6432", "[::FFFF:7f00:1]:06432"],
])("loadConfiguration() finds the listener %s by %s", async (address, written) => {
  const toml = withWayIn('method = "password"', `listeners = ["${written}"]`)
    .replace("[listen]", `[listen]\naddress = ["10.0.0.1:6432", "${address}"]`);
  const { waysIn: [{ settings }] } = await load(toml);
  assert.deepEqual(settings.listeners, [address]);
});

const SHORTEST_TOO_LONG = "x".repeat(
  1993 - "https://login.example.com".length -
    '{"status":"invalid_token","openid-configuration":"/.well-known/openid-configuration","scope":""}'.length,
);

Deno.test("loadConfiguration() takes a challenge of 1992 bytes", async () => {
  const scope = `scope = "${SHORTEST_TOO_LONG.slice(1)}"`;
  assert.deepEqual(await mistakesIn(withWayIn(...OAUTHBEARER.slice(0, 2), scope)), []);
});

Deno.test.each<[string, string, string[]]>([
  ["no method", withWayIn('issuer = "corp"'), [
    '18: ways_in[0].method is required: say how clients present their token: "password" or "oauthbearer"',
  ]],
  ["another method", withWayIn('method = "scram-sha-256"'), [
    '19: ways_in[0].method must be "password" or "oauthbearer"',
  ]],
  ["a misspelt key", withWayIn('method = "password"', 'server_name = ["a"]'), [
    "20: ways_in[0].server_name is not a known key: did you mean server_names?",
  ]],
  ["an unknown issuer", withWayIn('method = "oauthbearer"', 'issuer = "crop"', 'scope = "pg"'), [
    '20: ways_in[0].issuer is "crop", which no [[issuers]] table is named: did you mean corp?',
  ]],
  ["an unknown issuer of a password", withWayIn('method = "password"', 'issuer = "other"'), [
    '20: ways_in[0].issuer is "other", which no [[issuers]] table is named',
  ]],
  ["oauthbearer alone", withWayIn('method = "oauthbearer"'), [
    '18: ways_in[0].issuer is required: with method = "oauthbearer" clients are sent to one issuer',
    '18: ways_in[0].scope is required: with method = "oauthbearer" clients are told what to ask their issuer for, such as "openid"',
  ]],
  ["scope with a password", withWayIn('method = "password"', 'scope = "pg"'), [
    '20: ways_in[0].scope is told to clients only with method = "oauthbearer": remove it',
  ]],
  ["an issuer that is no URL", withIssuer('signing_keys = ["k.pem"]\nissuer = "corp"', ...OAUTHBEARER), [
    '21: ways_in[0].issuer is "corp", whose iss is no https:// URL without query and fragment:' +
    " clients of OAUTHBEARER must find it there",
  ]],
  [
    "an issuer of http",
    withIssuer('jwks_url = "https://a/k"\nissuer = "http://login.example.com"', ...OAUTHBEARER),
    [
      '21: ways_in[0].issuer is "corp", whose iss is no https:// URL without query and fragment:' +
      " clients of OAUTHBEARER must find it there",
    ],
  ],
  ["an issuer with a query", withIssuer('jwks_url = "https://a/k"\nissuer = "https://b?c"', ...OAUTHBEARER), [
    '21: ways_in[0].issuer is "corp", whose iss is no https:// URL without query and fragment:' +
    " clients of OAUTHBEARER must find it there",
  ]],
  [
    "oauthbearer without TLS",
    withWayIn(...OAUTHBEARER)
      .replace('certificate = "server.crt"\nprivate_key = "server.key"', "insecure_plaintext = true"),
    ['18: ways_in[0].method is "oauthbearer", which is offered only inside TLS: give listen.certificate'],
  ],
  [
    "a challenge of 1993 bytes",
    withWayIn(...OAUTHBEARER.slice(0, 2), `scope = "${SHORTEST_TOO_LONG}"`),
    ["21: ways_in[0].scope makes a challenge of 1993 bytes with the issuer's URL, of which libpq takes 1992: shorten it"],
  ],
  ["an unknown listener", withWayIn('method = "password"', 'listeners = ["127.0.0.1:6432", "[::1]:6432"]'), [
    '20: ways_in[0].listeners[1] is "[::1]:6432", which is not in listen.address: there is 127.0.0.1:6432',
  ]],
  ["a listener that is no address", withWayIn('method = "password"', 'listeners = ["all"]'), [
    '20: ways_in[0].listeners[0] is "all", which is not in listen.address: there is 127.0.0.1:6432',
  ]],
  ["text for an array", withWayIn('method = "password"', 'listeners = "127.0.0.1:6432"'), [
    "20: ways_in[0].listeners must be an array of addresses in listen.address",
  ]],
  ["conditions that never hold", withWayIn('method = "password"', "users = []", "networks = []"), [
    "20: ways_in[0].users must hold at least one of the user names; leave it out for any",
    "21: ways_in[0].networks must hold at least one of the networks; leave it out for any",
  ]],
  ["an empty name", withWayIn('method = "password"', 'databases = ["a", ""]'), [
    '20: ways_in[0].databases[1] must be a name, or "*" for any',
  ]],
  ["a number for a name", withWayIn('method = "password"', "databases = [1]"), [
    "20: ways_in[0].databases[0] must be text in quotes",
  ]],
  ["no network", withWayIn('method = "password"', 'networks = ["10.0.0.0/8", "localhost"]'), [
    '20: ways_in[0].networks[1] must be an IP address or network, such as "192.0.2.7", "10.0.0.0/8" or "2001:db8::/32"',
  ]],
  ["a host for a network", withWayIn('method = "password"', 'networks = ["10.1.2.3/8"]'), [
    "20: ways_in[0].networks[0] names a host inside the network:" +
    " write 0 behind its first 8 bits, or leave out /8",
  ]],
  ["a single table", `${SMALLEST}[ways_in]\nmethod = "password"`, [
    "18: ways_in must be an array of tables: write [[ways_in]] above each",
  ]],
])("loadConfiguration() refuses a way in with %s", async (_case, toml, mistakes) => {
  assert.deepEqual(await mistakesIn(toml), mistakes);
});

Deno.test.each([
  "",
  "*",
  "*.*.example.com",
  "db.*.com",
  "192.0.2.7",
  "::1",
  "dbü.example.com",
  "db.example.com.",
  "a..b",
  "a b",
])(
  "loadConfiguration() refuses the server name %j",
  async (name) => {
    const toml = withWayIn('method = "password"', `server_names = ["${name}"]`);
    assert.deepEqual(await mistakesIn(toml), [
      '20: ways_in[0].server_names[0] must be a host name in ASCII, such as "db.example.com" or "*.example.com"',
    ]);
  },
);

Deno.test.each(["", " ", "a ", " a", "a  b", "a\\tb", "a\\nb", 'a\\"b', "a\\\\b", "ä", "a\\u0000"])(
  "loadConfiguration() refuses the scope %j",
  async (scope) => {
    const toml = withWayIn('method = "oauthbearer"', 'issuer = "corp"', `scope = "${scope}"`);
    assert.deepEqual(await mistakesIn(toml), [
      '21: ways_in[0].scope must be scopes with one space between them, such as "openid pg"',
    ]);
  },
);
