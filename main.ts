// The program, and each of its workers: those are threads in which this same file runs, so that a bundle stays one file.
import type { Port } from "./lib/workers/line.ts";

if ("WorkerGlobalScope" in globalThis) {
  const { work } = await import("./lib/workers/work.ts");
  work(globalThis as unknown as Port);
} else {
  const { runCommandLine } = await import("./lib/commands/command_line.ts");
  Deno.exit(await runCommandLine(Deno.args));
}
