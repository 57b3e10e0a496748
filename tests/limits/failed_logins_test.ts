import assert from "node:assert/strict";
import fc from "fast-check";
import { PgError } from "../../lib/errors.ts";
import { FailedLogins, type Suspect } from "../../lib/limits/failed_logins.ts";
import type { LimitsSettings } from "../../lib/limits/schema.ts";
import { Clock, limits } from "./settings.ts";

const MINUTE_MS = 60_000;

const ALICE: Suspect = { address: "192.0.2.1", user: "alice" };

function scene(given: Partial<LimitsSettings> = {}) {
  const clock = new Clock();
  const failedLogins = new FailedLogins(limits(given), clock.now);
  return { clock, failedLogins };
}

/** Fails so often; returns how long each answer was held back. */
function fail(failedLogins: FailedLogins, times: number, suspect: Suspect = ALICE): number[] {
  return Array.from({ length: times }, () => {
    using heldBack = failedLogins.failed(suspect);
    return heldBack.ms;
  });
}

function isRefused(failedLogins: FailedLogins, suspect: Suspect = ALICE): boolean {
  try {
    failedLogins.check(suspect);
    return false;
  } catch (error) {
    assert(error instanceof PgError);
    assert.equal(error.sqlstate, "53300");
    return true;
  }
}

Deno.test("T18 answers to failed logins are held back longer and longer", () => {
  const { failedLogins } = scene();
  assert.deepEqual(fail(failedLogins, 10), [0, 0, 0, 100, 200, 400, 800, 1600, 2000, 2000]);
});

Deno.test("T18 after ten failed logins no more are looked at, and the client is told when to try again", () => {
  const { clock, failedLogins } = scene();
  fail(failedLogins, 9);
  assert.equal(isRefused(failedLogins), false);
  fail(failedLogins, 1);
  clock.advance(17_500);
  assert.throws(() => failedLogins.check({ ...ALICE, user: "alice" }), (error) => {
    assert(error instanceof PgError);
    const { sqlstate, severity, message, hint, reason, blame } = error;
    assert.deepEqual({ sqlstate, severity, message, hint, reason, blame }, {
      sqlstate: "53300",
      severity: "FATAL",
      message: 'too many failed logins for user "alice" from this address',
      hint: "Try again in 43 seconds.",
      reason: "refused for 1m after 10 within 5m (limits.failed_logins)",
      blame: "frontend",
    });
    return true;
  });
});

Deno.test("W16 the user is escaped in what a refused client is told", () => {
  const { failedLogins } = scene({ failed_logins: 1 });
  const suspect = { ...ALICE, user: "a\nb" };
  fail(failedLogins, 1, suspect);
  assert.throws(() => failedLogins.check(suspect), {
    message: 'too many failed logins for user "a\\nb" from this address',
  });
});

Deno.test("T18 another user of the address, and the user elsewhere, are neither refused nor slowed", () => {
  const { failedLogins } = scene();
  fail(failedLogins, 10);
  for (const neighbour of [{ ...ALICE, user: "bob" }, { ...ALICE, address: "192.0.2.2" }]) {
    assert.equal(isRefused(failedLogins, neighbour), false);
    assert.deepEqual(fail(failedLogins, 3, neighbour), [0, 0, 0]);
  }
});

Deno.test("T18 changing the address within an IPv6 /64 does not help", () => {
  const { failedLogins } = scene();
  for (let host = 1; host <= 10; host++) fail(failedLogins, 1, { ...ALICE, address: `2001:db8::${host}` });
  assert.equal(isRefused(failedLogins, { ...ALICE, address: "2001:db8::ffff" }), true);
});

Deno.test("T18 after a while the user is let in again, and its failures count from none", () => {
  const { clock, failedLogins } = scene();
  fail(failedLogins, 10);
  clock.advance(MINUTE_MS - 1);
  assert.equal(isRefused(failedLogins), true);
  clock.advance(1);
  assert.equal(isRefused(failedLogins), false);
  assert.deepEqual(fail(failedLogins, 4), [0, 0, 0, 100]);
});

Deno.test("FailedLogins.failed() does not make a refusal last longer", () => {
  const { clock, failedLogins } = scene();
  fail(failedLogins, 10);
  clock.advance(MINUTE_MS - 1);
  // Begun before the refusal, and found to be bad only now.
  fail(failedLogins, 1);
  clock.advance(1);
  assert.equal(isRefused(failedLogins), false);
});

Deno.test("FailedLogins.failed() begins to count again when the window is over", () => {
  const { clock, failedLogins } = scene();
  fail(failedLogins, 9);
  clock.advance(5 * MINUTE_MS);
  assert.deepEqual(fail(failedLogins, 9), [0, 0, 0, 100, 200, 400, 800, 1600, 2000]);
  assert.equal(isRefused(failedLogins), false);
});

