import assert from "node:assert/strict";
import { backendLoginOf } from "../lib/admission.ts";
import { DEFAULT_LIFETIME } from "../lib/authorize/lifetime.ts";
import { parsePattern } from "../lib/authorize/pattern.ts";
import type { AuthWord } from "../lib/connect/log_in.ts";
import type { Granted } from "../lib/authorize/decide.ts";
import { parseTarget } from "../lib/connect/target.ts";
import { Secret } from "../lib/secret.ts";

const TOKEN = { issuer: "corp", claims: {}, expiresAtMs: 0, requireEmailVerified: true };
const REQUEST = {
  user: "alice",
  database: "orders",
  replication: null,
  settings: new Map([["search_path", "x"], ["application_name", "theirs"]]),
};

const CONNECTION = {
  client: { address: "192.0.2.1", port: 50000 },
  server: { address: "198.51.100.1", port: 6432 },
};

Deno.test("backendLoginOf() logs in as the decision's role, whatever the URL's user would have come to", () => {
  // A capture of 70 bytes is no name in the URL; the rule's login_as decides, and it is one.
  const { startup } = loginTo("postgres://a_\\1@db/orders", { role: "app", capture: "x".repeat(70) });
  assert.equal(startup.parameters.get("user"), "app");
});

Deno.test("T13 backendLoginOf() fills captures into values, and what is configured wins over the client's word", () => {
  const url = "postgres://app@db/tenant_\\1?application_name=for%20\\1";
  const { startup, target } = loginTo(url, { role: "app", database: "tenant_a@b/?c", capture: "a@b/?c" });
  assert.deepEqual([...startup.parameters], [
    ["user", "app"],
    ["database", "tenant_a@b/?c"],
    ["search_path", "x"],
    ["application_name", "for a@b/?c"],
  ]);
  assert.deepEqual(target.hosts, [{ kind: "tcp", host: "db", port: 5432 }]);
});

Deno.test.each<{ words: readonly AuthWord[]; token: string | undefined }>([
  { words: ["oauth"], token: "a.b.c" },
  { words: ["scram-sha-256", "oauth"], token: "a.b.c" },
  { words: ["scram-sha-256-plus", "scram-sha-256", "md5", "password", "cert", "none"], token: undefined },
])("backendLoginOf() hands the client's token to a backend of $words: $token", ({ words, token }) => {
  const login = loginTo("postgres://app@db", { role: "app", capture: "", requireAuth: words });
  assert.equal(login.token?.reveal(), token);
});

Deno.test.each<[boolean, unknown]>([
  [true, CONNECTION],
  [false, undefined],
])(
  "backendLoginOf() with send_proxy_protocol = %s tells the backend of the connection",
  (sends, expected) => {
    const login = loginTo("postgres://app@db", { role: "app", capture: "", sendsProxyHeader: sends });
    assert.deepEqual(login.proxied, expected);
  },
);

interface Way {
  readonly role: string;
  readonly database?: string;
  readonly capture: string;
  readonly requireAuth?: readonly AuthWord[];
  readonly sendsProxyHeader?: boolean;
}

function loginTo(
  url: string,
  { role, database = "orders", capture, requireAuth = ["scram-sha-256"], sendsProxyHeader = false }: Way,
) {
  const match = parsePattern("/(.*)/");
  const captures = [capture, capture];
  const rule = { index: 0 };
  const backend = "main";
  const decision: Granted = {
    ...{ outcome: "granted", trail: [], identity: capture, rule, backend, role, database, captures, match },
    ...{ lifetime: DEFAULT_LIFETIME, recordsIdentity: true },
  };
  return backendLoginOf({ token: TOKEN, decision, presented: new Secret("a.b.c"), admittedAtMs: 0 }, {
    request: REQUEST,
    protocolVersion: { major: 3, minor: 0 },
    connection: CONNECTION,
    access: {
      name: backend,
      target: parseTarget(url),
      requireAuth,
      channelBinding: "prefer",
      set: new Map(),
      reportsRemoteAddress: false,
      sendsProxyHeader,
    },
  });
}
