import assert from "node:assert/strict";
import { type StopSignal, stopSignals } from "../../lib/commands/stop_signals.ts";

type Sent = readonly [signal: StopSignal, atMs: number];

Deno.test.each<[string, readonly Sent[], readonly [stops: boolean, endsNow: boolean]]>([
  ["no signal ends nothing", [], [false, false]],
  ["SIGTERM ends the program", [["SIGTERM", 0]], [true, false]],
  ["SIGINT ends the program", [["SIGINT", 0]], [true, false]],
  ["A14 a second SIGTERM ends it now", [["SIGTERM", 0], ["SIGTERM", 0]], [true, true]],
  ["A14 SIGINT behind SIGTERM ends it now", [["SIGTERM", 0], ["SIGINT", 0]], [true, true]],
  ["A14 SIGTERM behind SIGINT ends it now", [["SIGINT", 0], ["SIGTERM", 0]], [true, true]],
  ["A14 a second Ctrl-C ends it now", [["SIGINT", 0], ["SIGINT", 200]], [true, true]],
  ["A14 one Ctrl-C that comes twice, as under deno task, does not end it now", [["SIGINT", 0], [
    "SIGINT",
    199,
  ]], [
    true,
    false,
  ]],
  ["A14 a key that is held down ends it now", [["SIGINT", 0], ["SIGINT", 150], ["SIGINT", 300]], [
    true,
    true,
  ]],
])("%s", (_what, sent, [stops, endsNow]) => {
  const listeners = new Map<StopSignal, () => void>();
  let nowMs = 1_000;
  const { signal, now } = stopSignals({
    listen: (name, act) => listeners.set(name, act),
    now: () => nowMs,
  });
  for (const [name, atMs] of sent) {
    nowMs = 1_000 + atMs;
    listeners.get(name)!();
  }
  assert.deepEqual([signal.aborted, now.aborted], [stops, endsNow]);
});
