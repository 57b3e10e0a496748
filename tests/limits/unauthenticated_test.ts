import assert from "node:assert/strict";
import fc from "fast-check";
import type { LimitHit } from "../../lib/limits/limit_hits.ts";
import type { PgError } from "../../lib/errors.ts";
import type { LimitsSettings } from "../../lib/limits/schema.ts";
import { type Place, type Stranger, Unauthenticated } from "../../lib/limits/unauthenticated.ts";
import { Clock, limits } from "./settings.ts";

/** How many may be on their way out. */
const MAX_LEAVING = 100;

/** A connection that only writes down what becomes of it. */
class Visitor implements Stranger {
  readonly place: Place;
  told?: PgError;
  isDropped = false;
  hit?: LimitHit;

  constructor(unauthenticated: Unauthenticated, address?: string) {
    this.place = unauthenticated.enter(this);
    if (address !== undefined) this.place.comesFrom(address);
  }

  dismiss(why: () => PgError): void {
    this.told = why();
  }

  drop(hit?: LimitHit): void {
    this.isDropped = true;
    this.hit = hit;
  }

  get fate(): string {
    return this.isDropped ? "dropped" : this.told?.fault ?? "stays";
  }
}

function scene(given: Partial<LimitsSettings>) {
  const settings = limits({ unauthenticated_per_address: 0, ...given });
  const unauthenticated = new Unauthenticated(settings, new Clock().now);
  const come = (count: number, address?: string) =>
    Array.from({ length: count }, () => new Visitor(unauthenticated, address));
  return { unauthenticated, come };
}

const fates = (visitors: readonly Visitor[]) => visitors.map(({ fate }) => fate);

Deno.test("W12 Unauthenticated lets the connection leave that has been waited for longest", () => {
  const { come } = scene({ unauthenticated: 3 });
  assert.deepEqual(fates(come(5)), ["unauthenticated", "unauthenticated", "stays", "stays", "stays"]);
});

Deno.test("W12 Unauthenticated lets the address that has too many have no more, and its neighbours be", () => {
  const { come } = scene({ unauthenticated_per_address: 2 });
  const neighbours = come(2, "192.0.2.1");
  const crowd = come(50, "192.0.2.2");
  assert.deepEqual(fates(neighbours), ["stays", "stays"]);
  assert.deepEqual(fates(crowd), [...Array(48).fill("unauthenticated_per_address"), "stays", "stays"]);
});

Deno.test("W12 Unauthenticated counts an IPv6 /64 as one address", () => {
  const { come } = scene({ unauthenticated_per_address: 1 });
  const [first] = come(1, "2001:db8::1");
  come(1, "2001:db8::ffff:1");
  assert.equal(first.fate, "unauthenticated_per_address");
});

Deno.test("Unauthenticated says which limit it is, and its number", () => {
  const { come } = scene({ unauthenticated_per_address: 1 });
  const [{ told }] = come(2, "192.0.2.1");
  const { sqlstate, severity, message, detail, hint, reason } = told!;
  assert.deepEqual({ sqlstate, severity, message, detail, hint, reason }, {
    sqlstate: "53300",
    severity: "FATAL",
    message: "too many connections from this address are logging in",
    detail: "There may be 1 at a time (limits.unauthenticated_per_address).",
    hint: "Try again when another connection has been closed.",
    reason: "limits.unauthenticated_per_address is 1",
  });
});

Deno.test("W12 Unauthenticated drops who has been leaving longest when a hundred are leaving", () => {
  const { unauthenticated, come } = scene({ unauthenticated: 1 });
  const visitors = come(MAX_LEAVING + 4);
  assert.deepEqual(fates(visitors).slice(0, 4), ["dropped", "dropped", "dropped", "unauthenticated"]);
  assert.equal(unauthenticated.leavingCount, MAX_LEAVING);
});

Deno.test("W12 Unauthenticated has the first one that it drops told as news", () => {
  const { come } = scene({ unauthenticated: 1 });
  const [first, second] = come(MAX_LEAVING + 3);
  const limit = "unauthenticated";
  assert.deepEqual(first.hit, { limit, isNews: true, passedOver: 0 });
  assert.deepEqual(second.hit, { limit, isNews: false, passedOver: 1 });
});

