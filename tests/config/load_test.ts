import assert from "node:assert/strict";
import fc from "fast-check";
import { loadConfiguration } from "../../lib/config/load.ts";
import type { Outside } from "../../lib/config/named_file.ts";
import { ConfigurationError } from "../../lib/config/problem.ts";
import type { Pace } from "../../lib/long_work.ts";
import { outsideOf, PEM, SMALLEST } from "./files.ts";

type Values = Record<string, string | Error>;

const PATH = "/etc/proxy/config.toml";

/** An outside of this configuration, the usual PEM files, and more. */
function outsideWith(
  toml: string,
  { files = {}, variables = {} }: { files?: Values; variables?: Values } = {},
): Outside {
  return outsideOf(
    { "config.toml": toml, ...PEM, "pseudonym.key": `${"k".repeat(32)}\n`, ...files },
    variables,
  );
}

/** Every line of the error, without the file's name: `12: listen.address must be …`. */
async function mistakesIn(outside: Outside): Promise<string[]> {
  try {
    await loadConfiguration(PATH, outside);
    return [];
  } catch (thrown) {
    assert.ok(thrown instanceof ConfigurationError, String(thrown));
    return thrown.message.split("\n").map((line) => line.replace(`${PATH}:`, ""));
  }
}

/** Behind a rule: it records nobody. */
const PSEUDONYMS = 'record_identity = false\n[authorize]\npseudonym_key_file = "pseudonym.key"\n';

/** The smallest configuration with one text put in the place of another. */
function changed(from: string, to: string): string {
  assert.ok(SMALLEST.includes(from), from);
  return SMALLEST.replace(from, to);
}

/** The smallest configuration with a validator for an issuer. */
const VALIDATED = SMALLEST.replace(
  /^url = .*\naudience = .*\n/m,
  '[issuers.validator]\ncommand = ["check_token.sh"]\n',
);

Deno.test("loadConfiguration() reads the smallest configuration, with defaults for the rest", async () => {
  const configuration = await loadConfiguration(PATH, outsideWith(SMALLEST));
  assert.equal(configuration.path, PATH);
  assert.equal(configuration.directory, "/etc/proxy");
  assert.deepEqual(configuration.listen.address, { host: "127.0.0.1", port: 6432 });
  assert.equal(configuration.listen.tls?.certificates, PEM["server.crt"]);
  assert.equal(configuration.listen.tls?.privateKey.reveal(), PEM["server.key"]);
  assert.deepEqual(configuration.issuers.map(({ name }) => name), ["corp"]);
  assert.deepEqual([...configuration.backends.keys()], ["orders"]);
  assert.deepEqual(configuration.policy.rules.map(({ backend }) => backend), ["orders"]);
  assert.ok(configuration.policy.reservedRoles.includes("rdsadmin"));
  assert.deepEqual(configuration.log, { level: "info", format: "text" });
});

Deno.test("loadConfiguration() reads a file with a byte order mark and Windows line ends", async () => {
  const toml = "\ufeff" + SMALLEST.replaceAll("\n", "\r\n");
  assert.deepEqual(await mistakesIn(outsideWith(toml)), []);
});

Deno.test("loadConfiguration() reads the key of pseudonyms, without the newline behind it", async () => {
  const { policy, files } = await loadConfiguration(PATH, outsideWith(SMALLEST + PSEUDONYMS));
  assert.equal(policy.pseudonymKey?.reveal(), "k".repeat(32));
  assert.ok(files.includes("/etc/proxy/pseudonym.key"));
});

