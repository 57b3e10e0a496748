import assert from "node:assert/strict";
import fc from "fast-check";
import { IdleWatch, type Patience } from "../lib/idle_watch.ts";

type State = Parameters<IdleWatch["look"]>[0]["state"];

const MINUTE_MS = 60_000;

/** A session that does what a test says, and is looked at when its watch wants it. */
class Watched {
  readonly #watch: IdleWatch;
  state: State = "idle";
  bytesIn = 0;
  nowMs = 0;
  looks = 0;
  endedBy: string | undefined;
  #nextMs = 0;

  constructor(patience: Patience) {
    this.#watch = new IdleWatch(patience);
  }

  get watch(): IdleWatch {
    return this.#watch;
  }

  /** Lets time pass. */
  pass(ms: number): this {
    const untilMs = this.nowMs + ms;
    while (this.endedBy === undefined && this.#nextMs <= untilMs) {
      this.nowMs = this.#nextMs;
      this.looks++;
      this.endedBy = this.#watch.look(this, this.nowMs)?.sqlstate;
      this.#nextMs = this.#watch.nextMs(this.nowMs);
    }
    if (this.endedBy === undefined) this.nowMs = untilMs;
    return this;
  }

  /** Sends something, and is then in another state. */
  ask(state: State): this {
    this.bytesIn += 10;
    this.state = state;
    return this;
  }
}

Deno.test("IdleWatch.look() ends a session that was idle for so long, at that moment", () => {
  const session = new Watched({ idleMs: 10 * MINUTE_MS }).pass(60 * MINUTE_MS);
  assert.deepEqual([session.endedBy, session.nowMs], ["57P05", 10 * MINUTE_MS]);
});

Deno.test.each<[State]>([["idle in transaction"], ["idle in transaction (aborted)"]])(
  "IdleWatch.look() ends a session that is %s",
  (state) => {
    const session = new Watched({ idleInTransactionMs: MINUTE_MS }).ask(state).pass(60 * MINUTE_MS);
    assert.deepEqual([session.endedBy, session.nowMs], ["25P03", MINUTE_MS]);
  },
);

Deno.test.each<[string, Patience, State]>([
  ["that is active", { idleMs: 1000, idleInTransactionMs: 1000 }, "active"],
  ["idle in a transaction, where only idle sessions end", { idleMs: 1000 }, "idle in transaction"],
  ["idle, where only transactions end", { idleInTransactionMs: 1000 }, "idle"],
])("IdleWatch.look() leaves a session alone %s", (_name, patience, state) => {
  const session = new Watched(patience).ask(state).pass(60 * MINUTE_MS);
  assert.equal(session.endedBy, undefined);
});

Deno.test("IdleWatch.look() begins anew when something has come in between, though the session is idle again", () => {
  const session = new Watched({ idleMs: 8 * MINUTE_MS });
  for (let count = 0; count < 20; count++) session.pass(7 * MINUTE_MS).ask("idle");
  assert.equal(session.endedBy, undefined);
});

Deno.test("IdleWatch.look() sees a short time inside a transaction beside a long one outside", () => {
  const session = new Watched({ idleMs: 60 * MINUTE_MS, idleInTransactionMs: MINUTE_MS });
  session.pass(5 * MINUTE_MS).ask("idle in transaction").pass(60 * MINUTE_MS);
  assert.equal(session.endedBy, "25P03");
  assert(session.nowMs <= 5 * MINUTE_MS + MINUTE_MS * 9 / 8);
});

Deno.test("IdleWatch.apply() does not forget how long a session has been idle", () => {
  const session = new Watched({ idleMs: 60 * MINUTE_MS }).pass(30 * MINUTE_MS);
  session.watch.apply({ idleMs: 10 * MINUTE_MS });
  session.pass(60 * MINUTE_MS);
  assert(session.nowMs <= 40 * MINUTE_MS, `it ended after ${session.nowMs} ms`);
});

Deno.test("IdleWatch.look() ends no session because the clock was set back", () => {
  const watch = new IdleWatch({ idleMs: MINUTE_MS });
  const session = { state: "idle", bytesIn: 0 } as const;
  watch.look(session, 100 * MINUTE_MS);
  assert.equal(watch.look(session, 0), null);
  assert.equal(watch.look(session, MINUTE_MS - 1), null);
  assert.equal(watch.look(session, MINUTE_MS)?.sqlstate, "57P05");
});

Deno.test("IdleWatch ends a session no sooner than it may, and no more than an eighth later", () => {
  const act = fc.tuple(fc.integer({ min: 1, max: 3000 }), fc.constantFrom<State>("idle", "active"));
  fc.assert(
    fc.property(fc.array(act, { maxLength: 30 }), fc.integer({ min: 1000, max: 5000 }), (acts, idleMs) => {
      const session = new Watched({ idleMs });
      let idleSinceMs = 0;
      for (const [ms, state] of acts) {
        session.pass(ms);
        if (session.endedBy !== undefined) break;
        session.ask(state);
        idleSinceMs = state === "idle" ? session.nowMs : Infinity;
      }
      if (session.endedBy === undefined && idleSinceMs < Infinity) session.pass(100_000);
      assert.equal(session.endedBy !== undefined, idleSinceMs < Infinity);
      if (session.endedBy === undefined) return;
      const idle = session.nowMs - idleSinceMs;
      assert(idle >= idleMs && idle <= idleMs * 9 / 8, `it ended after ${idle} ms of ${idleMs}`);
    }),
  );
});

Deno.test("IdleWatch looks eight times in the time a session may be idle", () => {
  const session = new Watched({ idleMs: 8 * MINUTE_MS }).ask("active").pass(80 * MINUTE_MS);
  assert.equal(session.looks, 81);
});
