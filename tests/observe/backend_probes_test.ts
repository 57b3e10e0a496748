import assert from "node:assert/strict";
import { BackendProbes } from "../../lib/observe/backend_probes.ts";
import type { ProxyEvent } from "../../lib/observe/events.ts";
import { ManualClock } from "../support/manual_clock.ts";

type Probed = Extract<ProxyEvent, { kind: "backend_probed" }>;

/** Probes of backends that are there unless `problem` says otherwise. */
class Scene implements Disposable {
  readonly clock = new ManualClock(0);
  readonly asked: { readonly backend: string; readonly atMs: number }[] = [];
  readonly told: Probed[] = [];
  readonly answeredMs = new Map<string, number>();
  problem: Error | null = null;
  readonly #probes: BackendProbes;

  constructor(backends: readonly string[] = ["main"]) {
    this.#probes = new BackendProbes({
      backends,
      probe: (backend) => {
        this.asked.push({ backend, atMs: this.clock.now() });
        return this.problem === null ? Promise.resolve() : Promise.reject(this.problem);
      },
      answeredMs: (backend) => this.answeredMs.get(backend),
      report: (event) => {
        this.told.push(event as Probed);
        if ((event as Probed).problem === undefined) this.answeredMs.set("main", this.clock.now());
      },
      now: this.clock.now,
      after: this.clock.after,
      random: () => 0.5,
    });
  }

  /** Lets so much time pass, in steps, so that answers can come in between. */
  async pass(ms: number): Promise<void> {
    for (let passed = 0; passed < ms; passed += 1_000) {
      this.clock.advance(Math.min(1_000, ms - passed));
      for (let turn = 0; turn < 10; turn++) await Promise.resolve();
    }
  }

  [Symbol.dispose](): void {
    this.#probes[Symbol.dispose]();
  }
}

Deno.test("BackendProbes ask at once, and then twice a minute at least", async () => {
  using scene = new Scene();
  await scene.pass(60_000);
  assert.equal(scene.asked.length, 3);
  assert(scene.asked[0].atMs <= 10);
});

Deno.test("BackendProbes ask nobody at whom somebody logs in", async () => {
  using scene = new Scene();
  await scene.pass(1_000);
  for (let second = 0; second < 60; second++) {
    scene.answeredMs.set("main", scene.clock.now());
    await scene.pass(1_000);
  }
  assert.equal(scene.asked.length, 1);
});

Deno.test("BackendProbes ask soon again whoever did not answer, and tell once that this is news", async () => {
  using scene = new Scene();
  scene.problem = new Error("it refused the connection");
  await scene.pass(11_000);
  scene.problem = null;
  await scene.pass(10_000);
  assert.deepEqual(scene.told.map(({ problem, isNews }) => [problem, isNews]), [
    ["it refused the connection", true],
    ["it refused the connection", false],
    ["it refused the connection", false],
    [undefined, true],
  ]);
});

Deno.test("BackendProbes tell the reason that a client would not be told", async () => {
  using scene = new Scene();
  scene.problem = Object.assign(new Error("backend main is not available"), { reason: "db: timed out" });
  await scene.pass(1_000);
  assert.equal(scene.told[0].problem, "db: timed out");
});

Deno.test("BackendProbes ask hundreds of backends one after the other", () => {
  const names = Array.from({ length: 300 }, (_, index) => `b${index}`);
  const clock = new ManualClock(0);
  const asked: number[] = [];
  let seed = 0;
  using _probes = new BackendProbes({
    backends: names,
    probe: () => {
      asked.push(clock.now());
      return new Promise(() => {});
    },
    answeredMs: () => undefined,
    report: () => {},
    now: clock.now,
    after: clock.after,
    random: () => (seed = (seed + 0.37) % 1),
  });
  clock.advance(1_000);
  assert(asked.length > 50 && asked.length < 150, String(asked.length));
  clock.advance(2_000);
  assert.equal(asked.length, 300);
});

Deno.test("BackendProbes that are closed ask nobody any more, and tell nothing of whom they were asking", async () => {
  const scene = new Scene();
  scene.clock.advance(100);
  scene[Symbol.dispose]();
  await scene.pass(100_000);
  assert.equal(scene.asked.length, 1);
  assert.deepEqual(scene.told, []);
  assert.equal(scene.clock.timerCount, 0);
});