Deno.test("loadConfiguration() makes the paths of a backend absolute and reads what they name", async () => {
  const url = "postgres://app@db1/orders?sslrootcert=ca.crt&sslcert=server.crt&sslkey=server.key";
  const toml = changed("postgres://app@db1.internal/orders", url);
  const { backends, files } = await loadConfiguration(PATH, outsideWith(toml));
  const { target, trustedCertificates, clientIdentity } = backends.get("orders")!;
  assert.equal(target.sslrootcert, "/etc/proxy/ca.crt");
  assert.equal(target.sslcert, "/etc/proxy/server.crt");
  assert.equal(target.sslkey, "/etc/proxy/server.key");
  assert.equal(trustedCertificates, PEM["ca.crt"]);
  assert.equal(clientIdentity?.certificates, PEM["server.crt"]);
  assert.equal(clientIdentity?.privateKey.reveal(), PEM["server.key"]);
  const names = ["config.toml", "server.crt", "server.key", "ca.crt"];
  assert.deepEqual(files, names.map((name) => `/etc/proxy/${name}`));
});

Deno.test.each([
  ["a file", 'password_file = "pw"', { files: { pw: "hunter2\n" } }],
  ["a file of Windows", 'password_file = "pw"', { files: { pw: "hunter2\r\n" } }],
  ["a variable", 'password_env = "PW"', { variables: { PW: "hunter2" } }],
])("loadConfiguration() takes a backend's password from %s", async (_case, line, values) => {
  const toml = changed('/orders"', `/orders"\n${line}`);
  const { backends } = await loadConfiguration(PATH, outsideWith(toml, values));
  assert.equal(backends.get("orders")?.target.password?.reveal(), "hunter2");
});

Deno.test("loadConfiguration() reads a listener without TLS where that is asked for", async () => {
  const toml = changed('certificate = "server.crt"\nprivate_key = "server.key"', "insecure_plaintext = true");
  const { listen } = await loadConfiguration(PATH, outsideWith(toml));
  assert.equal(listen.tls, undefined);
});

Deno.test("A18 loadConfiguration() reads no variable that is not named", async () => {
  const getEnv = (name: string) => assert.fail(`asked for ${name}`);
  await loadConfiguration(PATH, { ...outsideWith(SMALLEST), getEnv });
});

Deno.test("T17 loadConfiguration() gives a configuration that prints no secret", async () => {
  const toml = changed("app@db1", "app:hunter2@db1");
  const shown = Deno.inspect(await loadConfiguration(PATH, outsideWith(toml)), { depth: 20 });
  assert.equal(shown.includes("hunter2"), false);
  assert.equal(shown.includes("PRIVATE KEY"), false);
});

