// In: what a person can write wrong in a configuration. Out: what `check` and `start` say of it, each line in full.
// Chapter: the messages of the configuration as a table; what a mistake in one place does to another is in tests/config.

import { generateKeyPairSync } from "node:crypto";
import { createAuthority } from "../support/certificates.ts";
import type { TempDirectory } from "../support/temp_directory.ts";

/** A configuration in which nothing is wrong, and for which nobody has to be asked anything. */
export const GOOD = `[listen]
certificate = "server.crt"
private_key = "server.key"

[[issuers]]
name = "corp"
signing_keys = ["key.pem"]
issuer = "corp"
audience = ["proxy"]

[[backends]]
name = "orders"
url = "postgres://app@db1.internal/orders"

[[rules]]
issuer = "corp"
match = "alice"
backend = "orders"
`;

/** The last line of each table of {@link GOOD}. */
const ENDS = {
  listen: "[listen]",
  issuer: 'audience = ["proxy"]',
  backend: 'url = "postgres://app@db1.internal/orders"',
  rule: 'backend = "orders"',
} as const;

/** A change of {@link GOOD}. */
export interface Change {
  readonly from: string;
  readonly to: string;
}

/** A change, and the faults that it makes: line by line, without the file's name. */
export type Mistake = readonly [change: Change, ...faults: string[]];

const instead = (from: string, to: string): Change => ({ from, to });
const inTable = (table: keyof typeof ENDS, ...lines: readonly string[]) =>
  instead(ENDS[table], [ENDS[table], ...lines].join("\n"));
const table = (...lines: readonly string[]) => inTable("rule", ...lines);
const url = (url: string) => instead(ENDS.backend, `url = '${url}'`);
const wayIn = (...lines: readonly string[]) => table("[[ways_in]]", 'method = "password"', ...lines);
const validated = (command: string) =>
  inTable("issuer", "[[issuers]]", 'name = "own"', `validator = { command = ${command} }`);
const introspected = (...lines: readonly string[]) =>
  inTable(
    "issuer",
    "[issuers.introspection]",
    'endpoint = "https://127.0.0.1:9/x"',
    'client_id = "p"',
    ...lines,
  );

/** Writes what {@link GOOD} names, and what is wrong with some other files. */
export async function writeFiles(directory: TempDirectory): Promise<void> {
  const authority = await createAuthority("mistakes");
  const notAfter = new Date(Date.now() + 90 * 86_400_000);
  const server = await authority.issue({ commonName: "server", dnsNames: ["db.example"], notAfter });
  const publicKeyEncoding = { type: "spki", format: "pem" } as const;
  const privateKeyEncoding = { type: "pkcs8", format: "pem" } as const;
  const encoding = { publicKeyEncoding, privateKeyEncoding };
  const { publicKey } = generateKeyPairSync("ec", { namedCurve: "P-256", ...encoding });
  const { publicKey: shortKey } = generateKeyPairSync("rsa", { modulusLength: 1024, ...encoding });
  const block = (label: string) => `-----BEGIN ${label}-----\nAAAA\n-----END ${label}-----\n`;
  const files = {
    "server.crt": server.certificatePem,
    "server.key": server.keyPem,
    "other.key": (await authority.issueForLoopback()).keyPem,
    "key.pem": String(publicKey),
    "old.pem": String(shortKey),
    "odd.pem": block("PGP MESSAGE"),
    "broken.crt": block("CERTIFICATE"),
    "locked.key": block("ENCRYPTED PRIVATE KEY"),
    "empty": "\n",
  };
  for (const [name, text] of Object.entries(files)) await directory.write(name, text);
}

