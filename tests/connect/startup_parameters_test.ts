import assert from "node:assert/strict";
import { startupParameters, type StartupSources } from "../../lib/connect/startup_parameters.ts";
import { parseSetting } from "../../lib/connect/setting.ts";
import { parseTarget } from "../../lib/connect/target.ts";

const SOURCES: StartupSources = {
  backend: "orders",
  target: parseTarget("postgres://app@h/orders"),
  clientParameters: new Map(),
  set: new Map(),
  facts: {
    identity: "alice",
    issuer: "corp",
    token_id: "7",
    client_address: "192.0.2.1",
    rule: "staff",
    user: "reporting",
  },
};

Deno.test("startupParameters() sends the URL's user and database", () => {
  assert.deepEqual(sent({ clientDatabase: "theirs" }), [["user", "app"], ["database", "orders"]]);
});

Deno.test("startupParameters() sends the client's database where the URL has none", () => {
  const target = parseTarget("postgres://app@h");
  assert.deepEqual(sent({ target, clientDatabase: "theirs" }), [["user", "app"], ["database", "theirs"]]);
});

Deno.test("startupParameters() sends the role of the rule in place of the URL's", () => {
  assert.deepEqual(sent({ loginAs: "alice" })[0], ["user", "alice"]);
});

Deno.test("startupParameters() refuses a login without a role", () => {
  assert.throws(() => startupParameters({ ...SOURCES, target: parseTarget("postgres://h") }), {
    sqlstate: "08001",
    blame: "operator",
  });
});

Deno.test("startupParameters() sends everything in its order", () => {
  const parameters = sent({
    target: parseTarget("postgres://app@h/orders?application_name=url"),
    replication: "database",
    clientParameters: new Map([["datestyle", "ISO"]]),
    set: new Map([["statement_timeout", ["5s"]]]),
    clientAddress: { address: "192.0.2.1", port: 4000 },
  });
  assert.deepEqual(parameters, [
    ["user", "app"],
    ["database", "orders"],
    ["replication", "database"],
    ["datestyle", "ISO"],
    ["application_name", "url"],
    ["statement_timeout", "5s"],
    ["crdb:remote_addr", "192.0.2.1:4000"],
  ]);
});

Deno.test.each([
  { name: "user" },
  { name: "database" },
  { name: "replication" },
  { name: "options" },
  { name: "crdb:remote_addr" },
  { name: "CRDB:Remote_Addr" },
])("W11 startupParameters() never sends a client's $name", ({ name }) => {
  assert.deepEqual(sent({ clientParameters: new Map([[name, "evil"]]) }), [["user", "app"], [
    "database",
    "orders",
  ]]);
});

Deno.test.each<{ case: string; url: string; backend: [string, string][] }>([
  { case: "the URL's", url: "postgres://app@h/orders?application_name=mapped", backend: [] },
  { case: "the backend's", url: "postgres://app@h/orders", backend: [["application_name", "mapped"]] },
  {
    case: "the backend's over the URL's",
    url: "postgres://app@h/orders?application_name=x",
    backend: [["application_name", "mapped"]],
  },
])("W11 a client's value never overrides $case", ({ url, backend }) => {
  const parameters = sent({
    target: parseTarget(url),
    set: new Map(backend.map(([name, value]) => [name, [value]])),
    clientParameters: new Map([["Application_Name", "evil"], ["application_name", "evil"]]),
  });
  assert.deepEqual(parameters.slice(2), [["application_name", "mapped"]]);
});

Deno.test.each([
  { options: "-c search_path=app" },
  { options: "-csearch_path=app" },
  { options: "-c geqo=off --search-path=app" },
])("W11 a client's value never overrides one in $options", ({ options }) => {
  const parameters = sent({
    target: parseTarget(`postgres://app@h/orders?options=${encodeURIComponent(options)}`),
    clientParameters: new Map([["search_path", "evil"], ["datestyle", "ISO"]]),
  });
  assert.deepEqual(parameters.slice(2), [["datestyle", "ISO"], ["options", options]]);
});

Deno.test("startupParameters() writes an IPv6 address in brackets", () => {
  const clientAddress = { address: "2001:db8::1", port: 4000 };
  assert.deepEqual(sent({ clientAddress }).at(-1), ["crdb:remote_addr", "[2001:db8::1]:4000"]);
});

Deno.test("startupParameters() tells the backend of the session what its settings ask for", () => {
  const set = new Map([
    ["app.user", parseSetting("app.user", "{identity}/{issuer}/{token_id}")],
    ["application_name", parseSetting("application_name", "{user} from {client_address} by {rule}")],
  ]);
  assert.deepEqual(sent({ set }).slice(2), [
    ["app.user", "alice/corp/7"],
    ["application_name", "reporting from 192.0.2.1 by staff"],
  ]);
});

Deno.test.each(["app.user", "APP.User"])("W11 a client's %s never overrides what is told of it", (name) => {
  const set = new Map([["app.user", parseSetting("app.user", "{identity}")]]);
  const parameters = sent({ set, clientParameters: new Map([[name, "evil"]]) });
  assert.deepEqual(parameters.slice(2), [["app.user", "alice"]]);
});

Deno.test("startupParameters() refuses a message that no server would take, and nothing shorter", () => {
  const set = new Map([["app.user", parseSetting("app.user", "{identity}")]]);
  const identity = (length: number) => ({ ...SOURCES.facts, identity: "é".repeat(length / 2) });
  // 4 version, "user" "app" "database" "orders" "app.user" with a zero byte behind each, and one for the end.
  const room = 10_000 - 4 - (5 + 4 + 9 + 7 + 9 + 1) - 1;
  assert.equal(room % 2, 0);
  assert.equal(sent({ set, facts: identity(room) }).length, 3);
  assert.throws(() => sent({ set, facts: identity(room + 2) }), { name: "PgError", sqlstate: "28000" });
});

function sent(change: Partial<StartupSources>): [string, string][] {
  return [...startupParameters({ ...SOURCES, ...change })];
}
