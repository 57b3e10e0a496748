import assert from "node:assert/strict";
import * as v from "valibot";
import { NETWORK_MESSAGE, parseNetwork } from "../../lib/network.ts";
import { listenSchema } from "../../lib/stream/listen_schema.ts";

const CERTIFICATE = { certificate: "server.crt", private_key: "server.key" };
const ADDRESS = 'must be an IP address and a port, such as "127.0.0.1:6432" or "[::]:6432"';

function parse(table: Record<string, unknown>) {
  return v.parse(listenSchema, table);
}

function problems(table: Record<string, unknown>): [path: string, message: string][] {
  const { issues = [] } = v.safeParse(listenSchema, table);
  return issues.map((issue) => [v.getDotPath(issue) ?? "", issue.message]);
}

Deno.test.each<[keyof ReturnType<typeof parse>, unknown]>([
  ["address", { host: "127.0.0.1", port: 6432 }],
  ["minimum_tls_version", "TLSv1.2"],
  ["client_certificate", "none"],
  ["insecure_plaintext", false],
  ["login_timeout", 30_000],
])("[listen] has the default %s = %o", (key, value) => {
  assert.deepEqual(parse(CERTIFICATE)[key], value);
});

Deno.test.each<[string, string, number]>([
  ["0.0.0.0:6432", "0.0.0.0", 6432],
  ["[::]:6432", "::", 6432],
  ["[::ffff:10.0.0.1]:1", "::ffff:10.0.0.1", 1],
  ["127.0.0.1:0", "127.0.0.1", 0],
  ["10.0.0.1:65535", "10.0.0.1", 65535],
])("[listen] takes the address %s apart", (address, host, port) => {
  assert.deepEqual(parse({ ...CERTIFICATE, address }).address, { host, port });
});

Deno.test("[listen] takes several addresses", () => {
  const { address } = parse({ ...CERTIFICATE, address: ["127.0.0.1:1", "[::1]:2"] });
  assert.deepEqual(address, [{ host: "127.0.0.1", port: 1 }, { host: "::1", port: 2 }]);
});

Deno.test.each<[unknown]>([
  ["127.0.0.1"],
  [":6432"],
  ["127.0.0.1:"],
  ["127.0.0.1:65536"],
  ["127.0.0.1:-1"],
  ["127.0.0.1:12 "],
  ["[127.0.0.1]:6432"],
  ["256.0.0.1:6432"],
  ["localhost:6432"],
  ["::1:6432"],
  ["[::1]"],
  ["[localhost]:6432"],
  ["two words:6432"],
  [6432],
  [[]],
])("[listen] refuses the address %o", (address) => {
  assert.deepEqual(problems({ ...CERTIFICATE, address }).map(([, message]) => message), [ADDRESS]);
});

Deno.test("[listen] needs a certificate, unless tokens may travel in clear", () => {
  assert.deepEqual(problems({}).map(([path]) => path), ["certificate"]);
  assert.deepEqual(problems({ insecure_plaintext: true }), []);
});

Deno.test.each<[string, Record<string, string>]>([
  ["a certificate", { certificate: "server.crt" }],
  ["a key", { private_key: "server.key" }],
])("[listen] refuses %s alone", (_name, table) => {
  assert.deepEqual(problems({ insecure_plaintext: true, ...table }), [
    ["private_key", "must be given together with certificate"],
  ]);
});

Deno.test.each<[string, Record<string, unknown>, [path: string, message: string]]>([
  ["require without client_ca", { client_certificate: "require" }, [
    "client_ca",
    'is required with client_certificate = "require": name a PEM file with the authorities of the clients',
  ]],
  ["client_ca without client_certificate", { client_ca: "ca.crt" }, [
    "client_ca",
    'is of no use without client_certificate = "request" or "require"',
  ]],
  ['client_ca with "none"', { client_certificate: "none", client_ca: "ca.crt" }, [
    "client_ca",
    'is of no use without client_certificate = "request" or "require"',
  ]],
  [
    "require where clients may come in outside TLS",
    { client_certificate: "require", client_ca: "ca.crt", insecure_plaintext: true },
    [
      "client_certificate",
      'cannot be "require" where clients may come in outside TLS: remove insecure_plaintext',
    ],
  ],
  [
    "request where there is no TLS",
    {
      client_certificate: "request",
      insecure_plaintext: true,
      certificate: undefined,
      private_key: undefined,
    },
    ["client_certificate", "needs TLS: give certificate and private_key too"],
  ],
])("[listen] refuses %s", (_name, table, problem) => {
  assert.deepEqual(problems({ ...CERTIFICATE, ...table }), [problem]);
});

Deno.test.each<[Record<string, unknown>]>([
  [{ client_certificate: "request" }],
  [{ client_certificate: "request", client_ca: "ca.crt" }],
  [{ client_certificate: "require", client_ca: "ca.crt" }],
  [{ client_certificate: "request", insecure_plaintext: true }],
])("[listen] takes %o", (table) => assert.deepEqual(problems({ ...CERTIFICATE, ...table }), []));

Deno.test.each<[string, unknown]>([
  ["minimum_tls_version", "TLSv1.1"],
  ["insecure_plaintext", "yes"],
  ["login_timeout", "99ms"],
  ["login_timeout", 30],
  ["certificate", 1],
  ["client_certificate", true],
  ["client_certificate", "verify-ca"],
  ["client_ca", ["ca.crt"]],
  ["backlog", 10],
])("[listen] refuses %s = %o", (key, value) => {
  assert.deepEqual(problems({ ...CERTIFICATE, [key]: value }).map(([path]) => path), [key]);
});

Deno.test("[listen] proxy_protocol names nobody unless it is written", () => {
  assert.deepEqual(parse(CERTIFICATE).proxy_protocol, []);
});

Deno.test("[listen] proxy_protocol takes addresses and networks", () => {
  const { proxy_protocol } = parse({ ...CERTIFICATE, proxy_protocol: ["10.0.0.5", "2001:db8::/32"] });
  assert.deepEqual(proxy_protocol, ["10.0.0.5", "2001:db8::/32"].map(parseNetwork));
});

Deno.test.each<[unknown, string]>([
  [true, "must be an array of networks"],
  ["10.0.0.5", "must be an array of networks"],
  [[7], "must be text in quotes"],
  [["balancer.internal"], NETWORK_MESSAGE],
])("[listen] refuses proxy_protocol = %o", (proxy_protocol, message) => {
  assert.deepEqual(problems({ ...CERTIFICATE, proxy_protocol }).map(([, message]) => message), [message]);
});