/** One change at a time, in the order of the file. */
export const MISTAKES: readonly Mistake[] = [
  [
    instead('certificate = "server.crt"', "certificate = 5"),
    "2: listen.certificate must be the path of a PEM file with the certificate and its chain",
  ],
  [
    instead('private_key = "server.key"', "private_key = true"),
    "3: listen.private_key must be the path of a PEM file with the private key",
  ],
  [
    inTable("listen", 'address = "db.example.com:6432"'),
    '2: listen.address must be an IP address and a port, such as "127.0.0.1:6432" or "[::]:6432"',
  ],
  [
    inTable("listen", 'minimum_tls_version = "TLSv1.1"'),
    '2: listen.minimum_tls_version must be "TLSv1.2" or "TLSv1.3"',
  ],
  [
    inTable("listen", 'client_certificate = "ask"'),
    '2: listen.client_certificate must be "none", "request" or "require"',
  ],
  [
    inTable("listen", 'client_certificate = "request"', "client_ca = 1"),
    "3: listen.client_ca must be the path of a PEM file with the authorities of the clients",
  ],
  [
    inTable("listen", "max_token_bytes = 100"),
    "2: listen.max_token_bytes must be a whole number of bytes from 256 to 65530",
  ],
  [
    inTable("listen", 'login_timeout = "soon"'),
    '2: listen.login_timeout must be a duration, such as "30s", "5m", "24h" or "500ms"',
  ],
  [inTable("listen", 'login_timeout = "1ms"'), "2: listen.login_timeout must be between 100ms and 24d"],
  [
    inTable("listen", 'proxy_protocol = ["10.0.0.0/33"]'),
    '2: listen.proxy_protocol[0] must be an IP address or network, such as "192.0.2.7", "10.0.0.0/8" or "2001:db8::/32"',
  ],
  [
    instead(
      `certificate = "server.crt"
private_key = "server.key"`,
      "",
    ),
    "1: listen.certificate is required: tokens travel only inside TLS (insecure_plaintext = true lets them travel in clear)",
  ],
  [
    instead('private_key = "server.key"', ""),
    "1: listen.private_key must be given together with certificate",
  ],
  [
    instead('"server.key"', '"other.key"'),
    "3: listen.private_key names other.key, which is not the key of server.crt",
  ],
  [instead('"server.crt"', '"none.crt"'), "2: listen.certificate names none.crt, which does not exist"],
  [
    instead('"server.crt"', '"key.pem"'),
    "2: listen.certificate names key.pem, which holds no certificate in PEM form",
  ],
  [
    instead('"server.key"', '"key.pem"'),
    "3: listen.private_key names key.pem, which holds no private key in PEM form",
  ],
  [
    instead('"server.crt"', '"broken.crt"'),
    "2: listen.certificate names broken.crt, which holds a certificate that cannot be read: export it again",
  ],
  [
    instead('"server.key"', '"locked.key"'),
    "3: listen.private_key names locked.key, whose key has a passphrase: remove it with openssl pkey",
  ],
  [instead('"server.key"', '"."'), "3: listen.private_key names ., which is a directory"],
  [
    inTable("listen", "address = []"),
    '2: listen.address must be an IP address and a port, such as "127.0.0.1:6432" or "[::]:6432"',
  ],
  [
    inTable("listen", 'client_certificate = "require"'),
    '1: listen.client_ca is required with client_certificate = "require": name a PEM file with the authorities of the clients',
  ],
  [
    inTable("listen", 'client_ca = "server.crt"'),
    '2: listen.client_ca is of no use without client_certificate = "request" or "require"',
  ],
  [inTable("listen", 'adress = "127.0.0.1:1"'), "2: listen.adress is not a known key: did you mean address?"],
  [
    table("[startup]", 'parameters = ["search path"]'),
    '20: startup.parameters[0] must be the name of a run-time parameter, such as "search_path"',
  ],
  [
    table("[startup]", "parameters = [5]"),
    "20: startup.parameters[0] must be the name of a run-time parameter",
  ],
  [
    table("[startup]", 'parameters = ["user"]'),
    '20: startup.parameters[0] cannot name "user": it is no run-time parameter, and has a meaning of its own',
  ],
  [
    table("[startup]", 'parameters = ["role"]'),
    '20: startup.parameters[0] cannot allow "role": it would let a client choose who it is at the backend',
  ],
  [
    instead('audience = ["proxy"]', ""),
    "5: issuers[0].audience is required: name the audience the tokens must carry",
  ],
  [instead('audience = ["proxy"]', 'audience = "proxy"'), "9: issuers[0].audience must be an array of text"],
  [instead('audience = ["proxy"]', "audience = []"), "9: issuers[0].audience must have at least one element"],
  [inTable("issuer", 'algorithms = "ES256"'), "10: issuers[0].algorithms must be an array of text"],
  [
    inTable("issuer", 'algorithms = ["HS256"]'),
    "10: issuers[0].algorithms[0] may hold only RS256, RS384, RS512, PS256, PS384, PS512, ES256, ES384, ES512, EdDSA, Ed25519",
  ],
  [
    inTable("issuer", 'introspect = "never"'),
    '10: issuers[0].introspect must be "opaque" or "always"',
    '10: issuers[0].introspect needs the table "introspection", which says whom to ask',
  ],
  [
    inTable("issuer", 'introspect = "always"'),
    '10: issuers[0].introspect needs the table "introspection", which says whom to ask',
  ],
  [
    inTable("issuer", 'url = "https://login.example.com"'),
    `8: issuers[0].issuer is wrong: remove "issuer": with "url" the tokens' iss must be that URL itself`,
    '10: issuers[0].url is wrong: an issuer needs exactly one of "url", "jwks_url" and "signing_keys"',
  ],
  [
    instead(
      `signing_keys = ["key.pem"]
issuer = "corp"`,
      'url = "http://login.example.com"',
    ),
    "7: issuers[0].url must begin with https:// unless insecure_http = true",
  ],
  [
    instead(
      `signing_keys = ["key.pem"]
issuer = "corp"`,
      'url = "https://login.example.com/?a=b"',
    ),
    "7: issuers[0].url must be a URL without credentials, query and fragment",
  ],
  [
    instead(
      `signing_keys = ["key.pem"]
issuer = "corp"`,
      "",
    ),
    '5: issuers[0].url is wrong: an issuer needs one of "url", "jwks_url", "signing_keys", "introspection" and "validator"',
  ],
  [
    instead(
      `issuer = "corp"
aud`,
      "aud",
    ),
    '5: issuers[0].issuer is missing: with "jwks_url" or "signing_keys" give the iss that tokens must have',
  ],
  [
    instead('"key.pem"]', '"none.pem"]'),
    "7: issuers[0].signing_keys cannot be used: key file none.pem cannot be read: it does not exist",
  ],
  [
    instead('"key.pem"]', '"config.toml"]'),
    "7: issuers[0].signing_keys cannot be used: key file config.toml is not PEM; give public keys or certificates in PEM form",
  ],
  [
    instead('"key.pem"]', '"server.key"]'),
    "7: issuers[0].signing_keys cannot be used: key file server.key holds a private key; give only the public key, as openssl pkey -pubout writes it",
  ],
  [
    instead('"key.pem"]', '"old.pem"]'),
    "7: issuers[0].signing_keys cannot be used: key file old.pem cannot be used: a key in it is an RSA key of less than 2048 bits (ES256, RS256)",
  ],
  [
    instead('"key.pem"]', '"odd.pem"]'),
    "7: issuers[0].signing_keys cannot be used: key file odd.pem holds a PGP MESSAGE; give PUBLIC KEY or CERTIFICATE blocks only",
  ],
  [
    instead('"key.pem"]', '"*/key.pem"]'),
    "7: issuers[0].signing_keys cannot be used: key files */key.pem: * and ? are for the file name only",
  ],
  [
    instead('"key.pem"]', '"none/*.pem"]'),
    "7: issuers[0].signing_keys cannot be used: key files none/*.pem cannot be listed: it does not exist",
  ],
  [
    instead('"key.pem"]', '"*.none"]'),
    "7: issuers[0].signing_keys cannot be used: key files *.none match no file; correct the path",
  ],
  [
    inTable("issuer", 'deny_list = "none.txt"'),
    "10: issuers[0].deny_list cannot be used: none.txt cannot be read: it does not exist",
  ],
  [
    inTable("issuer", 'required_claims = "a"'),
    '10: issuers[0].required_claims must be a table of claims and their values, such as { groups = "dba" }',
  ],
  [
    inTable("issuer", 'jwks_hosts = ["https://keys"]'),
    '10: issuers[0].jwks_hosts must be hosts alone, as "keys.example.com" or "keys.example.com:8443"',
    '10: issuers[0].jwks_hosts is only for issuers with "url"',
  ],
  [
    inTable("issuer", "require_binding = true"),
    '10: issuers[0].require_binding is true, which needs client_certificate = "request" in [listen]: no token would be good',
  ],
  [
    introspected(),
    "10: issuers[0].introspection.client_secret_file is required: name the file that holds the client's secret, or give client_secret_env",
  ],
  [
    introspected('client_secret_env = "SECRET_OF_NOBODY"'),
    "13: issuers[0].introspection.client_secret_env cannot be used: the environment variable SECRET_OF_NOBODY is not set",
  ],
  [
    introspected('auth = "private_key_jwt"', 'private_key = "locked.key"'),
    "14: issuers[0].introspection.private_key cannot be used: the key has a passphrase: remove it with openssl pkey",
  ],
  [
    introspected('auth = "private_key_jwt"', 'private_key = "key.pem"'),
    "14: issuers[0].introspection.private_key cannot be used: the file holds no private key in PEM form",
  ],
  [
    introspected('auth = "tls_client_auth"', 'private_key = "other.key"', 'certificate = "server.crt"'),
    "14: issuers[0].introspection.private_key cannot be used: the key is not that of the certificate",
  ],
  [
    introspected('auth = "tls_client_auth"', 'private_key = "server.key"', 'certificate = "key.pem"'),
    "15: issuers[0].introspection.certificate cannot be used: the file holds no certificate in PEM form",
  ],
  [
    introspected('auth = "magic"'),
    "13: issuers[0].introspection.auth must be one of client_secret_basic, client_secret_post, private_key_jwt, tls_client_auth",
  ],
  [
    introspected('client_secret_file = "empty"'),
    "13: issuers[0].introspection.client_secret_file cannot be used: the file empty is empty",
  ],
  [
    validated('"sh"'),
    "12: issuers[1].validator.command must be an array of text: the program, then each of its arguments; no shell splits it",
  ],
  [validated('[""]'), "12: issuers[1].validator.command must name a program"],
  [validated(`["sh", "\\u0000"]`), "12: issuers[1].validator.command must not have a NUL in it"],
  [
    validated('["./key.pem"]'),
    "12: issuers[1].validator.command cannot be used: key.pem cannot be run: this user may not execute it; change its mode",
  ],
  [
    validated('["no-such-program"]'),
    "12: issuers[1].validator.command cannot be used: no-such-program cannot be run: there is no such program; a name without a slash must be where the system's programs are",
  ],
  [table("[[ways_in]]", 'method = "magic"'), '20: ways_in[0].method must be "password" or "oauthbearer"'],
  [
    table("[[ways_in]]", 'method = "oauthbearer"'),
    '19: ways_in[0].issuer is required: with method = "oauthbearer" clients are sent to one issuer',
    '19: ways_in[0].scope is required: with method = "oauthbearer" clients are told what to ask their issuer for, such as "openid"',
  ],
  [
    table("[[ways_in]]", 'method = "oauthbearer"', 'issuer = "corp"', 'scope = "openid"'),
    '21: ways_in[0].issuer is "corp", whose iss is no https:// URL without query and fragment: clients of OAUTHBEARER must find it there',
  ],
  [
    wayIn('scope = "openid"'),
    '21: ways_in[0].scope is told to clients only with method = "oauthbearer": remove it',
  ],
  [wayIn('databases = "orders"'), "21: ways_in[0].databases must be an array of database names"],
  [
    wayIn("users = []"),
    "21: ways_in[0].users must hold at least one of the user names; leave it out for any",
  ],
  [
    wayIn('networks = ["10.1.2.3/8"]'),
    "21: ways_in[0].networks[0] names a host inside the network: write 0 behind its first 8 bits, or leave out /8",
  ],
  [
    wayIn('server_names = ["10.1.2.3"]'),
    '21: ways_in[0].server_names[0] must be a host name in ASCII, such as "db.example.com" or "*.example.com"',
  ],
  [
    wayIn('listeners = ["127.0.0.1:1"]'),
    '21: ways_in[0].listeners[0] is "127.0.0.1:1", which is not in listen.address: there is 127.0.0.1:6432',
  ],
  [
    url("mysql://a@b"),
    "13: backends[0].url is not a backend's URL: the URL must begin with postgres:// or postgresql://",
  ],
  [
    url("postgres://a b@c"),
    "13: backends[0].url is not a backend's URL: the URL has a space: write it as %20",
  ],
  [
    url("postgres://a@[::1"),
    "13: backends[0].url is not a backend's URL: an IPv6 address in the URL must be whole, as in [::1]:5432",
  ],
  [
    url("postgres://a@b?x"),
    "13: backends[0].url is not a backend's URL: the URL's query must be of the form key=value&key=value",
  ],
  [
    url("postgres://a@b?application_name=a=b"),
    "13: backends[0].url is not a backend's URL: a value in the URL's query has an equals sign: write it as %3D",
  ],
  [
    url("postgres://a%zz@b"),
    "13: backends[0].url is not a backend's URL: the URL has a percent sign that begins no UTF-8 text: write it as %25",
  ],
  [url("postgres://a%00@b"), "13: backends[0].url is not a backend's URL: the URL has a zero byte (%00)"],
  [
    url("postgres://a@b,c:1,d:2:3"),
    "13: backends[0].url is not a backend's URL: a port in the URL must be a number from 1 to 65535",
  ],
  [
    url("postgres://a@"),
    "13: backends[0].url is not a backend's URL: the URL must name a host: none is assumed",
  ],
  [
    url("postgres://a@b/x?port=1,2"),
    "13: backends[0].url is not a backend's URL: the URL must have one port, or as many as it has hosts",
  ],
  [
    url("postgres://a@b!"),
    "13: backends[0].url is not a backend's URL: the URL's host must be a name, an address or a socket's absolute directory",
  ],
  [
    url("postgres://a@b:0"),
    "13: backends[0].url is not a backend's URL: a port in the URL must be a number from 1 to 65535",
  ],
  [
    url(`postgres://a@\\1`),
    "13: backends[0].url is not a backend's URL: the URL's host cannot hold a capture or a backslash",
  ],
  [
    url(`postgres://a@b?sslmode=\\1`),
    "13: backends[0].url is not a backend's URL: sslmode cannot hold a capture: only the user, the database and parameters can",
  ],
  [
    url("postgres://a@b?sslmode=prefer"),
    "13: backends[0].url is not a backend's URL: sslmode must be one of disable, require, verify-ca, verify-full, because prefer may go on in plain text",
  ],
  [
    url("postgres://a@b?sslmod=disable"),
    "13: backends[0].url is not a backend's URL: the query key sslmod is not known, or is not for the URL: remove it",
  ],
  [
    url("postgres://a@b?connect_timeout=0"),
    "13: backends[0].url is not a backend's URL: connect_timeout must be 1 to 600 seconds",
  ],
  [
    url("postgres://a@b?sslrootcert=system&sslmode=require"),
    "13: backends[0].url is not a backend's URL: sslrootcert=system needs sslmode=verify-full: anyone can get a certificate there",
  ],
  [
    url("postgres://a@b?sslcert=server.crt"),
    "13: backends[0].url is not a backend's URL: sslcert and sslkey must be given together",
  ],
  [
    url("postgres://a@b?sslcert=server.crt&sslkey=other.key"),
    "13: backends[0].url has sslkey, which names other.key, which is not the key of server.crt",
  ],
  [
    url("postgres://a@b?sslrootcert=none.crt"),
    "13: backends[0].url has sslrootcert, which names none.crt, which does not exist",
  ],
  [
    url("postgres://a@b?sslnegotiation=direct&sslmode=disable"),
    "13: backends[0].url is not a backend's URL: sslnegotiation=direct contradicts sslmode=disable",
  ],
  [
    url(`postgres://\\x@b`),
    `13: backends[0].url has a user that has a backslash that is no capture: write \\0 to \\9 or \\{name}, and \\\\ for a backslash`,
  ],
  [
    url(`postgres://\\1@b`),
    `18: rules[0].backend has a URL that uses \\1, but match is text, which captures only \\0`,
  ],
  [url("postgres://b"), "18: rules[0].backend has no user in its URL: give one there, or login_as here"],
  [
    instead(
      'match = "alice"',
      `match = "/root/"
login_as = "root"`,
    ),
    "18: rules[0].login_as would log in as the reserved role root: only a rule whose match is text may",
  ],
  [
    inTable("backend", 'password_file = "none"'),
    "14: backends[0].password_file names none, which does not exist",
  ],
  [
    inTable("backend", 'password_file = "empty"'),
    "14: backends[0].password_file names empty, which is empty",
  ],
  [
    inTable("backend", 'password_env = "SECRET_OF_NOBODY"'),
    "14: backends[0].password_env names the environment variable SECRET_OF_NOBODY, which is not set",
  ],
  [
    inTable("backend", 'password_file = "key.pem"', 'password_env = "HOME"'),
    "14: backends[0].password_file is a second password: give it in one place only",
  ],
  [
    inTable("backend", "require_auth = 5"),
    "14: backends[0].require_auth must be one or several of scram-sha-256-plus, scram-sha-256, md5, password, cert, none, oauth",
  ],
  [
    inTable("backend", 'require_auth = ["gss"]'),
    "14: backends[0].require_auth must be one or several of scram-sha-256-plus, scram-sha-256, md5, password, cert, none, oauth",
  ],
  [inTable("backend", "require_auth = []"), "14: backends[0].require_auth must not be empty"],
  [
    inTable("backend", 'require_auth = ["cert"]'),
    "14: backends[0].require_auth has cert, but the URL has no sslcert and sslkey to show in TLS",
  ],
  [
    instead(
      'url = "postgres://app@db1.internal/orders"',
      `url = "postgres://app@db1.internal/orders?sslmode=disable"
require_auth = ["password"]
channel_binding = "require"`,
    ),
    "14: backends[0].require_auth has password, which is never sent without TLS to another machine",
    "15: backends[0].channel_binding cannot be require where the URL has no TLS",
  ],
  [
    inTable("backend", 'require_auth = ["scram-sha-256-plus"]', 'channel_binding = "disable"'),
    "15: backends[0].channel_binding cannot be disable where require_auth is scram-sha-256-plus",
  ],
  [
    instead(
      'url = "postgres://app@db1.internal/orders"',
      `url = "postgres://app@db1.internal/orders?sslmode=require"
require_auth = ["oauth"]`,
    ),
    "14: backends[0].require_auth has oauth, which sends the client's token and needs sslmode=verify-full off this machine",
  ],
  [
    inTable("backend", "set = { user = 'x' }"),
    "14: backends[0].set.user is not a run-time parameter: it cannot be set here",
  ],
  [
    inTable("backend", "set = { 'a b' = 'x' }"),
    '14: backends[0].set."a b" must be the name of a run-time parameter',
  ],
  [
    inTable("backend", "set = { work_mem = 5 }"),
    '14: backends[0].set.work_mem must be text in quotes; quote a name with a dot: "app.user" = …',
  ],
  [
    inTable("backend", "set = { work_mem = '{identity}' }"),
    "14: backends[0].set.work_mem cannot hold {…}: only application_name and settings with a dot in their name can",
  ],
  [
    inTable("backend", "set = { application_name = '{nobody}' }"),
    "14: backends[0].set.application_name holds {nobody}, which is none of {identity}, {issuer}, {token_id}, {client_address}, {rule}, {user}: write {{ and }} for braces",
  ],
  [
    inTable("backend", `set = { application_name = "\\u0000" }`),
    "14: backends[0].set.application_name must not hold a zero byte",
  ],
  [
    inTable("backend", "set = { application_name = 'a', Application_Name = 'b' }"),
    "14: backends[0].set gives Application_Name a second value: write it in one place only",
  ],
  [
    instead('backend = "orders"', 'backend = "order"'),
    '18: rules[0].backend is "order", which no [[backends]] table is named: did you mean orders?',
  ],
  [
    instead(
      `issuer = "corp"
match`,
      `issuer = "crop"
match`,
    ),
    '16: rules[0].issuer is "crop", which no [[issuers]] table is named: did you mean corp?',
  ],
  [
    instead('match = "alice"', ""),
    "15: rules[0].match is required: give the claim's value, or /an expression/ for all of it, or give roles",
  ],
  [
    instead('match = "alice"', 'match = ""'),
    "17: rules[0].match must not be empty: give the value itself, or /an expression/ for all of it",
  ],
  [
    instead('match = "alice"', 'match = "/a/i"'),
    "17: rules[0].match has flags behind its last slash: write them inside, as in /(?i)…/",
  ],
  [
    instead('match = "alice"', 'match = "/(/"'),
    "17: rules[0].match is not a regular expression of RE2: missing closing ): `(`",
  ],
  [
    inTable("rule", 'users = "alice"'),
    '19: rules[0].users must be an array of names, such as ["reporting"], or ["*"] for any',
  ],
  [inTable("rule", "users = []"), '19: rules[0].users must hold at least one name, or "*" for any'],
  [
    inTable("rule", `users = ['\\1']`),
    `19: rules[0].users uses \\1, but match is text, which captures only \\0`,
  ],
  [
    inTable("rule", `login_as = '\\x'`),
    `19: rules[0].login_as has a backslash that is no capture: write \\0 to \\9 or \\{name}, and \\\\ for a backslash`,
  ],
  [
    inTable("rule", 'login_as = "pg_monitor"', 'claim = "a..b"'),
    "20: rules[0].claim must be a dotted path of claim names, such as realm_access.roles",
  ],
  [
    inTable("rule", 'claim = ""'),
    "19: rules[0].claim must be a dotted path of claim names, such as realm_access.roles",
  ],
  [
    inTable("rule", "require = 5"),
    '19: rules[0].require must be a table of claims and their values, such as { groups = "dba" }',
  ],
  [inTable("rule", 'max_token_age = "0s"'), "19: rules[0].max_token_age must be between 1s and 24d"],
  [
    inTable("rule", 'at_expiry = "later"'),
    "19: rules[0].at_expiry must be one of keep, end_when_idle, end_now",
  ],
  [
    inTable("rule", 'reintrospect = "5m"'),
    "19: rules[0].reintrospect needs introspection, which the issuer corp does not have",
  ],
  [
    inTable("rule", 'at_revocation = "end_now"'),
    "19: rules[0].at_revocation has no effect: give the rule reintrospect, or the issuer corp a deny_list",
  ],
  [
    inTable("rule", "record_identity = false"),
    "19: rules[0].record_identity is false, which needs pseudonym_key_file in [authorize]: make one with openssl rand -base64 48",
  ],
  [
    inTable("rule", 'networks = ["x"]'),
    '19: rules[0].networks[0] must be an IP address or network, such as "192.0.2.7", "10.0.0.0/8" or "2001:db8::/32"',
  ],
  [
    inTable("rule", "roles = 5"),
    `19: rules[0].roles must be a claim, or a table such as { claim = "scope", match = '/pg:(.*)/' }`,
  ],
  [
    inTable("rule", 'roles = { claim = "a", match = "/(/" }'),
    "19: rules[0].roles has a match that is not a regular expression of RE2: missing closing ): `(`",
  ],
  [
    table("[authorize]", 'reserved_roles = "a"'),
    "20: authorize.reserved_roles must be an array of role names",
  ],
  [
    table(
      "[authorize]",
      'pseudonym_key_file = "key.pem"',
      "[[rules]]",
      'issuer = "corp"',
      'match = "/(.*)/"',
      'backend = "orders"',
      "record_identity = false",
      `login_as = '\\1'`,
    ),
    "26: rules[1].login_as takes a role from who the client is, which record_identity = false keeps to itself",
  ],
  [
    table("[authorize]", 'pseudonym_key_file = "empty"'),
    "20: authorize.pseudonym_key_file names empty, which is shorter than 32 bytes: make one with openssl rand -base64 48",
  ],
  [
    table("[limits]", "failed_logins = -1"),
    "20: limits.failed_logins must be a whole number from 0 to 1000000; 0 turns the limit off",
  ],
  [
    table("[limits]", 'failed_logins_window = "0s"'),
    "20: limits.failed_logins_window must be between 1s and 24d",
  ],
  [
    table("[service]", 'refresh = "1ms"'),
    '20: service.refresh must be at least 1s, or "0": then it is loaded anew only when asked',
  ],
  [table("[service]", 'grace_period = "2d"'), "20: service.grace_period must be between 0ms and 1d"],
  [table("[service]", 'watch = "yes"'), "20: service.watch must be true or false"],
  [
    table("[admin]", 'address = "0.0.0.0:9187"'),
    "20: admin.address can be reached from other machines and needs certificate and private_key (insecure_plaintext = true lets them read metrics in clear)",
  ],
  [
    table("[admin]", "certificate = 1", "private_key = 2"),
    "20: admin.certificate must be the path of a PEM file with the certificate and its chain",
    "21: admin.private_key must be the path of a PEM file with the private key",
  ],
  [
    table("[admin]", 'certificate = "server.crt"', 'private_key = "server.key"'),
    "19: admin.address is required with certificate: without it nothing is served",
  ],
  [
    table("[admin]", 'address = "127.0.0.1:9187"', 'certificate = "server.crt"', 'private_key = "other.key"'),
    "22: admin.private_key names other.key, which is not the key of server.crt",
  ],
  [table("[audit]", "file = 5"), "20: audit.file must be the path of a file"],
  [
    table("[log]", 'level = "loud"', 'format = "xml"', "file = 5"),
    '20: log.level must be "error", "warn", "info", "debug" or "trace"',
    '21: log.format must be "text", "json" or "fluent"',
    "22: log.file must be the path of a file",
  ],
  [table("[lgo]"), "19: lgo is not a known key: did you mean log?"],
  [instead("[listen]", "listen]"), "1: this is not TOML: expected equal (=) token"],
];