Deno.test.each<[string, string, string[]]>([
  ["no TOML", SMALLEST + "x = = 1", ["18: this is not TOML: unexpected token"]],
  ["a key twice", changed("[[issuers]]", 'certificate = "b"\n[[issuers]]'), [
    "5: this is not TOML: defining a key multiple times is invalid",
  ]],
  ["an unknown table", SMALLEST + "[lgo]", ["18: lgo is not a known key: did you mean log?"]],
  ["a table like no other", SMALLEST + "[metrics]", [
    "18: metrics is not a known key: there are listen, startup, issuers, ways_in, backends, rules, authorize, limits, service, log, audit, admin",
  ]],
  ["an unknown key", changed("[listen]", '[listen]\nadress = ":1"'), [
    "2: listen.adress is not a known key: did you mean address?",
  ]],
  ["a key with a dash", changed("private_key", "private-key"), [
    "3: listen.private-key is not a known key: did you mean private_key?",
  ]],
  ["a key of a prototype", changed("[listen]", "[listen]\n__proto__ = 1\nconstructor = 1"), [
    "2: listen.__proto__ is not a known key: there are address, certificate, private_key, minimum_tls_version," +
    " client_certificate, client_ca, insecure_plaintext, max_token_bytes, login_timeout, proxy_protocol",
    "3: listen.constructor is not a known key: there are address, certificate, private_key, minimum_tls_version," +
    " client_certificate, client_ca, insecure_plaintext, max_token_bytes, login_timeout, proxy_protocol",
  ]],
  ["a wrong type", changed("[listen]", "[listen]\nlogin_timeout = 30"), [
    '2: listen.login_timeout must be a duration in quotes, such as "30s", "5m", "24h" or "500ms"',
  ]],
  ["a date for text", changed('match = "alice"', "match = 2026-01-01"), [
    "16: rules[0].match must be text in quotes",
  ]],
  ["a table for text", changed('match = "alice"', "match = {}"), [
    "16: rules[0].match must be text in quotes",
  ]],
  ["text for a table", "log = 3\n" + SMALLEST, ["1: log must be a table"]],
  ["a table for tables", changed("[[issuers]]", "[issuers]"), [
    "5: issuers must be an array of tables: write [[issuers]] above each",
  ]],
  ["a required key missing", changed('match = "alice"\n', ""), [
    "14: rules[0].match is required: give the claim's value, or /an expression/ for all of it, or give roles",
  ]],
  ["a rule without names", changed('issuer = "corp"\n', ""), [
    "14: rules[0].issuer is required: name the issuer whose tokens the rule is for",
  ]],
  ["no TLS", changed('certificate = "server.crt"\nprivate_key = "server.key"\n', ""), [
    "1: listen.certificate is required: tokens travel only inside TLS (insecure_plaintext = true lets them travel in clear)",
  ]],
  ["an address without a port", changed("[listen]", '[listen]\naddress = "::1"'), [
    '2: listen.address must be an IP address and a port, such as "127.0.0.1:6432" or "[::]:6432"',
  ]],
  ["a bad pattern", changed('"alice"', '"/(/"'), [
    "16: rules[0].match is not a regular expression of RE2: missing closing ): `(`",
  ]],
  ["a bad claim path", changed('match = "alice"', 'match = "alice"\nclaim = "a..b"'), [
    "17: rules[0].claim must be a dotted path of claim names, such as realm_access.roles",
  ]],
  ["a bad requirement", changed('match = "alice"', 'match = "alice"\nrequire = { realm.roles = "dba" }'), [
    "17: rules[0].require must give realm a text, a number, a boolean or an array of these;" +
    ' quote a dotted claim: "a.b" = …',
  ]],
  ["a capture of a text", changed('match = "alice"', "match = \"alice\"\nusers = ['\\1']"), [
    "17: rules[0].users uses \\1, but match is text, which captures only \\0",
  ]],
  ["a backslash in users", changed('match = "alice"', "match = \"alice\"\nusers = ['a\\b']"), [
    "17: rules[0].users[0] has a backslash that is no capture:" +
    " write \\0 to \\9 or \\{name}, and \\\\ for a backslash",
  ]],
  ["a rule of an unknown issuer", changed('issuer = "corp"', 'issuer = "crop"'), [
    '15: rules[0].issuer is "crop", which no [[issuers]] table is named: did you mean corp?',
  ]],
  ["a rule of an unknown backend", changed('backend = "orders"', 'backend = "stock"'), [
    '17: rules[0].backend is "stock", which no [[backends]] table is named',
  ]],
  [
    "a backend twice",
    changed("[[rules]]", '[[backends]]\nname = "orders"\nurl = "postgres://a@b/c"\n\n[[rules]]'),
    [
      '15: backends[1].name is "orders", as backends[0].name is: choose another',
    ],
  ],
  [
    "a rule's name twice",
    changed("[[rules]]", '[[rules]]\nname = "a"') +
    '[[rules]]\nname = "a"\nissuer = "corp"\nmatch = "b"\nbackend = "orders"',
    ['20: rules[1].name is "a", as rules[0].name is: choose another'],
  ],
  [
    "an issuer twice",
    changed(
      "[[backends]]",
      '[[issuers]]\nname = "b"\nurl = "https://login.example.com"\naudience = ["a"]\n[[backends]]',
    ),
    ["12: issuers[1].url is that of issuers[0]: make them one, audience takes several"],
  ],
  ["a URL of something else", changed("postgres://app@db1.internal/orders", "mysql://db1"), [
    "12: backends[0].url is not a backend's URL: the URL must begin with postgres:// or postgresql://",
  ]],
  ["T13 a capture in the host", changed("db1.internal", "\\\\1.internal"), [
    "12: backends[0].url is not a backend's URL: the URL's host cannot hold a capture or a backslash",
  ]],
  ["a capture of the URL that match does not have", changed("app@", "\\\\1@"), [
    "17: rules[0].backend has a URL that uses \\1, but match is text, which captures only \\0",
  ]],
  ["a backslash in the URL", changed("app@", "a\\\\b@"), [
    "12: backends[0].url has a user that has a backslash that is no capture:" +
    " write \\0 to \\9 or \\{name}, and \\\\ for a backslash",
  ]],
  ["no role to log in as", changed("app@", ""), [
    "17: rules[0].backend has no user in its URL: give one there, or login_as here",
  ]],
  [
    "T13 a pattern that leads to a reserved role",
    changed('match = "alice"', 'match = "/.*/"\nlogin_as = "postgres"'),
    [
      "17: rules[0].login_as would log in as the reserved role postgres: only a rule whose match is text may",
    ],
  ],
  [
    "T13 a pattern that leads to a role reserved by the configuration",
    changed('"alice"', '"/.*/"') + '[authorize]\nreserved_roles = ["app"]',
    ["17: rules[0].backend would log in as the reserved role app: only a rule whose match is text may"],
  ],
  ["a rule of neither match nor roles, and more", changed('match = "alice"', 'login_as = ""'), [
    "14: rules[0].match is required: give the claim's value, or /an expression/ for all of it, or give roles",
    "16: rules[0].login_as must not be empty",
  ]],
  ["a claim that nothing is compared with", changed('match = "alice"', 'roles = "groups"\nclaim = "email"'), [
    "17: rules[0].claim is compared with match, which is missing: add it, or leave claim out",
  ]],
  [
    "captures where nothing is captured",
    changed('match = "alice"', "roles = 'groups'\nusers = ['\\1']\nlogin_as = '\\{name}'"),
    [
      "17: rules[0].users uses \\1, but without match nothing is captured",
      "18: rules[0].login_as uses \\{name}, but without match nothing is captured",
    ],
  ],
  [
    "a URL with captures where nothing is captured",
    changed("app@", "\\\\1@").replace('match = "alice"', 'roles = "groups"'),
    ["17: rules[0].backend has a URL that uses \\1, but without match nothing is captured"],
  ],
  ["roles of the wrong kind", changed('match = "alice"', "roles = 7"), [
    `16: rules[0].roles must be a claim, or a table such as { claim = "scope", match = '/pg:(.*)/' }`,
  ]],
  ["roles of no path", changed('match = "alice"', 'roles = { claim = "a..b" }'), [
    "16: rules[0].roles has a claim that must be a dotted path of claim names, such as realm_access.roles",
  ]],
  ["roles of no expression", changed('match = "alice"', 'roles = { claim = "scope", match = "/(/" }'), [
    "16: rules[0].roles has a match that is not a regular expression of RE2: missing closing ): `(`",
  ]],
  ["roles with another key", changed('match = "alice"', 'roles = { claim = "scope", pattern = "x" }'), [
    '16: rules[0].roles has the key "pattern": there are claim and match',
  ]],
  ["an age of no time", SMALLEST + 'max_token_age = "0"', [
    "18: rules[0].max_token_age must be between 1s and 24d",
  ]],
  ["an ending there is not", SMALLEST + 'at_expiry = "end"', [
    "18: rules[0].at_expiry must be one of keep, end_when_idle, end_now",
  ]],
  ["asking again too often", SMALLEST + 'reintrospect = "9s"', [
    "18: rules[0].reintrospect must be between 10s and 24d",
  ]],
  ["asking an issuer again that cannot be asked", SMALLEST + 'reintrospect = "5m"', [
    "18: rules[0].reintrospect needs introspection, which the issuer corp does not have",
  ]],
  ["an ending at a revocation that nothing tells of", SMALLEST + 'at_revocation = "end_now"', [
    "18: rules[0].at_revocation has no effect: give the rule reintrospect, or the issuer corp a deny_list",
  ]],
  [
    "what a validator never says",
    VALIDATED.replace('match = "alice"', 'match = "alice"\nclaim = "email"\nrequire = { groups = "x" }') +
    'roles = "scope"\nmax_token_age = "5m"',
    [
      "17: rules[0].claim looks at the claim email: of a validator's tokens there are only sub and roles",
      "18: rules[0].require looks at the claim groups: of a validator's tokens there are only sub and roles",
      "20: rules[0].roles looks at the claim scope: of a validator's tokens there are only sub and roles",
      "21: rules[0].max_token_age needs the claim iat: of a validator's tokens there are only sub and roles",
    ],
  ],
  ["pseudonyms without a key", SMALLEST + "record_identity = false", [
    "18: rules[0].record_identity is false, which needs pseudonym_key_file in [authorize]: make one with openssl rand -base64 48",
  ]],
  [
    "a pseudonym's key that is not there",
    SMALLEST + 'record_identity = false\n[authorize]\npseudonym_key_file = "key"',
    ["20: authorize.pseudonym_key_file names key, which does not exist"],
  ],
  [
    "a role from who the client is, where that is not recorded",
    changed('match = "alice"', "match = '/(.*)/'\nlogin_as = 'x_\\1'") + PSEUDONYMS,
    ["17: rules[0].login_as takes a role from who the client is, which record_identity = false keeps to itself"],
  ],
  [
    "a URL that tells who the client is, where that is not recorded",
    changed("app@", "\\\\0@") + PSEUDONYMS,
    [
      "17: rules[0].backend has a URL that tells who the client is, which record_identity = false keeps to itself",
    ],
  ],
  [
    "a backend that is handed the token, where who it is of is not recorded",
    changed('/orders"', '/orders"\nrequire_auth = "oauth"') + PSEUDONYMS,
    ["19: rules[0].record_identity is false, but the backend orders is handed the client's token"],
  ],
  ["a limit that is no number", SMALLEST + "[limits]\nfailed_logins = -1", [
    "19: limits.failed_logins must be a whole number from 0 to 1000000; 0 turns the limit off",
  ]],
  ["a limit for no time", SMALLEST + '[limits]\nfailed_logins_window = "0"', [
    "19: limits.failed_logins_window must be between 1s and 24d",
  ]],
  [
    "an admin address that others reach, outside TLS",
    SMALLEST + '[admin]\naddress = ["127.0.0.1:1", "[::]:1"]',
    [
      "19: admin.address can be reached from other machines and needs certificate and private_key" +
      " (insecure_plaintext = true lets them read metrics in clear)",
    ],
  ],
  ["an admin certificate for no address", SMALLEST + '[admin]\ncertificate = "server.crt"', [
    "18: admin.address is required with certificate: without it nothing is served",
    "18: admin.private_key must be given together with certificate",
  ]],
  [
    "an admin key of another certificate",
    SMALLEST + '[admin]\naddress = "127.0.0.1:1"\ncertificate = "server.crt"\nprivate_key = "other.key"',
    ["21: admin.private_key names other.key, which is not the key of server.crt"],
  ],
  ["a word that is none of those", SMALLEST + '[log]\nlevel = "loud"', [
    '19: log.level must be "error", "warn", "info", "debug" or "trace"',
  ]],
])("loadConfiguration() refuses %s", async (_case, toml, mistakes) => {
  assert.deepEqual(await mistakesIn(outsideWith(toml)), mistakes);
});

