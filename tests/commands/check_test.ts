import assert from "node:assert/strict";
import { check } from "../../lib/commands/check.ts";
import { hasFault, tableOf } from "../../lib/commands/finding.ts";
import { type Authority, createAuthority } from "../support/certificates.ts";
import { freePort } from "../support/free_port.ts";
import { OidcIssuer } from "../support/oidc_issuer.ts";
import { CLIENTS } from "../support/oidc_provider.ts";
import { PostgresCluster } from "../support/postgres_cluster.ts";
import { PASSWORDS } from "../support/postgres_roles.ts";
import { tempDirectory } from "../support/temp_directory.ts";

const DAY_MS = 86_400_000;

const resources = new AsyncDisposableStack();
let authority: Authority;
let issuer: OidcIssuer;
let cluster: PostgresCluster;
let nobodysPort: number;

Deno.test.beforeAll(async () => {
  authority = await createAuthority("check");
  issuer = resources.use(await OidcIssuer.start());
  const { certificatePem, keyPem } = await authority.issueForLoopback();
  const tls = { certificatePem, keyPem, caPem: authority.certificatePem };
  cluster = resources.use(await PostgresCluster.start({ major: 18, tls }));
  nobodysPort = await freePort();
});
Deno.test.afterAll(() => resources.disposeAsync());

/** What differs from a configuration in which nothing is wrong. */
interface Given {
  readonly listen?: string;
  readonly issuer?: string;
  readonly backends?: string;
  readonly rules?: string;
  readonly more?: string;
  /** The server's certificate, in days from now. */
  readonly validity?: readonly [from: number, to: number];
  readonly connects?: boolean;
  readonly files?: Readonly<Record<string, string>>;
}

/** Findings, a line each: `ok what: detail`. */
async function checked(given: Given = {}): Promise<readonly string[]> {
  await using directory = await tempDirectory();
  const [from, to] = given.validity ?? [-1, 400];
  const server = await authority.issue({
    commonName: "proxy",
    dnsNames: ["proxy.example", "localhost"],
    ipAddresses: ["127.0.0.1"],
    notBefore: new Date(Date.now() + from * DAY_MS),
    // An hour more: to the day, whenever it is looked at.
    notAfter: new Date(Date.now() + to * DAY_MS + 3_600_000),
  });
  const files = {
    "server.crt": server.certificatePem,
    "server.key": server.keyPem,
    "ca.crt": authority.certificatePem,
    "password": PASSWORDS.app_scram,
    "secret": CLIENTS.proxy.secret,
    ...given.files,
    "config.toml": configurationText(given),
  };
  for (const [name, text] of Object.entries(files)) await directory.write(name, text, 0o700);
  const source = { path: `${directory.path}/config.toml` };
  const findings = await check({ source, connects: given.connects ?? false });
  return findings.map(({ what, state, detail }) => {
    return `${state} ${what}: ${detail.replaceAll(`${directory.path}/`, "")}`;
  });
}

function configurationText(given: Given): string {
  const backend = `
[[backends]]
name = "main"
url = "postgres://app_scram@localhost:${cluster.port}/postgres?sslrootcert=ca.crt"
password_file = "password"`;
  const rule = `
[[rules]]
issuer = "corp"
match = "alice"
backend = "main"`;
  return `[listen]
certificate = "server.crt"
private_key = "server.key"
${given.listen ?? ""}
[[issuers]]
name = "corp"
url = "${issuer.url}"
audience = ["proxy"]
insecure_http = true
${given.issuer ?? ""}
${given.backends ?? backend}
${given.rules ?? rule}
${given.more ?? ""}
`;
}

/** A program that answers every question in the same way. */
function validatorThatSays(members: string): string {
  return `#!/bin/sh
while read -r question; do
  id=\${question#*:}
  printf '{"id":%s,${members}}\\n' "\${id%%,*}"
done
`;
}

const about = (lines: readonly string[], what: string) => lines.filter((line) => line.includes(` ${what}`));

