import assert from "node:assert/strict";
import fc from "fast-check";
import { Tallies } from "../../lib/limits/tallies.ts";

/** Counts a failure whose time is never over. */
function count(tallies: Tallies, network: string, user: string): number {
  return tallies.count(network, { user, nowMs: 0, isOver: () => false }).ofUser.failures;
}

Deno.test("Tallies.count() counts by user and by network", () => {
  const tallies = new Tallies();
  count(tallies, "a", "alice");
  count(tallies, "a", "bob");
  count(tallies, "b", "alice");
  const { ofNetwork, ofUser } = tallies.count("a", { user: "alice", nowMs: 0, isOver: () => false });
  assert.equal(ofNetwork.failures, 3);
  assert.equal(ofUser.failures, 2);
});

Deno.test("Tallies.count() begins again when a tally's time is over", () => {
  const tallies = new Tallies();
  count(tallies, "a", "alice");
  const { ofNetwork, ofUser } = tallies.count("a", { user: "alice", nowMs: 7, isOver: () => true });
  assert.deepEqual(ofUser, { failures: 1, sinceMs: 7, isRefused: false });
  assert.deepEqual(ofNetwork, { failures: 1, sinceMs: 7, isRefused: false });
});

Deno.test("Tallies.forget() forgets one user and leaves the network's others", () => {
  const tallies = new Tallies();
  count(tallies, "a", "alice");
  count(tallies, "a", "bob");
  tallies.forget("a", "alice");
  assert.equal(tallies.ofUser("a", "alice"), undefined);
  assert.equal(tallies.ofUser("a", "bob")?.failures, 1);
  assert.equal(tallies.size, 1);
});

Deno.test("Tallies.forget() forgets a network with its last user", () => {
  const tallies = new Tallies();
  count(tallies, "a", "alice");
  tallies.forget("a", "alice");
  const { ofNetwork } = tallies.count("a", { user: "bob", nowMs: 0, isOver: () => false });
  assert.equal(ofNetwork.failures, 1);
});

Deno.test("T18 a network that names many users pushes out its own least suspect, and nobody else's", () => {
  const tallies = new Tallies({ usersOfNetwork: 3 });
  count(tallies, "neighbour", "alice");
  for (const user of ["root", "root", "admin"]) count(tallies, "hostile", user);
  for (let index = 0; index < 100; index++) count(tallies, "hostile", `user${index}`);
  assert.equal(tallies.size, 4);
  assert.equal(tallies.ofUser("hostile", "root")?.failures, 2);
  assert.equal(tallies.ofUser("neighbour", "alice")?.failures, 1);
});

Deno.test("Tallies.count() pushes out those first whose time is over", () => {
  const tallies = new Tallies({ usersOfNetwork: 2 });
  for (const user of ["old", "old", "old", "new"]) count(tallies, "a", user);
  const isOver = ({ failures }: { failures: number }) => failures === 3;
  tallies.count("a", { user: "third", nowMs: 0, isOver });
  assert.equal(tallies.ofUser("a", "old"), undefined);
  assert.equal(tallies.ofUser("a", "new")?.failures, 1);
});

Deno.test("Tallies forgets the network that has been quiet longest when there are too many", () => {
  const tallies = new Tallies({ pairs: 2 });
  for (const network of ["a", "b", "a", "c"]) count(tallies, network, "alice");
  assert.deepEqual(["a", "b", "c"].map((network) => tallies.ofUser(network, "alice")?.failures), [
    2,
    undefined,
    1,
  ]);
});

Deno.test("Tallies remembers no more than it has room for, and knows how much that is, whatever happens", () => {
  const NETWORKS = ["a", "b", "c", "d", "e", "f"];
  const USERS = ["alice", "bob", "carol", "dave", "eve"];
  const event = fc.record({
    network: fc.constantFrom(...NETWORKS),
    user: fc.constantFrom(...USERS),
    isFailure: fc.boolean(),
  });
  fc.assert(fc.property(fc.array(event, { maxLength: 100 }), (events) => {
    const tallies = new Tallies({ pairs: 8, usersOfNetwork: 3 });
    for (const { network, user, isFailure } of events) {
      if (isFailure) count(tallies, network, user);
      else tallies.forget(network, user);
      const known = NETWORKS.map((name) => USERS.filter((each) => tallies.ofUser(name, each)).length);
      assert.equal(known.reduce((sum, users) => sum + users), tallies.size);
      assert(tallies.size <= 8);
      assert(known.every((users) => users <= 3));
    }
  }));
});
