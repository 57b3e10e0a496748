import assert from "node:assert/strict";
import fc from "fast-check";
import { PgError } from "../../lib/errors.ts";
import { Discoveries } from "../../lib/limits/discoveries.ts";
import { Clock, limits } from "./settings.ts";

const ADDRESS = "192.0.2.1";

function scene(perMinute: number) {
  const clock = new Clock();
  const discoveries = new Discoveries(limits({ discoveries_per_minute: perMinute }), clock.now);
  const take = (times: number, address = ADDRESS) => {
    for (let count = 0; count < times; count++) discoveries.take(address);
  };
  return { clock, discoveries, take };
}

Deno.test("Discoveries.take() lets a minute's worth through at once, and refuses what is over it", () => {
  const { take } = scene(60);
  take(60);
  assert.throws(() => take(1), (error) => {
    assert(error instanceof PgError);
    const { sqlstate, message, hint, blame } = error;
    assert.deepEqual({ sqlstate, message, hint, blame }, {
      sqlstate: "53300",
      message: "too many OAuth discovery requests from this address",
      hint: "Try again in 1 second.",
      blame: "frontend",
    });
    return true;
  });
});

Deno.test("Discoveries.take() lets through as many as have trickled back", () => {
  const { clock, take } = scene(60);
  take(60);
  clock.advance(5_000);
  take(5);
  assert.throws(() => take(1), PgError);
});

Deno.test("Discoveries.take() never lets through more than a minute's worth at once, however long it was quiet", () => {
  const { clock, take } = scene(60);
  take(1);
  clock.advance(24 * 3_600_000);
  take(60);
  assert.throws(() => take(1), PgError);
});

Deno.test("Discoveries.take() says how long to wait", () => {
  const { take } = scene(2);
  take(2);
  assert.throws(() => take(1), { hint: "Try again in 30 seconds." });
});

Deno.test("Discoveries.take() refuses no other address", () => {
  const { take } = scene(60);
  take(60);
  take(60, "192.0.2.2");
});

Deno.test("Discoveries.take() counts an IPv6 /64 as one address", () => {
  const { take } = scene(2);
  take(1, "2001:db8::1");
  take(1, "2001:db8::2");
  assert.throws(() => take(1, "2001:db8::3"), PgError);
});

Deno.test("Discoveries.take() lets an address begin anew when the clock is set back", () => {
  const { clock, take } = scene(60);
  take(60);
  clock.advance(-3_600_000);
  take(60);
  assert.throws(() => take(1), PgError);
});

Deno.test("Discoveries.take() counts nothing when it is turned off", () => {
  const { discoveries, take } = scene(0);
  take(1000);
  assert.equal(discoveries.size, 0);
});

Deno.test("Discoveries.apply() keeps what was counted", () => {
  const { discoveries, take } = scene(60);
  take(60);
  discoveries.apply(limits({ discoveries_per_minute: 120 }));
  assert.throws(() => take(1), PgError);
});

Deno.test("Discoveries.apply() lowers what an address may ask", () => {
  const { discoveries, take } = scene(60);
  take(1);
  discoveries.apply(limits({ discoveries_per_minute: 2 }));
  take(2);
  assert.throws(() => take(1), PgError);
});

Deno.test("Discoveries remembers ten thousand addresses, and forgets the one that was silent longest", () => {
  const { discoveries, take } = scene(2);
  const address = (index: number) => `10.0.${index >> 8}.${index & 255}`;
  for (let index = 0; index < 10_000; index++) take(index < 2 ? 1 : 2, address(index));
  take(1, address(0));
  take(2, address(10_000));
  assert.equal(discoveries.size, 10_000);
  assert.throws(() => take(1, address(0)), PgError);
  assert.throws(() => take(1, address(2)), PgError);
  take(2, address(1));
});

Deno.test("Discoveries.take() lets through no more than the burst and what has trickled back, whatever is asked when", () => {
  const step = fc.record({ waitMs: fc.nat(30_000), questions: fc.nat(50) });
  fc.assert(fc.property(fc.array(step), fc.integer({ min: 1, max: 100 }), (steps, perMinute) => {
    const { clock, discoveries } = scene(perMinute);
    const startMs = clock.nowMs;
    let through = 0;
    for (const { waitMs, questions } of steps) {
      clock.advance(waitMs);
      for (let count = 0; count < questions; count++) {
        try {
          discoveries.take(ADDRESS);
          through++;
        } catch (error) {
          assert(error instanceof PgError);
        }
      }
      const most = perMinute + (clock.nowMs - startMs) * perMinute / 60_000;
      assert(through <= most + 1e-6, `${through} of ${most}`);
    }
  }));
});