Deno.test("check() finds nothing wrong where nothing is", async () => {
  const day = (days: number) => new Date(Date.now() + days * DAY_MS + 3_600_000).toISOString().slice(0, 10);
  assert.deepEqual(await checked(), [
    "ok configuration: config.toml: 1 issuer, 1 backend, 1 rule",
    `ok issuer corp: 1 key fetched from ${new URL(issuer.url).host}`,
    "warning issuer corp: insecure_http: whoever is between here and there can sign tokens",
    `ok listen.certificate: CN=proxy, for proxy.example, localhost, 127.0.0.1, its key fits,` +
    ` expires on ${day(400)}, in 400 days`,
    ...about(await checked(), "backend main, sslrootcert"),
    "skipped backend main: not tried: --connect logs in there",
    "ok permissions: Deno permits all that the configuration needs",
  ]);
});

Deno.test.each<[string, readonly [number, number], RegExp]>([
  ["lasts 30 days", [-1, 30], /^ok .* in 30 days$/],
  ["lasts 29 days", [-1, 29], /^warning .* in 29 days: renew it$/],
  ["lasts a day", [-1, 1], /^warning .* in 1 day: renew it$/],
  ["has expired", [-9, -2], /^fault .* expired on \d{4}-\d\d-\d\d: renew it$/],
  ["is not valid yet", [2, 9], /^fault .* not valid before \d{4}-\d\d-\d\d$/],
])("check() says of a certificate that %s so", async (_name, validity, expected) => {
  const [line] = about(await checked({ validity }), "listen.certificate");
  assert.match(line, expected);
});

Deno.test("check() looks at every link of a chain, and at every authority", async () => {
  const between = await authority.issueAuthority("between");
  const leaf = await between.issue({ commonName: "leaf", dnsNames: ["leaf.example"] });
  const old = await authority.issue({ commonName: "old", notAfter: new Date(Date.now() - DAY_MS) });
  const lines = await checked({
    files: {
      "server.crt": leaf.certificatePem + between.certificatePem,
      "server.key": leaf.keyPem,
      "ca.crt": authority.certificatePem + old.certificatePem,
    },
  });
  assert.match(about(lines, "listen.certificate:")[0], /^warning .*CN=leaf, for leaf.example/);
  assert.match(about(lines, "listen.certificate, link 2")[0], /^ok .*CN=between, expires/);
  assert.match(about(lines, "backend main, sslrootcert")[0], /^warning .*2 certificates: CN=old, expired on/);
});

Deno.test("check() says that the only authority of a backend is over", async () => {
  const old = await authority.issue({ commonName: "old", notAfter: new Date(Date.now() - DAY_MS) });
  const lines = await checked({ files: { "ca.crt": old.certificatePem } });
  assert.match(about(lines, "backend main, sslrootcert")[0], /^fault .*1 certificate: CN=old, expired on/);
});

Deno.test("check() tells of every mistake in the file with its line, and of the issuers that can be had", async () => {
  const lines = await checked({
    rules: '[[rules]]\nissuer = "crop"\nmatch = "/(/"\nbackend = "main"',
    more: "[lgo]",
  });
  assert.deepEqual(lines.filter((line) => line.startsWith("fault")), [
    'fault configuration: config.toml:17: rules[0].issuer is "crop", which no [[issuers]] table is named:' +
    " did you mean corp?",
    "fault configuration: config.toml:18: rules[0].match is not a regular expression of RE2: missing closing ): `(`",
    "fault configuration: config.toml:20: lgo is not a known key: did you mean log?",
  ]);
  assert.match(about(lines, "issuer corp")[0], /^ok .* 1 key/);
});

Deno.test("check() goes on where only an issuer is at fault", async () => {
  issuer.isDown = true;
  try {
    const lines = await checked();
    assert.match(lines[0], /^fault configuration: config.toml:7: issuers\[0\].url cannot be used: .*503/);
    assert.equal(about(lines, "listen.certificate").length, 1);
    assert.equal(about(lines, "permissions").length, 1);
  } finally {
    issuer.isDown = false;
  }
});

