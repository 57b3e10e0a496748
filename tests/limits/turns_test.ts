import assert from "node:assert/strict";
import fc from "fast-check";
import { Turns } from "../../lib/limits/turns.ts";
import { limits } from "./settings.ts";

const HERE = "192.0.2.1";
const THERE = "192.0.2.2";

function turnsOf(max: number): Turns {
  return new Turns(limits({ judged_per_address: max }));
}

/** One who wants a turn. */
class Visitor {
  readonly #leaving = new AbortController();
  turn?: Disposable;
  reason: unknown;

  constructor(turns: Turns, address = HERE, issuer?: string) {
    turns.take(address, { issuer: issuer ?? "corp", signal: this.#leaving.signal }).then(
      (turn) => this.turn = turn,
      (reason) => this.reason = reason,
    );
  }

  get hasTurn(): boolean {
    return this.turn !== undefined;
  }

  leave(): void {
    this.#leaving.abort("gone");
  }

  /** Its turn is over. */
  end(): void {
    this.turn?.[Symbol.dispose]();
  }
}

const come = (turns: Turns, count: number, ...where: [address?: string, issuer?: string]) =>
  Array.from({ length: count }, () => new Visitor(turns, ...where));

const haveTurns = (visitors: readonly Visitor[]) => visitors.map(({ hasTurn }) => hasTurn);

/** Everything moves in microtasks. */
const settle = () => new Promise((resolve) => setTimeout(resolve));

Deno.test("take() gives an address so many turns at a time, and the others one by one, first come, first served", async () => {
  const visitors = come(turnsOf(2), 4);
  await settle();
  assert.deepEqual(haveTurns(visitors), [true, true, false, false]);
  visitors[1].end();
  await settle();
  assert.deepEqual(haveTurns(visitors), [true, true, true, false]);
  visitors[0].end();
  await settle();
  assert.deepEqual(haveTurns(visitors), [true, true, true, true]);
});

Deno.test("take() makes nobody wait for another address", async () => {
  const turns = turnsOf(2);
  come(turns, 200, HERE);
  const others = come(turns, 2, THERE);
  await settle();
  assert.deepEqual(haveTurns(others), [true, true]);
});

Deno.test("take() makes nobody wait for another issuer", async () => {
  const turns = turnsOf(1);
  come(turns, 5, HERE, "slow");
  const others = [...come(turns, 1, HERE, "fast"), ...come(turns, 1, HERE)];
  await settle();
  assert.deepEqual(haveTurns(others), [true, true]);
});

Deno.test("take() has one line for an IPv6 /64", async () => {
  const turns = turnsOf(1);
  const visitors = ["2001:db8::1", "2001:db8::ffff:1", "2001:db8:0:1::1"].map((address) =>
    new Visitor(turns, address)
  );
  await settle();
  assert.deepEqual(haveTurns(visitors), [true, false, true]);
});

Deno.test("take() gives up when its signal aborts, and nobody waits for whoever has left", async () => {
  const [first, second, third] = come(turnsOf(1), 3);
  await settle();
  second.leave();
  await settle();
  assert.equal(second.reason, "gone");
  first.end();
  await settle();
  assert.equal(third.hasTurn, true);
});

Deno.test("take() does not lose the turn of one who is called and leaves in the same moment", async () => {
  const turns = turnsOf(1);
  const [first, second, third] = come(turns, 3);
  await settle();
  first.end();
  second.leave();
  await settle();
  assert.deepEqual([second.hasTurn, third.hasTurn], [true, false]);
  second.end();
  await settle();
  assert.equal(third.hasTurn, true);
});

Deno.test("take() gives no turn to whoever has left before", async () => {
  const turns = turnsOf(1);
  await assert.rejects(
    turns.take(HERE, { issuer: "corp", signal: AbortSignal.abort(new Error("gone")) }),
    /gone/,
  );
  assert.equal(turns.size, 0);
});

Deno.test("a turn is over once, however often it is disposed of", async () => {
  const turns = turnsOf(1);
  const [first, second, third] = come(turns, 3);
  await settle();
  first.end();
  first.end();
  await settle();
  assert.deepEqual([second.hasTurn, third.hasTurn], [true, false]);
});

Deno.test.each<[number, number, boolean[]]>([
  [3, 0, [true, true, true, false, false]],
  [0, 0, [true, true, true, true, true]],
  [1, 1, [true, true, false, false, false]],
  [1, 2, [true, true, true, false, false]],
])("apply() from 2 to %i, and %i turns over: %j", async (max, over, expected) => {
  const turns = turnsOf(2);
  const visitors = come(turns, 5);
  await settle();
  turns.apply(limits({ judged_per_address: max }));
  visitors.slice(0, over).forEach((visitor) => visitor.end());
  await settle();
  assert.deepEqual(haveTurns(visitors), expected);
});

Deno.test("Turns never gives too many, never lets one wait in vain, and forgets all who have left", async () => {
  const step = fc.record({
    what: fc.constantFrom("come", "end", "leave"),
    address: fc.constantFrom(HERE, THERE),
    which: fc.nat(),
  });
  await fc.assert(
    fc.asyncProperty(
      fc.integer({ min: 1, max: 3 }),
      fc.array(step, { maxLength: 60 }),
      async (max, steps) => {
        const turns = turnsOf(max);
        const there = new Map<string, Visitor[]>([[HERE, []], [THERE, []]]);
        for (const { what, address, which } of steps) {
          const visitors = there.get(address)!;
          const visitor = visitors[which % visitors.length];
          if (what === "come") visitors.push(new Visitor(turns, address));
          else if (what === "leave" && visitor?.hasTurn === false) visitor.leave();
          else visitor?.end();
          if (what !== "come" && visitor !== undefined) visitors.splice(visitors.indexOf(visitor), 1);
          // One who waited and is told to end leaves all the same.
          if (what === "end" && visitor?.hasTurn === false) visitor.leave();
          await settle();
          for (const visitors of there.values()) {
            assert.equal(visitors.filter(({ hasTurn }) => hasTurn).length, Math.min(max, visitors.length));
          }
        }
        for (const visitor of [...there.values()].flat().reverse()) {
          if (visitor.hasTurn) visitor.end();
          else visitor.leave();
        }
        await settle();
        assert.equal(turns.size, 0);
      },
    ),
    { numRuns: 30 },
  );
});
