// In: a configuration, and how workers behave. Out: a crew of workers that run in this thread, by a clock that a test moves.
// Chapter: the stage of the tests about workers as one.
import { connect, type Socket } from "node:net";
import { loadConfiguration } from "../../lib/config/load.ts";
import type { ProxyEvent, SessionEvent } from "../../lib/observe/events.ts";
import { Crew } from "../../lib/workers/crew.ts";
import { recording } from "../../lib/workers/read_inputs.ts";
import type { Served } from "../../lib/workers/serving.ts";
import { outsideOf, PEM, SMALLEST } from "../config/files.ts";
import { ManualClock } from "../support/manual_clock.ts";
import { ThreadsInProcess } from "../support/threads_in_process.ts";
import { waitUntil } from "../support/wait_until.ts";

/** What a {@link CrewScene} is made of; what is left out is the ordinary. */
export interface CrewOptions {
  readonly workers?: number;
  /** The addresses to listen on, as TOML has them. */
  readonly address?: string;
  /** Is handed the scene before the first worker is started. */
  readonly before?: (scene: CrewScene) => void;
}

const STEP_MS = 2_500;

/** A crew of workers. */
export class CrewScene implements AsyncDisposable {
  readonly threads = new ThreadsInProcess();
  readonly clock = new ManualClock(1_000_000);
  readonly events: (SessionEvent | ProxyEvent)[] = [];
  readonly #sockets: Socket[] = [];
  crew!: Crew;

  static async open({ workers = 2, address, before }: CrewOptions = {}): Promise<CrewScene> {
    const scene = new CrewScene();
    before?.(scene);
    try {
      scene.crew = await Crew.open(await served({ workers, address }), {
        workers,
        startThread: scene.threads.start,
        observe: (event) => void scene.events.push(event),
        now: scene.clock.now,
        after: scene.clock.after,
      });
      return scene;
    } catch (error) {
      await scene.threads[Symbol.asyncDispose]();
      throw error;
    }
  }

  /** The port of the address at this place of `listen.address`. */
  port(index = 0): number {
    return this.crew.addresses[index].port;
  }

  /** What was observed of this kind. */
  told<K extends (SessionEvent | ProxyEvent)["kind"]>(
    kind: K,
  ): readonly Extract<SessionEvent | ProxyEvent, { kind: K }>[] {
    return this.events.filter((event) => event.kind === kind) as never;
  }

  /** Waits until so much of this kind was observed, and gives the last. */
  async until<K extends (SessionEvent | ProxyEvent)["kind"]>(kind: K, count = 1) {
    await waitUntil(() => this.told(kind).length >= count, { what: `${count} times ${kind}`, intervalMs: 1 });
    return this.told(kind).at(-1)!;
  }

  /** Goes on by other addresses. */
  async reload(address: string): Promise<void> {
    const { adopt } = await this.crew.prepare(await served({ workers: this.threads.all.length, address }));
    await adopt().loginsOver;
  }

  /** So many clients that say nothing; each is with a worker. */
  async silent(count: number): Promise<readonly Socket[]> {
    const before = this.crew.counted.unauthenticated;
    const sockets = Array.from({ length: count }, () => connect({ port: this.port(), host: "127.0.0.1" }));
    this.#sockets.push(...sockets);
    for (const socket of sockets) socket.on("error", () => {}).resume();
    await waitUntil(() => this.crew.counted.unauthenticated === before + count, {
      what: `${count} strangers`,
    });
    return sockets;
  }

  /** Lets time pass, and everybody answer meanwhile. */
  async pass(ms: number): Promise<void> {
    for (let left = ms; left > 0; left -= STEP_MS) {
      this.clock.advance(Math.min(left, STEP_MS));
      await new Promise((resolve) => setTimeout(resolve));
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const thread of this.threads.all) thread.isSilent = false;
    for (const socket of this.#sockets) {
      if (socket.closed) continue;
      const closed = new Promise((resolve) => socket.once("close", resolve));
      socket.destroy();
      await closed;
    }
    await this.crew.close();
    await this.threads[Symbol.asyncDispose]();
  }
}

/** Something to serve, with an issuer whose tokens are never good. */
export async function served({ workers = 2, address = '"127.0.0.1:0"' }: {
  readonly workers?: number | '"auto"';
  readonly address?: string;
} = {}): Promise<Served> {
  const text = SMALLEST.replace(
    "[listen]",
    `[service]\nworkers = ${workers}\n\n[listen]\naddress = ${address}`,
  );
  const { outside, inputs } = recording(
    { path: "/etc/proxy/config.toml" },
    outsideOf({ ...PEM, "config.toml": text }),
  );
  return {
    configuration: await loadConfiguration(inputs.source, outside),
    inputs,
    verifier: {
      verify: () => Promise.reject(new Error("no token comes")),
      isDenied: () => false,
      knowsIssuerOf: () => true,
      introspectAgain: () => Promise.resolve("unknown"),
    },
  };
}