Deno.test.each<[string, string, Readonly<Record<string, string>>, RegExp]>([
  [
    "whose introspection answers",
    `introspection = { client_id = "${CLIENTS.proxy.id}", client_secret_file = "secret" }`,
    {},
    /^ok issuer corp: 1 key fetched from \S+, introspection answers$/,
  ],
  [
    "that does not take the proxy's secret",
    `introspection = { client_id = "${CLIENTS.proxy.id}", client_secret_file = "secret" }`,
    { secret: "another" },
    /^fault configuration: config.toml:\d+: issuers\[0\].introspection.client_secret_file cannot be used: .*refused/,
  ],
  [
    "with a deny list",
    'deny_list = "denied"',
    { denied: "sub mallory\n" },
    /^ok issuer corp: 1 key fetched from \S+, its deny list is readable$/,
  ],
  [
    "whose validator answers",
    '[[issuers]]\nname = "own"\nvalidator = { command = ["./validator"] }',
    { validator: validatorThatSays('"authorized":false') },
    /^ok issuer own: its validator answers$/,
  ],
  [
    "whose validator calls everything good",
    '[[issuers]]\nname = "own"\nvalidator = { command = ["./validator"] }',
    { validator: validatorThatSays('"authorized":true,"expires":4102444800') },
    /^fault configuration: config.toml:\d+: issuers\[1\].validator.command cannot be used: it calls a token good/,
  ],
  [
    "whose validator is not there",
    '[[issuers]]\nname = "own"\nvalidator = { command = ["./none"] }',
    {},
    /^fault configuration: config.toml:\d+: issuers\[1\].validator.command cannot be used: none cannot be run/,
  ],
  [
    "whose validator ends at once",
    '[[issuers]]\nname = "own"\nvalidator = { command = ["./validator"] }',
    { validator: "#!/bin/sh\nexit 3\n" },
    /^fault configuration: config.toml:\d+: issuers\[1\].validator.command cannot be used: the validator/,
  ],
])("check() says of an issuer %s so", async (_name, issuer, files, expected) => {
  const lines = await checked({ issuer, files });
  assert(lines.some((line) => expected.test(line)), lines.join("\n"));
});

const backendAt = (url: string, more = "") =>
  `[[backends]]\nname = "main"\nurl = "postgres://${url}"\n${more}`;

