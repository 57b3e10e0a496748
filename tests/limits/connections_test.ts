import assert from "node:assert/strict";
import fc from "fast-check";
import { PgError } from "../../lib/errors.ts";
import { type Connected, Connections } from "../../lib/limits/connections.ts";
import type { LimitsSettings, NetworkLimit } from "../../lib/limits/schema.ts";
import { parseNetwork } from "../../lib/network.ts";
import { limits } from "./settings.ts";

const ALICE: Connected = {
  address: "10.0.0.1",
  identity: "alice",
  issuer: "corp",
  rule: { name: "everybody" },
  backend: { name: "orders" },
};

const network = (text: string, max: number): NetworkLimit => ({ network: parseNetwork(text), text, max });

/** The refusal of the next, or undefined. */
function refusal(connections: Connections, connected: Connected): PgError | undefined {
  try {
    connections.enter(connected);
    return undefined;
  } catch (error) {
    assert(error instanceof PgError);
    return error;
  }
}

interface Case {
  readonly settings?: Partial<LimitsSettings>;
  /** What limits, where it is not the settings. */
  readonly about?: Partial<Connected>;
  /** One like it that has room all the same. */
  readonly other?: Partial<Connected>;
  readonly told: string;
  readonly detail: string;
  readonly reason: string;
  readonly fault: string;
}

Deno.test.each<Case>([
  {
    settings: { connections: 2 },
    told: "too many connections",
    detail: "There may be 2 at a time (limits.connections).",
    reason: "limits.connections is 2",
    fault: "connections",
  },
  {
    settings: { connections_per_address: 2 },
    other: { address: "10.0.0.2" },
    told: "too many connections from this address",
    detail: "There may be 2 at a time (limits.connections_per_address).",
    reason: "limits.connections_per_address is 2",
    fault: "connections_per_address",
  },
  {
    settings: { connections_per_identity: 2 },
    other: { issuer: "partner" },
    told: "too many connections for this identity",
    detail: "There may be 2 at a time (limits.connections_per_identity).",
    reason: "limits.connections_per_identity is 2",
    fault: "connections_per_identity",
  },
  {
    settings: { connections_per_network: [network("10.0.0.0/8", 2), network("::/0", 1)] },
    other: { address: "192.0.2.1" },
    told: "too many connections from this network",
    detail: "There may be 2 at a time (limits.connections_per_network).",
    reason: "limits.connections_per_network of 10.0.0.0/8 is 2",
    fault: "connections_per_network",
  },
  {
    about: { rule: { name: "everybody", maxConnections: 2 } },
    other: { rule: { name: "administrators", maxConnections: 2 } },
    told: "too many connections by the rule that lets this identity in",
    detail: "There may be 2 at a time (rules.max_connections).",
    reason: 'rules.max_connections of "everybody" is 2',
    fault: "rules.max_connections",
  },
  {
    about: { backend: { name: "orders", maxConnections: 2 } },
    other: { backend: { name: "archive", maxConnections: 2 } },
    told: "too many connections to this backend",
    detail: "There may be 2 at a time (backends.max_connections).",
    reason: 'backends.max_connections of "orders" is 2',
    fault: "backends.max_connections",
  },
])("Connections.enter() refuses the third by $fault, and says so", (each) => {
  const { settings, about, other, told, detail, reason, fault } = each;
  const connections = new Connections(limits(settings));
  const connected = { ...ALICE, ...about };
  const first = connections.enter(connected);
  connections.enter(connected);
  const error = refusal(connections, connected)!;
  assert.deepEqual(
    [error.sqlstate, error.severity, error.message, error.detail, error.reason, error.fault],
    ["53300", "FATAL", told, detail, reason, fault],
  );
  assert.equal(connections.size, 2);
  if (other !== undefined) assert.equal(refusal(connections, { ...connected, ...other }), undefined);
  first[Symbol.dispose]();
  assert.equal(refusal(connections, connected), undefined);
});

Deno.test("Connections.enter() tells of the narrowest limit first", () => {
  const connections = new Connections(limits({ connections: 1, connections_per_identity: 1 }));
  connections.enter(ALICE);
  assert.equal(refusal(connections, ALICE)!.fault, "connections_per_identity");
  assert.equal(refusal(connections, { ...ALICE, identity: "bob" })!.fault, "connections");
});

