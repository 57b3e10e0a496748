import { formatAddress } from "../address.ts";
import type { Configuration } from "../config/configuration.ts";
import { Limits } from "../limits/limits.ts";
import type { ListenAddress } from "../listen_address.ts";
import { CannotServe } from "../listening.ts";
import type { ConnectionCensus } from "../observe/census.ts";
import type { DrainOptions } from "../proxy.ts";
import { Carried, together } from "../session_tallies.ts";
import { startTimer } from "../timers.ts";
import { type TokenDesk, tokenDesk } from "../token_desk.ts";
import type { Surroundings } from "./alone.ts";
import type { Assignment } from "./calls.ts";
import { CrewAddresses } from "./crew_addresses.ts";
import { drainMembers } from "./drain_members.ts";
import { answerOf, LineDown } from "./line.ts";
import { type Loss, Member, messageOf, type StartThread } from "./member.ts";
import { type Change, type Served, type Serving, workersChanged } from "./serving.ts";
import { PreparedMembers } from "./prepared_members.ts";
import { Restarts } from "./restarts.ts";
import { issuerOf } from "./shared_cancel_keys.ts";
import { Turnstile } from "./turnstile.ts";

/** What a {@link Crew} is made of. */
export interface CrewOptions extends Surroundings {
  readonly workers: number;
  readonly startThread: StartThread;
}

/** A configuration that is served. */
interface Current {
  readonly configuration: Configuration;
  readonly inputs: Served["inputs"];
  readonly generation: number;
}

/**
 * Several workers that act as one: each has an event loop and listens on the same addresses, and the system spreads the
 * clients. What they share is here, in the main thread: who is connected and whose logins fail, keys and tokens.
 *
 * A worker that is lost takes its own sessions with it and no others, and is started anew.
 */
export class Crew implements Serving {
  readonly #options: CrewOptions;
  readonly #limits: Limits;
  readonly #now: () => number;
  readonly #after: NonNullable<Surroundings["after"]>;
  readonly #members: (Member | null)[];
  /** By generation: those whose logins may still be under way. */
  readonly #tokens = new Map<number, TokenDesk>();
  /** Whoever changes what workers serve, or how many there are, does so alone. */
  readonly #turnstile = new Turnstile();
  readonly #restarts: Restarts;
  readonly #connections = new SharedArrayBuffer(8);
  /** By sessions of workers that are gone. */
  readonly #carried = new Carried();
  #current: Current;
  readonly #addresses: CrewAddresses;
  readonly #broken = Promise.withResolvers<string>();
  #isEnding = false;

  private constructor({ configuration, verifier, inputs }: Served, options: CrewOptions) {
    const { workers, now = () => performance.now(), after = startTimer } = options;
    this.#options = options;
    this.#now = now;
    this.#after = after;
    this.#restarts = new Restarts({ after, start: (index) => void this.#restart(index) });
    this.#limits = new Limits(configuration.limits, now);
    this.#members = new Array(workers).fill(null);
    this.#current = { configuration, inputs, generation: 1 };
    this.#tokens.set(1, tokenDesk(verifier, this.#limits));
    this.#addresses = new CrewAddresses(addressesOf(configuration));
  }

