// The program, whose first worker has something happen to it at SIGUSR2: the variable FAULT says what. It looks at its
// workers fifty times as often.
import type { Fault } from "./faulty_worker.ts";

const LOOK_MS = 10_000;

if ("WorkerGlobalScope" in globalThis) {
  await import("./faulty_worker.ts");
} else {
  const started: Worker[] = [];
  globalThis.Worker = class extends Worker {
    constructor(...given: ConstructorParameters<typeof Worker>) {
      super(...given);
      started.push(this);
    }
  };
  const fault = Deno.env.get("FAULT") as Fault;
  Deno.addSignalListener("SIGUSR2", () => started[0].postMessage({ kind: "fault", fault }));
  const set = globalThis.setTimeout;
  globalThis.setTimeout = ((act: () => void, ms = 0) =>
    set(act, ms === LOOK_MS ? ms / 50 : ms)) as typeof set;
  const { runCommandLine } = await import("../../lib/commands/command_line.ts");
  Deno.exit(await runCommandLine(Deno.args));
}