Deno.test.each<[string, () => Pick<Given, "backends" | "rules">, RegExp]>([
  [
    "that lets it in",
    () => ({}),
    /^ok backend main: localhost:\d+: logged in as app_scram inside TLS, server_version 18/,
  ],
  [
    "whose database the client names",
    () => ({
      backends: backendAt(
        `app_scram@localhost:${cluster.port}?sslrootcert=ca.crt`,
        'password_file = "password"',
      ),
    }),
    /^ok backend main: localhost:\d+: logged in as app_scram; clients name the database$/,
  ],
  [
    "whose database is not there",
    () => ({
      backends: backendAt(
        `app_scram@localhost:${cluster.port}/gone?sslrootcert=ca.crt`,
        'password_file = "password"',
      ),
    }),
    /^fault backend main: localhost:\d+: as app_scram: .*3D000: database "gone" does not exist/,
  ],
  [
    "with another password",
    () => ({
      backends: backendAt(`app_scram:hunter2@localhost:${cluster.port}/postgres?sslrootcert=ca.crt`),
    }),
    /^fault backend main: localhost:\d+: as app_scram: .*28P01: password authentication failed/,
  ],
  [
    "where nobody listens, and another host of it",
    () => ({
      backends: backendAt(
        `app_scram@localhost:${nobodysPort},localhost:${cluster.port}/postgres?sslrootcert=ca.crt`,
        'password_file = "password"',
      ),
    }),
    /^fault backend main: localhost:\d+: as app_scram: .*ECONNREFUSED/,
  ],
  [
    "with a certificate of another authority",
    () => ({
      backends: backendAt(`app_scram@localhost:${cluster.port}/postgres`, 'password_file = "password"'),
    }),
    /^fault backend main: localhost:\d+: as app_scram: .*certificate/,
  ],
  [
    "whose role is the client's identity",
    () => ({
      backends: backendAt(`\\\\1@localhost:${cluster.port}/postgres?sslrootcert=ca.crt`),
      rules: "[[rules]]\nissuer = 'corp'\nmatch = '/(.*)/'\nbackend = 'main'",
    }),
    /^ok backend main: localhost:\d+: reached; no login was tried, as its role depends on who the client is$/,
  ],
  [
    "that takes the clients' tokens",
    () => ({
      backends: backendAt(
        `app@localhost:${cluster.port}/postgres?sslrootcert=ca.crt`,
        'require_auth = ["oauth"]',
      ),
    }),
    /^ok backend main: localhost:\d+: reached; no login was tried, as it takes the clients' own tokens$/,
  ],
  [
    "whose role two rules write out",
    () => ({
      backends: backendAt(
        `localhost:${cluster.port}/postgres?sslrootcert=ca.crt`,
        'password_file = "password"',
      ),
      rules: ["app_scram", "app_trust"].map((role) =>
        `[[rules]]\nissuer = "corp"\nmatch = "${role}"\nbackend = "main"\nlogin_as = "${role}"\n`
      ).join(""),
    }),
    /^(ok backend main: localhost:\d+: logged in as app_scram inside TLS|fault .*as app_trust)/,
  ],
])("check() with connects says of a backend %s so", async (_name, given, expected) => {
  const lines = about(await checked({ ...given(), connects: true }), "backend main:");
  assert.match(lines[0], expected);
});

Deno.test("check() warns of what can be read or forged on its way", async () => {
  const lines = await checked({
    backends: ["disable", "require", "verify-ca"].map((mode) =>
      `[[backends]]\nname = "${mode}"\nurl = "postgres://app@db.example/x?sslmode=${mode}"\n`
    ).join(""),
    rules: '[[rules]]\nissuer = "corp"\nmatch = "a"\nbackend = "require"',
    more: "[admin]\naddress = '0.0.0.0:9187'\ninsecure_plaintext = true",
  });
  assert.deepEqual(lines.filter((line) => /^warning (backend|admin)/.test(line)), [
    "warning admin: insecure_plaintext: metrics can be read on their way to other machines",
    "warning backend disable: sslmode=disable: what is said there can be read and changed on its way",
    "warning backend require: sslmode=require: whoever answers there is taken for the backend",
    "warning backend verify-ca: sslmode=verify-ca: any server of its authorities is taken for the backend",
  ]);
});

Deno.test.each<[string, string, string[]]>([
  ["every IPv4 address", '["10.0.0.5", "0.0.0.0/0"]', ["0.0.0.0/0"]],
  ["every IPv6 address", '["::/0"]', ["::/0"]],
  ["large networks", '["10.0.0.0/8", "fd00::/8"]', []],
])("check() warns of balancers at %s, who could be anybody", async (_name, networks, everybody) => {
  const lines = await checked({ listen: `proxy_protocol = ${networks}` });
  assert.deepEqual(
    lines.filter((line) => line.startsWith("warning listen:")),
    everybody.map((network) =>
      `warning listen: proxy_protocol has ${network}: whoever reaches the proxy can say that they come from anywhere`
    ),
  );
});

Deno.test("tableOf() aligns its columns and counts what is wrong", () => {
  const findings = [
    { what: "one", state: "ok", detail: "fine" },
    { what: "another", state: "warning", detail: "soon" },
    { what: "third", state: "fault", detail: "no" },
  ] as const;
  assert.equal(
    tableOf(findings),
    "ok       one      fine\nwarning  another  soon\nfault    third    no\n\n1 fault, 1 warning",
  );
  assert.equal(hasFault(findings), true);
  assert.equal(hasFault(findings.slice(0, 2)), false);
});