  /**
   * Starts the workers, which begin to serve.
   *
   * @throws {CannotServe} when one of them cannot; then none does
   */
  static async open(served: Served, options: CrewOptions): Promise<Crew> {
    const crew = new Crew(served, options);
    try {
      const [first, ...others] = crew.#members.keys();
      // The first finds out whether the addresses are free, and which ports there are.
      await crew.#start(first, { isFirst: true });
      await Promise.all(others.map((index) => crew.#start(index)));
      crew.#tellListening(crew.addresses);
      return crew;
    } catch (error) {
      await crew.close();
      throw error instanceof LineDown
        ? new CannotServe(`a worker has failed while it started, please report this: ${error.message}`)
        : error;
    }
  }

  get broken(): Promise<string> {
    return this.#broken.promise;
  }

  get addresses(): readonly ListenAddress[] {
    return this.#addresses.actual;
  }

  get connectionCount(): number {
    const { connections, unauthenticated } = this.#limits;
    return connections.size + unauthenticated.size + unauthenticated.leavingCount;
  }

  get counted() {
    return this.#limits.counted;
  }

  async census(): Promise<ConnectionCensus> {
    await Promise.all(this.#present.map((member) => member.askCensus()));
    // One that was lost meanwhile is among those that are gone, and must not be counted twice.
    const censuses = this.#present.map(({ lastCensus }) => lastCensus);
    const lost = { logins: 0, sessions: [], carried: this.#carried.entries };
    return {
      ...together([lost, ...censuses]),
      workers: {
        heapBytes: censuses.reduce((sum, { workers: { heapBytes } }) => sum + heapBytes, 0),
        lagsSeconds: this.#present.flatMap((member) => member.takeLags()),
      },
    };
  }

  async prepare({ configuration, verifier, inputs }: Served): Promise<Change> {
    const leave = await this.#turnstile.enter();
    const before = this.#current.generation;
    const generation = before + 1;
    let prepared: PreparedMembers;
    try {
      if (configuration.service.workers !== this.#current.configuration.service.workers) {
        throw workersChanged();
      }
      const about = { generation, inputs, ports: this.#addresses.ports };
      prepared = await PreparedMembers.prepare(this.#present, about);
    } catch (error) {
      leave();
      throw error;
    }
    return {
      adopt: () => {
        this.#limits.apply(configuration.limits);
        this.#tokens.set(generation, tokenDesk(verifier, this.#limits));
        this.#current = { configuration, inputs, generation };
        this.#tellListening(this.#addresses.adopt(addressesOf(configuration), prepared.ports));
        const { adopted, loginsOver } = prepared.adopt();
        leave();
        return { adopted, loginsOver: loginsOver.then(() => this.#tokens.delete(before)) };
      },
      discard: () => {
        prepared.discard();
        leave();
      },
    };
  }

  checkSessions(): void {
    for (const { line } of this.#all) line.tell("checkSessions", null);
  }

  async drain(options: DrainOptions): Promise<{ readonly cut: number }> {
    const { observe } = this.#options;
    const { graceMs, delayMs } = options;
    this.#endRestarts();
    observe({ kind: "draining", sessions: this.connectionCount, graceMs, delayMs });
    const cut = await drainMembers(this.#present, { ...options, after: this.#after });
    observe({ kind: "drained", sessionsCut: cut });
    return { cut };
  }

  async close(): Promise<void> {
    this.#endRestarts();
    await Promise.all(this.#present.map(async (member) => {
      await answerOf(member.line.ask("close", null));
      member.end("the proxy has ended");
    }));
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  get #all(): readonly Member[] {
    return this.#members.filter((member) => member !== null);
  }

  /** Those that serve: others have just been started. */
  get #present(): readonly Member[] {
    return this.#all.filter(({ isServing }) => isServing);
  }

  async #start(index: number, { isFirst = false } = {}): Promise<void> {
    const { observe, startThread, workers } = this.#options;
    const member = new Member({
      index,
      startThread,
      limits: this.#limits,
      tokensOf: (generation) => this.#tokens.get(generation) ?? this.#tokens.get(this.#current.generation)!,
      observe,
      now: this.#now,
      after: this.#after,
      lineTo: ({ processId }) => {
        const issuer = this.#members[issuerOf(processId, { of: workers })];
        return issuer?.isServing ? issuer.line : undefined;
      },
      lost: (member, loss) => this.#lost(member, loss),
    });
    this.#members[index] = member;
    const { inputs, generation } = this.#current;
    const assignment: Assignment = { inputs, generation, sharing: { isFirst, ports: this.#addresses.ports } };
    const membership = { index, of: workers, connections: this.#connections };
    this.#addresses.found(await member.open({ assignment, membership }));
  }

  #lost(member: Member, loss: Loss): void {
    const { index, lastCensus, startedMs } = member;
    this.#members[index] = null;
    for (const sum of lastCensus.carried) this.#carried.add(sum);
    this.#isMissing(index, { ...loss, lastedMs: this.#now() - startedMs });
  }

  /** Tells that one is not there, and plans to start it anew if that is of use. */
  #isMissing(
    index: number,
    { reason, connections, isStuck, lastedMs }: Loss & { readonly lastedMs: number },
  ): void {
    const isOver = this.#isEnding || isStuck;
    const delayMs = isOver ? undefined : this.#restarts.plan(index, lastedMs);
    this.#options.observe({ kind: "worker_lost", worker: index + 1, reason, connections, delayMs });
    // Its listeners would go on being given their share of the clients, who would wait in vain.
    if (isStuck) this.#broken.resolve(`worker ${index + 1} is stuck: ${reason}`);
  }

  async #restart(index: number): Promise<void> {
    const leave = await this.#turnstile.enter();
    try {
      if (this.#isEnding) return;
      await this.#start(index);
      this.#options.observe({ kind: "worker_restarted", worker: index + 1 });
    } catch (error) {
      this.#notRestarted(index, error);
    } finally {
      leave();
    }
  }

  /** It is tried again, later: an address may be taken by now, or the system have no thread left. */
  #notRestarted(index: number, error: unknown): void {
    // One that was lost while it started has been seen to already.
    if (error instanceof LineDown) return;
    const reason = messageOf(error);
    const member = this.#members[index];
    if (member !== null) member.lose(reason);
    else this.#isMissing(index, { reason, connections: 0, isStuck: false, lastedMs: 0 });
  }

  #endRestarts(): void {
    this.#isEnding = true;
    this.#restarts[Symbol.dispose]();
    for (const member of this.#all) if (!member.isServing) member.end("the proxy is shutting down");
  }

  #tellListening(addresses: readonly ListenAddress[]): void {
    const isTlsOffered = this.#current.configuration.listen.tls !== undefined;
    for (const { host, port } of addresses) {
      this.#options.observe({ kind: "listening", address: formatAddress(host, port), isTlsOffered });
    }
  }
}

function addressesOf({ listen }: Configuration): readonly ListenAddress[] {
  return [listen.address].flat();
}
