import assert from "node:assert/strict";
import * as v from "valibot";
import { backendOf, backendSchema } from "../../lib/connect/schema.ts";

const REMOTE = "postgres://app@db1.example.com/orders";

Deno.test("backendSchema fills in its defaults", () => {
  const backend = backendOf(v.parse(backendSchema, { name: "orders", url: REMOTE }));
  const { target: _, ...rest } = backend;
  assert.deepEqual(rest, {
    name: "orders",
    requireAuth: ["scram-sha-256-plus", "scram-sha-256"],
    channelBinding: "prefer",
    set: new Map(),
    reportsRemoteAddress: false,
    sendsProxyHeader: false,
    maxConnections: undefined,
  });
});

Deno.test.each([
  { case: "off this machine SCRAM", url: REMOTE, words: ["scram-sha-256-plus", "scram-sha-256"] },
  {
    case: "SCRAM when one host is off this machine",
    url: "postgres://localhost,db1.example.com",
    words: ["scram-sha-256-plus", "scram-sha-256"],
  },
  {
    case: "a certificate, too, where there is one",
    url: `${REMOTE}?sslcert=c.crt&sslkey=c.key`,
    words: ["scram-sha-256-plus", "scram-sha-256", "cert"],
  },
  {
    case: "anything on this machine",
    url: "postgres://localhost,%2Frun",
    words: ["scram-sha-256-plus", "scram-sha-256", "md5", "password", "cert", "none"],
  },
])("require_auth is by default $case", ({ url, words }) => {
  assert.deepEqual(backendOf(v.parse(backendSchema, { name: "orders", url })).requireAuth, words);
});

Deno.test.each<{ written: unknown; words: readonly string[] }>([
  { written: "md5", words: ["md5"] },
  { written: "md5,scram-sha-256", words: ["md5", "scram-sha-256"] },
  { written: ["scram-sha-256-plus"], words: ["scram-sha-256-plus"] },
])("require_auth may be written as $written", ({ written, words }) => {
  const table = v.parse(backendSchema, { name: "orders", url: REMOTE, require_auth: written });
  assert.deepEqual(backendOf(table).requireAuth, words);
});

Deno.test("set keeps the order it is written in", () => {
  const set = { statement_timeout: "5s", "app.tenant": "a", role: "reader" };
  const backend = backendOf(v.parse(backendSchema, { name: "orders", url: REMOTE, set }));
  assert.deepEqual([...backend.set], Object.entries(set).map(([name, value]) => [name, [value]]));
});

Deno.test.each<{ case: string; change: Record<string, unknown>; message: RegExp; key: string }>([
  { case: "no name", change: { name: "" }, message: /must not be empty/, key: "name" },
  {
    case: "a URL that cannot be used",
    change: { url: "postgres://h?sslmode=prefer" },
    message: /is not a backend's URL: sslmode must be/,
    key: "url",
  },
  { case: "an unknown key", change: { host: "h" }, message: /host/, key: "host" },
  {
    case: "an unknown login method",
    change: { require_auth: "gss" },
    message: /scram-sha-256/,
    key: "require_auth",
  },
  { case: "no login method", change: { require_auth: [] }, message: /empty/, key: "require_auth" },
  {
    case: "an unknown channel_binding",
    change: { channel_binding: "on" },
    message: /prefer/,
    key: "channel_binding",
  },
  {
    case: "two passwords",
    change: { password_file: "a", password_env: "B" },
    message: /second password/,
    key: "password_file",
  },
  {
    case: "a second password in the URL",
    change: { password_env: "B", url: "postgres://u:p@h" },
    message: /second password/,
    key: "password_env",
  },
  {
    case: "channel_binding = require without TLS",
    change: { channel_binding: "require", url: `${REMOTE}?sslmode=disable` },
    message: /no TLS/,
    key: "channel_binding",
  },
  {
    case: "PLUS that is forbidden",
    change: { channel_binding: "disable", require_auth: "scram-sha-256-plus" },
    message: /cannot be disable/,
    key: "channel_binding",
  },
  {
    case: "password without TLS",
    change: { require_auth: "password", url: `${REMOTE}?sslmode=disable` },
    message: /never sent without TLS/,
    key: "require_auth",
  },
  { case: "cert without one", change: { require_auth: "cert" }, message: /no sslcert/, key: "require_auth" },
  {
    case: "the role as a parameter",
    change: { set: { user: "x" } },
    message: /cannot be set/,
    key: "user",
  },
  {
    case: "replication as a parameter",
    change: { set: { Replication: "1" } },
    message: /cannot be set/,
    key: "Replication",
  },
  {
    case: "a parameter that is a number",
    change: { set: { a: 1 } },
    message: /text in quotes/,
    key: "a",
  },
  {
    case: "a parameter with a zero byte",
    change: { set: { a: "\0" } },
    message: /zero byte/,
    key: "a",
  },
  {
    case: "a parameter that the URL has too",
    change: { url: `${REMOTE}?application_name=x`, set: { Application_Name: "y" } },
    message: /gives Application_Name a second value/,
    key: "set",
  },
  {
    case: "a parameter in two spellings",
    change: { set: { datestyle: "ISO", DateStyle: "German" } },
    message: /gives DateStyle a second value/,
    key: "set",
  },
])("backendSchema refuses $case", ({ change, message, key }) => {
  const result = v.safeParse(backendSchema, { name: "orders", url: REMOTE, ...change });
  assert.equal(result.success, false);
  const issues = result.issues!;
  assert.ok(
    issues.some((issue) => message.test(issue.message) && issue.path?.some((item) => item.key === key)),
    JSON.stringify(issues.map((issue) => [issue.message, issue.path?.map((item) => item.key)])),
  );
});
