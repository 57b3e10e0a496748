import { setTimeout as delay } from "node:timers/promises";
import type { Running } from "./contender.ts";
import { busyMicros, processMicros, sleeperMicros } from "./machine.ts";
import { pgbenchCommand, type PgbenchRun, textOf } from "./pgbench.ts";
import { latencyIn, takeLog } from "./pgbench_log.ts";
import { differenceOf, type PgbenchResult, resultOf, type Used } from "./pgbench_result.ts";
import { usageOf } from "./program.ts";
import type { Stage } from "./stage.ts";

/** How a player runs pgbench. */
export type PlayerRun = Pick<PgbenchRun, "protocol" | "clients">;

/** What was under way when a turn ended is over after this. */
const REST_MS = 5;

/** A transaction that took longer was stopped. */
const STOPPED_MICROS = 50_000;

/** pgbench stops by its own alarm, which it is given when its turns are over. */
const LONGER_THAN_ANY = { seconds: 100_000 };

/** A pgbench through a contender, which is stopped but in its turns. */
export class Player implements AsyncDisposable {
  static readonly #playing = new Set<Player>();
  readonly #stage: Stage;
  readonly #running: Running;
  readonly #isTimed: boolean;
  readonly #logPrefix: string;
  readonly #child: Deno.ChildProcess;
  readonly #output: Promise<Deno.CommandOutput>;
  /** The processes of PostgreSQL that serve it. */
  #backends: readonly number[] = [];
  #before: Used = { machine: 0, client: 0, postgres: 0, program: 0 };
  #playedMs = 0;
  /** What the whole machine has used in its turns. */
  #machineMicros = 0;
  #hasEnded = false;

  constructor(stage: Stage, running: Running, run: PlayerRun) {
    this.#stage = stage;
    this.#running = running;
    this.#isTimed = run.clients === 1;
    this.#logPrefix = `turns-${running.port}`;
    this.#child = pgbenchCommand(stage, running, {
      ...run,
      until: LONGER_THAN_ANY,
      logPrefix: this.#isTimed ? this.#logPrefix : undefined,
    }).spawn();
    this.#output = this.#child.output();
    Player.#playing.add(this);
    this.#child.status.then(() => {
      this.#hasEnded = true;
      Player.#playing.delete(this);
    });
  }

  /** Ends all that are there: nobody else would end a process that is stopped. */
  static async endAll(): Promise<void> {
    await Promise.all([...Player.#playing].map((player) => player[Symbol.asyncDispose]()));
  }

  /**
   * Settles never while all is well.
   *
   * @throws {Error} with what pgbench says, when it has ended before it was told to
   */
  async hasEndedEarly(): Promise<never> {
    const text = textOf(this.#running, await this.#output);
    throw new Error(`pgbench has ended early through ${this.#running.name}: ${text}`);
  }

  /** Stops it, which these backends serve. */
  stop(backends: readonly number[]): void {
    this.#backends = backends;
    this.#child.kill("SIGSTOP");
  }

  /** What is used from now on counts. */
  async begin(): Promise<void> {
    await delay(REST_MS);
    this.#before = await this.#used();
  }

  /** Has a turn. */
  async play(ms: number): Promise<void> {
    if (this.#hasEnded) await this.hasEndedEarly();
    const machineBefore = await busyMicros();
    const startedMs = performance.now();
    this.#child.kill("SIGCONT");
    await delay(ms);
    if (this.#hasEnded) await this.hasEndedEarly();
    this.#child.kill("SIGSTOP");
    this.#playedMs += performance.now() - startedMs;
    await delay(REST_MS);
    this.#machineMicros += await busyMicros() - machineBefore;
  }

  /** Has it tell what it has done. */
  async end(): Promise<PgbenchResult> {
    const after = await this.#used();
    this.#child.kill("SIGALRM");
    this.#child.kill("SIGCONT");
    return resultOf(this.#running, {
      text: textOf(this.#running, await this.#output),
      used: differenceOf(this.#before, after),
      elapsedMicros: this.#playedMs * 1000,
      latency: this.#isTimed ? await this.#latency() : undefined,
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (!this.#hasEnded) this.#child.kill("SIGKILL");
    await this.#output;
  }

  async #latency() {
    const log = await takeLog(this.#stage, this.#logPrefix);
    return latencyIn(log.filter(({ micros }) => micros < STOPPED_MICROS));
  }

  async #used(): Promise<Used> {
    const [program, client, ...backends] = await Promise.all([
      usageOf(this.#running.programs),
      processMicros(this.#child.pid),
      ...this.#backends.map(sleeperMicros),
    ]);
    return {
      machine: this.#machineMicros,
      program: program.cpuMicros,
      client,
      postgres: backends.reduce((total, micros) => total + micros, 0),
    };
  }
}
