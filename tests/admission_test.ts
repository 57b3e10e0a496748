import assert from "node:assert/strict";
import { backendLoginOf } from "../lib/admission.ts";
import { DEFAULT_LIFETIME } from "../lib/authorize/lifetime.ts";
import { parsePattern } from "../lib/authorize/pattern.ts";
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

function loginTo(
  url: string,
  { role, database = "orders", capture }: { role: string; database?: string; capture: string },
) {
  const match = parsePattern("/(.*)/");
  const captures = [capture, capture];
  const rule = { index: 0 };
  const backend = "main";
  const decision: Granted = {
    ...{ outcome: "granted", trail: [], identity: capture, rule, backend, role, database, captures, match },
    ...{ lifetime: DEFAULT_LIFETIME, recordsIdentity: true },
  };
  return backendLoginOf({ token: TOKEN, decision, presented: new Secret("a.b.c") }, {
    request: REQUEST,
    protocolVersion: { major: 3, minor: 0 },
    client: { address: "127.0.0.1", port: 1 },
    access: {
      name: backend,
      target: parseTarget(url),
      requireAuth: ["scram-sha-256"],
      channelBinding: "prefer",
      parameters: new Map(),
      reportsRemoteAddress: false,
    },
  });
}
