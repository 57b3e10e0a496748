import { loadConfiguration } from "../config/load.ts";
import type { PgError } from "../errors.ts";
import { EventLoopWatch } from "../observe/event_loop_watch.ts";
import type { ProxyEvent, SessionEvent } from "../observe/events.ts";
import { atOnce, inTurns, type Pace } from "../long_work.ts";
import { type PreparedChange, Proxy } from "../proxy.ts";
import { startTimer } from "../timers.ts";
import type { Assignment, MainCalls, Membership, WorkerCalls, WorkerCensus } from "./calls.ts";
import { Line, type Port } from "./line.ts";
import { packEvent, unpackError } from "./parcel.ts";
import { reading } from "./read_inputs.ts";
import { RemoteCounts } from "./remote_counts.ts";
import { remoteTokens } from "./remote_tokens.ts";
import { SharedCancelKeys } from "./shared_cancel_keys.ts";

/** Serves as one of several workers, as the main thread wants it. */
export function work(port: Port): void {
  new Work(port).begin();
}

/** What happens to all workers as one is told by the main thread, once. */
const TOLD_FOR_ALL: ReadonlySet<string> = new Set<ProxyEvent["kind"]>(["listening", "draining", "drained"]);

/** The thread of one worker: its own event loop, proxy and sessions. All that workers share it asks for. */
class Work {
  readonly #line: Line<MainCalls>;
  readonly #counts: RemoteCounts;
  #cancelKeys!: SharedCancelKeys;
  #proxy: Proxy | null = null;
  #eventLoop: EventLoopWatch | null = null;
  #prepared: PreparedChange | null = null;
  #loginsOver: Promise<unknown> = Promise.resolve();
  readonly #hurry = new AbortController();
  /** Since the last census: the main thread asks for one now and then, whoever else does. */
  #lagsSeconds: number[] = [];

  constructor(port: Port) {
    const calls: WorkerCalls = {
      open: ({ assignment, membership }) => this.#open(assignment, membership),
      prepare: (assignment) => this.#prepare(assignment),
      adopt: () => this.#adopt(),
      loginsOver: () => this.#loginsOver,
      discard: () => this.#discard(),
      checkSessions: () => this.#proxy?.checkSessions(),
      dismissStranger: ({ stranger, error }) => this.#counts.dismiss(stranger, unpackError(error) as PgError),
      dropStranger: ({ stranger, hit }) => this.#counts.drop(stranger, hit),
      census: () => this.#census(),
      findCancel: (claim) => this.#cancelKeys.findOwn(claim) !== undefined,
      cancel: async (claim) => await this.#cancelKeys.findOwn(claim)?.cancelQuery(),
      drain: (options) => this.#proxy!.drain({ ...options, signal: this.#hurry.signal }),
      hurry: () => this.#hurry.abort(),
      close: () => this.#close(),
    };
    this.#line = new Line<MainCalls>(port, calls);
    this.#counts = new RemoteCounts(this.#line);
  }

  begin(): void {
    this.#line.tell("ready", null);
  }

  async #open(assignment: Assignment, membership: Membership): Promise<ReadonlyMap<string, number>> {
    const connections = new BigUint64Array(membership.connections);
    this.#cancelKeys = new SharedCancelKeys(this.#line, membership);
    this.#proxy = await Proxy.open({
      ...await this.#read(assignment, atOnce),
      counts: this.#counts,
      cancelKeys: this.#cancelKeys,
      observe: (event) => this.#observe(event),
      nextId: () => Number(Atomics.add(connections, 0, 1n)) + 1,
    });
    this.#eventLoop = new EventLoopWatch((lagSeconds) => this.#lagsSeconds.push(lagSeconds), {
      now: () => performance.now(),
      after: startTimer,
    });
    return this.#proxy.ports;
  }

  async #prepare(assignment: Assignment): Promise<ReadonlyMap<string, number>> {
    this.#prepared = await this.#proxy!.prepare(await this.#read(assignment, inTurns));
    return this.#prepared.ports;
  }

  async #adopt(): Promise<void> {
    const { asked, loginsOver } = this.#prepared!.adopt();
    this.#prepared = null;
    // What they end with is nothing to tell.
    this.#loginsOver = loginsOver.then(() => null);
    await asked;
  }

  #discard(): void {
    this.#prepared?.discard();
    this.#prepared = null;
  }

  async #close(): Promise<void> {
    this.#eventLoop?.[Symbol.dispose]();
    await this.#proxy?.close();
  }

  /** The same texts as in the main thread: there nothing was wrong with them. */
  async #read({ generation, inputs, sharing }: Assignment, pace: Pace) {
    const configuration = await loadConfiguration(inputs.source, { ...reading(inputs), pace });
    return { configuration, tokens: remoteTokens(this.#line, generation), sharing };
  }

  #observe(event: SessionEvent | ProxyEvent): void {
    if (!TOLD_FOR_ALL.has(event.kind)) this.#line.tell("observe", packEvent(event));
  }

  #census(): WorkerCensus {
    const lagsSeconds = this.#lagsSeconds;
    this.#lagsSeconds = [];
    const workers = { heapBytes: Deno.memoryUsage().heapTotal, lagsSeconds };
    return { ...this.#proxy!.census(), workers };
  }
}
