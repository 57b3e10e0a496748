import assert from "node:assert/strict";
import type { ProxyEvent, SessionEvent } from "../../lib/observe/events.ts";
import { type Needs, Readiness } from "../../lib/observe/readiness.ts";

const LISTENING: ProxyEvent = { kind: "listening", address: "127.0.0.1:1", isTlsOffered: true };
const connection = { id: 1, clientAddress: "192.0.2.1:50000" };

/** A readiness with a clock, for two backends and an issuer. */
class Scene {
  nowMs = 0;
  keyProblems: { issuer: string; message: string }[] = [];
  readonly readiness = new Readiness({
    now: () => this.nowMs,
    wallClock: () => Date.parse("2026-05-04T03:02:01Z"),
  });

  constructor(needs: Partial<Needs> = {}) {
    this.readiness.adopt({
      backends: ["main", "other"],
      issuers: [{ name: "corp", isKeyless: false }],
      keyProblems: () => this.keyProblems,
      ...needs,
    });
  }

  observe(...events: (ProxyEvent | SessionEvent)[]): void {
    for (const event of events) this.readiness.observe(event);
  }

  get answer() {
    return this.readiness.answer();
  }
}

function probed(backend: string, problem?: string): ProxyEvent {
  return { kind: "backend_probed", backend, problem, isNews: true, durationMs: 1 };
}

function ready(): Scene {
  const scene = new Scene();
  scene.observe(LISTENING, probed("main"), probed("other"));
  return scene;
}

Deno.test("Readiness is ready when it listens, keys can be used and a backend has answered", () => {
  const { ready: isReady, reasons, warnings } = ready().answer;
  assert.deepEqual({ isReady, reasons, warnings }, { isReady: true, reasons: [], warnings: [] });
});

Deno.test("Readiness that nothing was told of is not ready, and says all the reasons", () => {
  const { ready: isReady, reasons } = new Scene().answer;
  assert.equal(isReady, false);
  assert.deepEqual(reasons, ["not listening yet", "no backend has answered within the last 60 s"]);
});

Deno.test("Readiness ends at once when a drain begins, and a listener more does not bring it back", () => {
  const scene = ready();
  scene.observe({ kind: "draining", sessions: 0, graceMs: 1, delayMs: 1 }, LISTENING);
  assert.deepEqual(scene.answer.reasons, ["draining: no new connections, please"]);
});

Deno.test("Readiness ends when the last answer of every backend is more than a minute ago", () => {
  const scene = ready();
  scene.nowMs = 60_000;
  assert.equal(scene.answer.ready, true);
  scene.nowMs = 60_001;
  assert.deepEqual(scene.answer.reasons, ["no backend has answered within the last 60 s"]);
});

Deno.test("Readiness takes a login for an answer of its backend", () => {
  const scene = ready();
  scene.nowMs = 90_000;
  scene.observe({ connection, kind: "backend_tried", backend: "main", host: "db", isReached: true });
  const [main, other] = scene.answer.backends;
  assert.equal(scene.answer.ready, true);
  assert.deepEqual([main, other], [
    { name: "main", answered: true, answered_seconds_ago: 0, problem: undefined },
    { name: "other", answered: false, answered_seconds_ago: 90, problem: undefined },
  ]);
});

Deno.test("Readiness stays with one backend that answers, and warns of the other", () => {
  const scene = new Scene();
  scene.observe(LISTENING, probed("main"), probed("other", "it refused the connection"));
  assert.equal(scene.answer.ready, true);
  assert.deepEqual(scene.answer.warnings, ["backend other: it refused the connection"]);
});

Deno.test("Readiness ends when no issuer's keys can be used", () => {
  const scene = ready();
  scene.keyProblems = [{ issuer: "corp", message: "it timed out" }];
  const { ready: isReady, reasons, warnings } = scene.answer;
  assert.equal(isReady, false);
  assert.deepEqual(reasons, ["no issuer's keys can be used"]);
  assert.deepEqual(warnings, ["issuer corp: it timed out"]);
});

Deno.test("Readiness stays with one issuer whose keys can be used", () => {
  const issuers = ["corp", "ci"].map((name) => ({ name, isKeyless: false }));
  const keyProblems = () => [{ issuer: "ci", message: "it timed out" }];
  const scene = new Scene({ issuers, keyProblems });
  scene.observe(LISTENING, probed("main"), probed("other"));
  assert.equal(scene.answer.ready, true);
  assert.deepEqual(scene.answer.warnings, ["issuer ci: it timed out"]);
});

Deno.test("Readiness ends when the only issuer is asked about its tokens and does not answer, until it does", () => {
  const scene = new Scene({ issuers: [{ name: "corp", isKeyless: true }] });
  scene.observe(LISTENING, probed("main"), {
    ...{ kind: "issuer_introspection_stopped", issuer: "corp", reason: "it timed out" },
  });
  assert.equal(scene.answer.ready, false);
  scene.observe({ kind: "issuer_introspection_resumed", issuer: "corp" });
  assert.equal(scene.answer.ready, true);
});

Deno.test("Readiness stays when an issuer with keys does not answer about its other tokens", () => {
  const scene = ready();
  scene.observe({ kind: "issuer_introspection_stopped", issuer: "corp", reason: "it timed out" });
  assert.equal(scene.answer.ready, true);
  assert.deepEqual(scene.answer.warnings, ["issuer corp: it timed out"]);
});

Deno.test("Readiness tells why a reload failed, with each mistake, until one succeeds", () => {
  const scene = ready();
  scene.observe({ kind: "reload_failed", reason: "c.toml:1: one\nc.toml:2: two" });
  const { ready: isReady, last_reload_failure, warnings } = scene.answer;
  assert.equal(isReady, true);
  assert.deepEqual(last_reload_failure, {
    time: "2026-05-04T03:02:01.000Z",
    reasons: ["c.toml:1: one", "c.toml:2: two"],
  });
  assert.deepEqual(warnings, ["the configuration could not be reloaded, the old one stays"]);
  scene.observe({ kind: "configuration_reloaded", sessions: 0 });
  assert.equal(scene.answer.last_reload_failure, undefined);
});

Deno.test("Readiness warns of a file that cannot be written, until it can", () => {
  const scene = ready();
  const file = { output: "audit", path: "/var/log/audit" } as const;
  scene.observe({ kind: "output_failed", ...file, reason: "No space left on device" });
  assert.deepEqual(scene.answer.warnings, ["audit file: No space left on device"]);
  assert.equal(scene.answer.ready, true);
  scene.observe({ kind: "output_resumed", ...file, lines: 3 });
  assert.deepEqual(scene.answer.warnings, []);
});

Deno.test("adopt() forgets backends that are no longer there, and keeps what the others have answered", () => {
  const scene = ready();
  scene.readiness.adopt({
    backends: ["other", "third"],
    issuers: [{ name: "corp", isKeyless: false }],
    keyProblems: () => [],
  });
  assert.deepEqual(scene.answer.backends.map(({ name, answered }) => [name, answered]), [["other", true], [
    "third",
    false,
  ]]);
  assert.equal(scene.readiness.answeredMs("main"), undefined);
});