const withLine = (line: string) => changed('/orders"', `/orders"\n${line}`);
const inUrl = (query: string) => changed("/orders", `/orders?${query}`);

Deno.test.each<[string, string, { files?: Values; variables?: Values }, string]>([
  [
    "a pseudonym's key that is too short",
    SMALLEST + PSEUDONYMS,
    { files: { "pseudonym.key": "k".repeat(31) + "\n" } },
    "20: authorize.pseudonym_key_file names pseudonym.key, which is shorter than 32 bytes: make one with openssl rand -base64 48",
  ],
  [
    "a pseudonym's key that is not text",
    SMALLEST + PSEUDONYMS,
    { files: { "pseudonym.key": "k".repeat(32) + "\ufffd" } },
    "20: authorize.pseudonym_key_file names pseudonym.key, which is not text: make one with openssl rand -base64 48",
  ],
  [
    "a certificate that does not exist",
    changed("server.crt", "x.crt"),
    {},
    "2: listen.certificate names x.crt, which does not exist",
  ],
  [
    "a key for a certificate",
    changed("server.crt", "other.key"),
    {},
    "2: listen.certificate names other.key, which holds no certificate in PEM form",
  ],
  [
    "a certificate that is none",
    SMALLEST,
    { files: { "server.crt": "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n" } },
    "2: listen.certificate names server.crt, which holds a certificate that cannot be read: export it again",
  ],
  [
    "a certificate for a key",
    changed("server.key", "server.crt"),
    {},
    "3: listen.private_key names server.crt, which holds no private key in PEM form",
  ],
  [
    "the key of another",
    changed("server.key", "other.key"),
    {},
    "3: listen.private_key names other.key, which is not the key of server.crt",
  ],
  [
    "a key with a passphrase",
    SMALLEST,
    {
      files: {
        "server.key": "-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n-----END ENCRYPTED PRIVATE KEY-----\n",
      },
    },
    "3: listen.private_key names server.key, whose key has a passphrase: remove it with openssl pkey",
  ],
  [
    "a key that Deno may not read",
    SMALLEST,
    { files: { "server.key": new Deno.errors.NotCapable("Requires read access") } },
    "3: listen.private_key names server.key, which Deno may not read: start with --allow-read=/etc/proxy/server.key",
  ],
  [
    "a key that this user may not read",
    SMALLEST,
    { files: { "server.key": new Deno.errors.PermissionDenied("EACCES") } },
    "3: listen.private_key names server.key, which this user may not read: change its owner or mode",
  ],
  [
    "a directory",
    SMALLEST,
    { files: { "server.key": new Deno.errors.IsADirectory("x") } },
    "3: listen.private_key names server.key, which is a directory",
  ],
  [
    "a password file that does not exist",
    withLine('password_file = "pw"'),
    {},
    "13: backends[0].password_file names pw, which does not exist",
  ],
  [
    "an empty password file",
    withLine('password_file = "pw"'),
    { files: { pw: "\n" } },
    "13: backends[0].password_file names pw, which is empty",
  ],
  [
    "a variable that is not set",
    withLine('password_env = "PW"'),
    {},
    "13: backends[0].password_env names the environment variable PW, which is not set",
  ],
  [
    "a variable that Deno may not read",
    withLine('password_env = "PW"'),
    { variables: { PW: new Deno.errors.NotCapable("Requires env access") } },
    "13: backends[0].password_env names the environment variable PW, which Deno may not read: start with --allow-env=PW",
  ],
  [
    "a missing root certificate",
    inUrl("sslrootcert=x.crt"),
    {},
    "12: backends[0].url has sslrootcert, which names x.crt, which does not exist",
  ],
  [
    "a client certificate with another's key",
    inUrl("sslcert=server.crt&sslkey=other.key"),
    {},
    "12: backends[0].url has sslkey, which names other.key, which is not the key of server.crt",
  ],
])("loadConfiguration() refuses %s", async (_case, toml, values, mistake) => {
  assert.deepEqual(await mistakesIn(outsideWith(toml, values)), [mistake]);
});

