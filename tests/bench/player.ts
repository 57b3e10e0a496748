import { setTimeout as delay } from "node:timers/promises";
import type { Running } from "./contender.ts";
import { busyMicros, sleepersTimes, type ThreadTimes, usedBetween } from "./machine.ts";
import { pgbenchCommand, type PgbenchRun, textOf } from "./pgbench.ts";
import { latencyIn, takeLog } from "./pgbench_log.ts";
import { type PgbenchResult, resultOf, type Used } from "./pgbench_result.ts";
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
  #playedMs = 0;
  /** In its turns. */
  #used: Used = { machine: 0, client: 0, postgres: 0, program: 0 };
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

  /** Has a turn: what is used in it counts. */
  async play(ms: number): Promise<void> {
    if (this.#hasEnded) await this.hasEndedEarly();
    const before = await this.#look();
    const startedMs = performance.now();
    this.#child.kill("SIGCONT");
    await delay(ms);
    if (this.#hasEnded) await this.hasEndedEarly();
    this.#child.kill("SIGSTOP");
    this.#playedMs += performance.now() - startedMs;
    await delay(REST_MS);
    const after = await this.#look();
    this.#used = {
      machine: this.#used.machine + after.machine - before.machine,
      client: this.#used.client + usedBetween(before.client, after.client),
      postgres: this.#used.postgres + usedBetween(before.postgres, after.postgres),
      program: this.#used.program + usedBetween(before.program, after.program),
    };
  }

  /** Has it tell what it has done. */
  async end(): Promise<PgbenchResult> {
    this.#child.kill("SIGALRM");
    this.#child.kill("SIGCONT");
    return resultOf(this.#running, {
      text: textOf(this.#running, await this.#output),
      used: this.#used,
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

  async #look(): Promise<Look> {
    return {
      machine: await busyMicros(),
      client: sleepersTimes([this.#child.pid]),
      postgres: sleepersTimes(this.#backends),
      program: sleepersTimes(this.#running.programs.map(({ pid }) => pid)),
    };
  }
}

/** What was used so far: by the whole machine, and by each thread of those who play. */
interface Look {
  readonly machine: number;
  readonly client: ThreadTimes;
  readonly postgres: ThreadTimes;
  readonly program: ThreadTimes;
}