Deno.test("Unauthenticated has no hit told of one that has been told itself", () => {
  const { come } = scene({ unauthenticated: 1 });
  const [refused, dismissed] = come(2);
  refused.place.leaves();
  dismissed.place.leaves();
  come(MAX_LEAVING + 1);
  assert.deepEqual([refused.isDropped, refused.hit], [true, undefined]);
  assert.deepEqual([dismissed.isDropped, dismissed.hit], [true, undefined]);
});

Deno.test("W12 Unauthenticated holds no more than it may, though nobody says anything", () => {
  const { unauthenticated, come } = scene({ unauthenticated: 1000, unauthenticated_per_address: 100 });
  const others = come(10, "192.0.2.1");
  come(5000, "192.0.2.2");
  assert.equal(unauthenticated.size, 110);
  assert.equal(unauthenticated.leavingCount, MAX_LEAVING);
  assert.deepEqual(new Set(fates(others)), new Set(["stays"]));
  for (let host = 0; host < 5000; host++) come(1, `10.0.${host >> 8}.${host & 255}`);
  assert.equal(unauthenticated.size, 1000);
  assert.equal(unauthenticated.addressCount, 1000);
  assert.equal(unauthenticated.leavingCount, MAX_LEAVING);
});

Deno.test("Unauthenticated does not count who is being refused", () => {
  const { unauthenticated, come } = scene({ unauthenticated: 1 });
  const [refused] = come(1);
  refused.place.leaves();
  const [next] = come(1);
  assert.deepEqual([refused.fate, next.fate], ["stays", "stays"]);
  assert.deepEqual([unauthenticated.size, unauthenticated.leavingCount], [1, 1]);
});

Deno.test("Unauthenticated counts nobody twice who has left", () => {
  const { unauthenticated, come } = scene({ unauthenticated: 2 });
  const [gone, other] = come(2, "192.0.2.1");
  gone.place[Symbol.dispose]();
  gone.place[Symbol.dispose]();
  gone.place.comesFrom("192.0.2.1");
  gone.place.leaves();
  assert.deepEqual([unauthenticated.size, unauthenticated.leavingCount], [1, 0]);
  other.place[Symbol.dispose]();
  assert.deepEqual([unauthenticated.size, unauthenticated.addressCount], [0, 0]);
});

Deno.test("Unauthenticated lets any number in where it is turned off", () => {
  const { unauthenticated, come } = scene({ unauthenticated: 0 });
  come(3000, "192.0.2.1");
  assert.equal(unauthenticated.size, 3000);
});

Deno.test("Unauthenticated.apply() goes by other numbers, and keeps who is there", () => {
  const { unauthenticated, come } = scene({ unauthenticated: 0 });
  const early = come(3);
  unauthenticated.apply(limits({ unauthenticated: 3 }));
  assert.deepEqual(fates(early), ["stays", "stays", "stays"]);
  come(1);
  assert.deepEqual(fates(early), ["unauthenticated", "stays", "stays"]);
});

Deno.test("Unauthenticated knows how many there are, whatever they do", () => {
  const act = fc.tuple(
    fc.constantFrom("come", "locate", "leave", "go"),
    fc.nat(30),
    fc.constantFrom("192.0.2.1", "192.0.2.2", "2001:db8::1"),
  );
  fc.assert(fc.property(fc.array(act, { maxLength: 200 }), fc.nat(5), fc.nat(3), (acts, all, perAddress) => {
    const { unauthenticated } = scene({ unauthenticated: all, unauthenticated_per_address: perAddress });
    const visitors: Visitor[] = [];
    const located = new Set<Visitor>();
    for (const [what, which, address] of acts) {
      const visitor = visitors[which % Math.max(1, visitors.length)];
      if (what === "come") visitors.push(new Visitor(unauthenticated));
      else if (visitor === undefined) continue;
      else if (what === "leave") visitor.place.leaves();
      else if (what === "go") visitor.place[Symbol.dispose]();
      else if (!located.has(visitor)) {
        located.add(visitor);
        visitor.place.comesFrom(address);
      }
      assert(all === 0 || unauthenticated.size <= all);
      assert(perAddress === 0 || all > 0 || unauthenticated.leavingCount <= MAX_LEAVING);
    }
    for (const { place } of visitors) place[Symbol.dispose]();
    const { size, leavingCount, addressCount } = unauthenticated;
    assert.deepEqual({ size, leavingCount, addressCount }, { size: 0, leavingCount: 0, addressCount: 0 });
  }));
});