Deno.test.each<[string, Error, string]>([
  ["that does not exist", new Deno.errors.NotFound("x"), " is the configuration file, which does not exist"],
  [
    "that Deno may not read",
    new Deno.errors.NotCapable("x"),
    " is the configuration file, which Deno may not read: start with --allow-read=/etc/proxy/config.toml",
  ],
])("loadConfiguration() refuses a file %s", async (_case, error, mistake) => {
  assert.deepEqual(await mistakesIn(outsideOf({ "config.toml": error })), [mistake]);
});

Deno.test("loadConfiguration() refuses an empty file by what it needs", async () => {
  assert.deepEqual(await mistakesIn(outsideWith("")), [
    " listen.certificate is required: tokens travel only inside TLS (insecure_plaintext = true lets them travel in clear)",
    " issuers is required: add a [[issuers]] table for whoever issues the tokens",
    " backends is required: add a [[backends]] table for each server to log in to",
    " rules is required: add a [[rules]] table for those to be let in: all others are refused",
  ]);
});

Deno.test("loadConfiguration() reports every mistake at once, in the order of the file", async () => {
  const toml = `[listen]
certificate = "x.crt"
private_key = "server.key"
login_timeout = "soon"

[[issuers]]
name = "corp"
url = "https://login.example.com"
audience = ["proxy"]
audiences = 1

[[backends]]
name = "orders"
url = "postgres://db1/orders"
pasword_file = "x"

[[rules]]
issuer = "corp"
match = "/(/"
backend = "order"

[[rules]]
isuer = "corp"
match = "bob"
backend = "orders"
users = []

[log]
format = "xml"
levle = "info"
`;
  assert.deepEqual(await mistakesIn(outsideWith(toml)), [
    '4: listen.login_timeout must be a duration, such as "30s", "5m", "24h" or "500ms"',
    "10: issuers[0].audiences is not a known key: did you mean audience?",
    "15: backends[0].pasword_file is not a known key: did you mean password_file?",
    "19: rules[0].match is not a regular expression of RE2: missing closing ): `(`",
    '20: rules[0].backend is "order", which no [[backends]] table is named: did you mean orders?',
    "23: rules[1].isuer is not a known key: did you mean issuer?",
    '26: rules[1].users must hold at least one name, or "*" for any',
    '29: log.format must be "text", "json" or "fluent"',
    "30: log.levle is not a known key: did you mean level?",
  ]);
});