Deno.test("FailedLogins.succeeded() forgets the failures of that user at that address", () => {
  const { failedLogins } = scene();
  fail(failedLogins, 9);
  fail(failedLogins, 9, { ...ALICE, user: "bob" });
  failedLogins.succeeded(ALICE);
  assert.deepEqual(fail(failedLogins, 4), [0, 0, 0, 100]);
  fail(failedLogins, 1, { ...ALICE, user: "bob" });
  assert.equal(isRefused(failedLogins, { ...ALICE, user: "bob" }), true);
});

Deno.test("T18 a clock set back locks nobody out", () => {
  const { clock, failedLogins } = scene();
  fail(failedLogins, 10);
  clock.advance(-365 * 24 * 60 * MINUTE_MS);
  assert.equal(isRefused(failedLogins), false);
  assert.deepEqual(fail(failedLogins, 4), [0, 0, 0, 100]);
});

Deno.test("T18 trying one user after another is slowed, and refuses nobody", () => {
  const { failedLogins } = scene();
  const delays = Array.from(
    { length: 90 },
    (_, index) => fail(failedLogins, 1, { ...ALICE, user: `user${index}` })[0],
  );
  assert.deepEqual(delays.slice(0, 39), Array(39).fill(0));
  assert.deepEqual([delays[39], delays[49], delays[88], delays[89]], [100, 200, 1600, 2000]);
  assert.equal(isRefused(failedLogins, ALICE), false);
});

Deno.test("T18 no number of users tried from one address makes the failures of another forgotten", () => {
  const { failedLogins } = scene();
  fail(failedLogins, 10);
  for (let index = 0; index < 30_000; index++) {
    fail(failedLogins, 1, { address: "198.51.100.1", user: `user${index}` });
  }
  assert.equal(isRefused(failedLogins), true);
  assert.equal(failedLogins.size, 101);
});

Deno.test("FailedLogins remembers twenty thousand pairs at most", () => {
  const { failedLogins } = scene();
  for (let index = 0; index < 20_500; index++) {
    fail(failedLogins, 1, { address: `10.0.${index >> 8}.${index & 255}`, user: "alice" });
  }
  assert.equal(failedLogins.size, 20_000);
});

Deno.test("FailedLogins.failed() holds back five hundred answers at a time, and gives the others at once", () => {
  const { failedLogins } = scene({ failed_logins: 1_000_000 });
  fail(failedLogins, 3);
  const pending = Array.from({ length: 501 }, () => failedLogins.failed(ALICE));
  assert.deepEqual(pending.slice(498).map(({ ms }) => ms), [2000, 2000, 0]);
  for (const heldBack of pending) heldBack[Symbol.dispose]();
  assert.deepEqual(fail(failedLogins, 1), [2000]);
});

Deno.test("FailedLogins counts nothing when it is turned off", () => {
  const { failedLogins } = scene({ failed_logins: 0 });
  assert.deepEqual(fail(failedLogins, 100), Array(100).fill(0));
  assert.equal(isRefused(failedLogins), false);
  assert.equal(failedLogins.size, 0);
});

Deno.test("FailedLogins.apply() keeps what was counted, and goes by the new settings", () => {
  const { clock, failedLogins } = scene();
  fail(failedLogins, 9);
  failedLogins.apply(limits({ failed_logins_refused_for: 2 * MINUTE_MS }));
  fail(failedLogins, 1);
  clock.advance(MINUTE_MS);
  assert.equal(isRefused(failedLogins), true);
  failedLogins.apply(limits({ failed_logins: 0 }));
  assert.equal(isRefused(failedLogins), false);
});

Deno.test("T16 what a client is told and how long it waits depends on counts alone", () => {
  const suspect = fc.record({ address: fc.ipV4(), user: fc.string({ minLength: 1, maxLength: 200 }) });
  fc.assert(fc.property(suspect, fc.nat(15), (one, failures) => {
    const { failedLogins } = scene();
    const other = scene().failedLogins;
    assert.deepEqual(fail(failedLogins, failures, one), fail(other, failures));
    assert.equal(isRefused(failedLogins, one), isRefused(other));
  }));
});

Deno.test("T18 whatever others do, a user without failures at an address is never refused", () => {
  const event = fc.record({
    address: fc.constantFrom("192.0.2.1", "192.0.2.2"),
    user: fc.constantFrom("bob", "carol", "root"),
    outcome: fc.constantFrom("failed", "succeeded"),
    waitMs: fc.nat(20_000),
  });
  fc.assert(fc.property(fc.array(event, { maxLength: 200 }), (events) => {
    const { clock, failedLogins } = scene({ failed_logins: 3 });
    for (const { waitMs, outcome, ...suspect } of events) {
      clock.advance(waitMs);
      if (outcome === "succeeded") failedLogins.succeeded(suspect);
      else fail(failedLogins, 1, suspect);
      assert.equal(isRefused(failedLogins), false);
    }
  }));
});
