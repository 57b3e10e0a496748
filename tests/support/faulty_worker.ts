// The program's worker, and whatever a test has happen to it.
import type { Port } from "../../lib/workers/line.ts";
import type { Thread } from "../../lib/workers/member.ts";
import { work } from "../../lib/workers/work.ts";

/** What may happen to a worker. */
export type Fault =
  /** An error that nothing is around to catch. */
  | "throws"
  /** A promise that nobody waits for. */
  | "rejects"
  /** One that rejects between other things that the worker does. */
  | "rejects later"
  /** It takes all the memory there is. */
  | "takes all memory"
  /** It never comes back. */
  | "loops";

/** What tests post to it, besides what the main thread does: nobody there speaks of faults. */
interface FaultMessage {
  readonly kind: "fault";
  readonly fault: Fault;
}

/** Real threads of the program, in the order they were started, and what a test has happen to them. */
export class FaultyThreads {
  readonly all: Worker[] = [];

  readonly start = (name: string): Thread => {
    const worker = new Worker(import.meta.url, { type: "module", name });
    this.all.push(worker);
    return worker;
  };

  /** Has this happen to the thread that was started as the so-manieth, from 0. */
  harm(index: number, fault: Fault): void {
    this.all[index].postMessage({ kind: "fault", fault } satisfies FaultMessage);
  }
}

/** Makes it happen. */
function suffer(fault: Fault): void {
  switch (fault) {
    case "throws":
      throw new TypeError("a bug of ours");
    case "rejects":
      return void Promise.reject(new TypeError("a bug of ours"));
    case "rejects later":
      return void setTimeout(() => Promise.reject(new TypeError("a bug of ours")), 1);
    case "takes all memory": {
      const kept: unknown[] = [];
      for (;;) kept.push(new Array(1_000_000).fill(kept.length + 0.5));
    }
    case "loops":
      for (;;);
  }
}

if ("WorkerGlobalScope" in globalThis) {
  const port = globalThis as unknown as Port;
  work(port);
  port.addEventListener("message", ({ data }) => {
    const { kind, fault } = data as FaultMessage;
    if (kind === "fault") suffer(fault);
  });
}
