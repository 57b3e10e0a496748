import assert from "node:assert/strict";
import { wayInSchema } from "../../lib/authenticate/schema.ts";
import { type Arrival, chooseWayIn, type WayInRule } from "../../lib/authenticate/way_in.ts";
import * as v from "valibot";

const ARRIVAL: Arrival = {
  listener: "0.0.0.0:6432",
  serverName: "db.example.com",
  clientAddress: "192.0.2.7",
  user: "alice",
  database: "orders",
};

/** A table of the configuration, as it is read. */
function rule(conditions: Record<string, unknown>, issuer = "corp"): WayInRule {
  const settings = v.parse(wayInSchema, { method: "password", issuer, ...conditions });
  return { settings, way: { method: settings.method, issuer } };
}

Deno.test.each<[string, Record<string, unknown>, Partial<Arrival>, boolean]>([
  ["no conditions", {}, {}, true],
  ["a listener", { listeners: ["127.0.0.1:1", "0.0.0.0:6432"] }, {}, true],
  ["another listener", { listeners: ["127.0.0.1:6432"] }, {}, false],
  ["a server name", { server_names: ["db.example.com"] }, {}, true],
  ["a server name in capitals", { server_names: ["DB.Example.com"] }, {}, true],
  ["a client that writes it in capitals", { server_names: ["db.example.com"] }, {
    serverName: "DB.example.COM",
  }, true],
  ["another server name", { server_names: ["db2.example.com"] }, {}, false],
  ["a client without a server name", { server_names: ["db.example.com"] }, { serverName: null }, false],
  ["a name under an asterisk", { server_names: ["*.example.com"] }, {}, true],
  [
    "the name itself under an asterisk",
    { server_names: ["*.example.com"] },
    { serverName: "example.com" },
    false,
  ],
  [
    "two labels under an asterisk",
    { server_names: ["*.example.com"] },
    { serverName: "a.b.example.com" },
    false,
  ],
  ["no label under an asterisk", { server_names: ["*.example.com"] }, { serverName: ".example.com" }, false],
  ["a longer name under an asterisk", { server_names: ["*.example.com"] }, {
    serverName: "x.example.com.evil",
  }, false],
  ["a dot that is one", { server_names: ["db.example.com"] }, { serverName: "dbxexample.com" }, false],
  ["a network", { networks: ["198.51.100.0/24", "192.0.2.0/24"] }, {}, true],
  ["another network", { networks: ["198.51.100.0/24", "2001:db8::/32"] }, {}, false],
  [
    "a client of an IPv6 listener",
    { networks: ["192.0.2.0/24"] },
    { clientAddress: "::ffff:192.0.2.7" },
    true,
  ],
  ["a database", { databases: ["stock", "orders"] }, {}, true],
  ["another database", { databases: ["order"] }, {}, false],
  ["a database in capitals", { databases: ["Orders"] }, {}, false],
  ["any database", { databases: ["*"] }, {}, true],
  ["a user", { users: ["alice"] }, {}, true],
  ["another user", { users: ["bob"] }, {}, false],
  ["any user", { users: ["bob", "*"] }, {}, true],
  ["a user who is called *", { users: ["bob"] }, { user: "*" }, false],
  ["all of several", { databases: ["orders"], users: ["alice"], networks: ["192.0.2.7"] }, {}, true],
  ["all of several but one", { databases: ["orders"], users: ["bob"], networks: ["192.0.2.7"] }, {}, false],
])("chooseWayIn() tells whether a rule fits: %s", (_name, conditions, arrival, fits) => {
  const way = chooseWayIn([rule(conditions)], { ...ARRIVAL, ...arrival });
  assert.deepEqual(way, fits ? { method: "password", issuer: "corp" } : { method: "password" });
});

Deno.test("chooseWayIn() takes the first rule that fits", () => {
  const rules = [rule({ users: ["bob"] }, "a"), rule({ users: ["alice"] }, "b"), rule({}, "c")];
  assert.equal(chooseWayIn(rules, ARRIVAL).issuer, "b");
  assert.equal(chooseWayIn(rules, { ...ARRIVAL, user: "carol" }).issuer, "c");
});

Deno.test("chooseWayIn() without rules is the password, with any issuer's token", () => {
  assert.deepEqual(chooseWayIn([], ARRIVAL), { method: "password" });
});