Deno.test("ConfigurationError.problems tell line, column, path and message", async () => {
  const toml = SMALLEST + '[log]\n  level = "loud"';
  await assert.rejects(loadConfiguration(PATH, outsideWith(toml)), (error: ConfigurationError) => {
    const message = 'log.level must be "error", "warn", "info", "debug" or "trace"';
    assert.deepEqual(error.problems, [{ line: 19, column: 3, path: "log.level", message }]);
    return true;
  });
});

Deno.test("loadConfiguration() tells what is wrong with an issuer's key files", async () => {
  const toml = changed('url = "https://login.example.com"', 'signing_keys = ["k.pem"]\nissuer = "x"');
  const asked: unknown[] = [];
  const checkIssuers: Outside["checkIssuers"] = (issuers, about) => {
    asked.push(...issuers.map(({ name }) => [name, about]));
    return Promise.resolve([{ issuer: "corp", message: "Key file k.pem is not PEM" }]);
  };
  assert.deepEqual(await mistakesIn({ ...outsideWith(toml), checkIssuers }), [
    "7: issuers[0].signing_keys cannot be used: key file k.pem is not PEM",
  ]);
  assert.deepEqual(asked, [["corp", { baseDirectory: "/etc/proxy", maxTokenBytes: 16384 }]]);
});