Deno.test("Connections.enter() counts an IPv6 /64 as one address, and a network by its addresses", () => {
  const connections = new Connections(limits({
    connections_per_address: 1,
    connections_per_network: [network("2001:db8::/127", 1)],
  }));
  connections.enter({ ...ALICE, address: "2001:db8::1" });
  const fault = (address: string) => refusal(connections, { ...ALICE, address })?.fault;
  assert.equal(fault("2001:db8::5"), "connections_per_address");
  assert.equal(fault("2001:db8:0:1::1"), undefined);
});

Deno.test("Connections.enter() counts one where networks overlap in each of them", () => {
  const connections = new Connections(limits({
    connections_per_network: [network("10.0.0.0/8", 2), network("10.1.0.0/16", 1)],
  }));
  const from = (address: string) => refusal(connections, { ...ALICE, address })?.reason;
  assert.equal(from("10.1.0.1"), undefined);
  assert.equal(from("10.1.0.2"), "limits.connections_per_network of 10.1.0.0/16 is 1");
  assert.equal(from("10.2.0.1"), undefined);
  assert.equal(from("10.3.0.1"), "limits.connections_per_network of 10.0.0.0/8 is 2");
});

Deno.test("Connections gives a place back once, however often it is disposed of", () => {
  const connections = new Connections(limits({ connections: 2 }));
  const first = connections.enter(ALICE);
  connections.enter({ ...ALICE });
  first[Symbol.dispose]();
  first[Symbol.dispose]();
  assert.equal(connections.size, 1);
});

Deno.test("Connections.apply() keeps who is there, and counts them by limits that were not there", () => {
  const connections = new Connections(limits());
  const places = Array.from({ length: 3 }, () => connections.enter({ ...ALICE }));
  connections.apply(limits({ connections_per_network: [network("10.0.0.0/8", 3)] }));
  assert.equal(refusal(connections, { ...ALICE })!.fault, "connections_per_network");
  connections.apply(limits({ connections_per_identity: 3 }));
  assert.equal(refusal(connections, { ...ALICE })!.fault, "connections_per_identity");
  for (const place of places) place[Symbol.dispose]();
  assert.deepEqual([connections.size, connections.countsKept], [0, 0]);
});

Deno.test("Connections goes by the rule's and the backend's number of now", () => {
  const connections = new Connections(limits());
  const by = (maxConnections: number | undefined) => ({
    ...ALICE,
    rule: { name: "everybody", maxConnections },
  });
  connections.enter(by(undefined));
  connections.enter(by(3));
  assert.equal(refusal(connections, by(2))!.fault, "rules.max_connections");
  assert.equal(refusal(connections, by(3)), undefined);
});

Deno.test("Connections keeps nothing of who is gone, whatever came and went and was changed in between", () => {
  const networks = [network("10.0.0.0/8", 3), network("10.0.0.0/31", 2)];
  const word = fc.constantFrom("a", "b");
  const connected = fc.record({
    address: fc.constantFrom("10.0.0.1", "10.0.0.2", "192.0.2.1", "2001:db8::1"),
    identity: word,
    issuer: word,
    rule: fc.record({ name: word, maxConnections: fc.constantFrom(undefined, 1, 4) }),
    backend: fc.record({ name: word, maxConnections: fc.constantFrom(undefined, 2, 5) }),
  });
  const settings = fc.record({
    connections: fc.nat(6),
    connections_per_address: fc.nat(3),
    connections_per_identity: fc.nat(3),
    connections_per_network: fc.subarray(networks),
  });
  const act = fc.oneof({ arbitrary: connected, weight: 3 }, fc.nat(20), settings);
  fc.assert(fc.property(fc.array(act, { maxLength: 100 }), (acts) => {
    const connections = new Connections(limits());
    const places: Disposable[] = [];
    for (const act of acts) {
      if (typeof act === "number") places.splice(act, 1)[0]?.[Symbol.dispose]();
      else if ("connections" in act) connections.apply(limits(act));
      else {
        try {
          places.push(connections.enter(act));
        } catch (error) {
          assert.equal((error as PgError).sqlstate, "53300");
        }
      }
      assert.equal(connections.size, places.length);
      assert(connections.countsKept <= 7 * places.length);
    }
    for (const place of places) place[Symbol.dispose]();
    assert.deepEqual([connections.size, connections.countsKept], [0, 0]);
  }));
});