Deno.test.each([
  ["rules", '[[rules]]\nissuer = "corp"\nmatch = "bob"\nbackend = "orders"\n', {}],
  ["backends", '[[backends]]\nname = "N"\nurl = "postgres://app@db2/orders"\n', {}],
  ["certificates in a file", "", { "server.crt": PEM["server.crt"] }],
])("loadConfiguration() lets others have their turn between two %s", async (_what, table, file) => {
  const turnsWith = async (count: number) => {
    const tables = Array.from({ length: count }, (_, index) => table.replace("N", `b${index}`));
    const files = Object.fromEntries(
      Object.entries(file).map(([name, text]) => [name, text + PEM["ca.crt"].repeat(count)]),
    );
    let turns = 0;
    const pace: Pace = (work) => {
      let step = work.next();
      for (; !step.done; step = work.next()) turns++;
      return step.value;
    };
    await loadConfiguration(PATH, { ...outsideWith(SMALLEST + tables.join("\n"), { files }), pace });
    return turns;
  };
  assert.ok(await turnsWith(20) >= await turnsWith(0) + 20);
});

Deno.test("T17 loadConfiguration() puts no password of a URL into its error", async () => {
  for (
    const url of ["postgres://app:hunter2@\\\\1/x", "postgres://app:hunter2@db1:x/y", "pg://app:hunter2@db1"]
  ) {
    const mistakes = await mistakesIn(outsideWith(changed("postgres://app@db1.internal/orders", url)));
    assert.equal(mistakes.length, 1);
    assert.equal(mistakes[0].includes("hunter2"), false);
  }
});

Deno.test("loadConfiguration() of any text gives a configuration or a ConfigurationError", async () => {
  const lines = SMALLEST.split("\n");
  const line = fc.oneof(
    fc.constantFrom(
      ...lines,
      "[log]",
      "[[rules]]",
      "[rules]",
      "users = ['*']",
      "x = [[[",
      'name = "a"',
      "match = 1",
    ),
    fc.string({ unit: "binary", maxLength: 20 }),
  );
  const text = fc.oneof(
    fc.string({ unit: "binary" }),
    fc.array(line, { maxLength: 30 }).map((some) => some.join("\n")),
  );
  await fc.assert(fc.asyncProperty(text, async (toml) => void await mistakesIn(outsideWith(toml))), {
    numRuns: 300,
  });
});

Deno.test("loadConfiguration() of any value at any key gives a configuration or a ConfigurationError", async () => {
  const keys = fc.constantFrom(
    "listen",
    "startup",
    "issuers",
    "backends",
    "rules",
    "authorize",
    "log",
    "__proto__",
  );
  const inner = fc.constantFrom(
    "name",
    "url",
    "address",
    "match",
    "require",
    "users",
    "parameters",
    "level",
    "claim",
  );
  const value = fc.constantFrom(
    "1",
    "1.5",
    "true",
    "2026-01-01",
    "'x'",
    "[]",
    "[1]",
    "{}",
    "{a=1}",
    "[{}]",
    "[[]]",
    "nan",
  );
  const entry = fc.tuple(keys, inner, value).map(([key, inside, value]) =>
    `${key} = [{${inside} = ${value}}]`
  );
  const table = fc.tuple(keys, value).map(([key, value]) => `${key} = ${value}`);
  await fc.assert(
    fc.asyncProperty(fc.oneof(entry, table), async (line) => {
      assert.notDeepEqual(await mistakesIn(outsideWith(line)), []);
    }),
    { numRuns: 300 },
  );
});

Deno.test("loadConfiguration() refuses tables nested a hundred thousand deep", async () => {
  const mistakes = await mistakesIn(outsideWith(`a = ${"[".repeat(100_000)}${"]".repeat(100_000)}`));
  assert.equal(mistakes.length >= 1, true);
});
