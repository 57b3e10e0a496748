import { Barrier } from "./barrier.ts";
import type { Running } from "./contender.ts";
import { busyMicros, processMicros } from "./machine.ts";
import { latencyIn, pgbenchCommand, type PgbenchResult, takeLog, textOf, transactionsIn } from "./pgbench.ts";
import { usageOf } from "./program.ts";
import { rotated, type Series } from "./rounds.ts";
import type { Stage } from "./stage.ts";

/** How pgbench is run through everyone. */
export interface TurnsRun {
  readonly protocol: "simple" | "prepared";
  readonly clients: number;
  readonly rounds: number;
  /** Of all the turns of one contender in a round. */
  readonly seconds: number;
}

/** How long a turn is. What else the machine does lasts for seconds, and so falls on all alike. */
const TURN_MS = 100;

/** What was under way when a turn ended is over after this. */
const REST_MS = 5;

/** pgbench stops by its own alarm, which it is given when its turns are over. */
const LONGER_THAN_ANY = { seconds: 100_000 };

/**
 * Runs pgbench's built-in select-only script through all contenders. In each round a pgbench for each logs in; then they are
 * stopped, and have their turns, one at a time, each turn beginning with another one. Logins count for nothing.
 */
export async function pgbenchInTurns(
  stage: Stage,
  contenders: readonly Running[],
  run: TurnsRun,
): Promise<Series<PgbenchResult>[]> {
  const series = contenders.map((running) => ({ running, results: [] as PgbenchResult[] }));
  for (let round = 0; round < run.rounds; round++) {
    const results = await playRound(stage, contenders, run);
    series.forEach((one, at) => one.results.push(results[at]));
  }
  return series;
}

async function playRound(
  stage: Stage,
  contenders: readonly Running[],
  run: TurnsRun,
): Promise<PgbenchResult[]> {
  await using players = new AsyncDisposableStack();
  const all = await seat(stage, { contenders, run, players });
  await Promise.all(all.map((player) => player.begin()));
  for (let turn = 0; turn < run.seconds * 1000 / TURN_MS; turn++) {
    for (const player of rotated(all, turn)) {
      await player.play(TURN_MS);
      await sleep(REST_MS);
    }
  }
  return await Promise.all(all.map((player) => player.end()));
}

/** Has everyone's clients log in, and stops them. */
async function seat(
  stage: Stage,
  { contenders, run: { protocol, clients }, players }: {
    contenders: readonly Running[];
    run: TurnsRun;
    players: AsyncDisposableStack;
  },
): Promise<Player[]> {
  await using barrier = await Barrier.close(stage);
  const all: Player[] = [];
  const seated: number[] = [];
  for (const running of contenders) {
    const player = players.use(new Player(stage, running, { protocol, clients }));
    const waiting = await barrier.untilWaiting(seated.length + clients);
    const backends = waiting.filter((pid) => !seated.includes(pid));
    player.stop(backends);
    seated.push(...backends);
    all.push(player);
  }
  await barrier.open();
  await sleep(REST_MS);
  return all;
}

/** A pgbench that is stopped but in its turns. */
class Player implements AsyncDisposable {
  readonly #stage: Stage;
  readonly #running: Running;
  readonly #isTimed: boolean;
  readonly #logPrefix: string;
  readonly #child: Deno.ChildProcess;
  readonly #output: Promise<Deno.CommandOutput>;
  /** The processes of PostgreSQL that serve it. */
  #backends: readonly number[] = [];
  #before: Used = { program: 0, client: 0, postgres: 0 };
  #playedMs = 0;
  /** What the whole machine has used in its turns. */
  #machineMicros = 0;
  #hasEnded = false;

  constructor(stage: Stage, running: Running, run: Pick<TurnsRun, "protocol" | "clients">) {
    this.#stage = stage;
    this.#running = running;
    this.#isTimed = run.clients === 1;
    this.#logPrefix = `turns-${running.port}`;
    this.#child = pgbenchCommand(stage, running, {
      ...run,
      until: LONGER_THAN_ANY,
      logPrefix: this.#isTimed ? this.#logPrefix : undefined,
    }).spawn();
    this.#output = this.#child.output().finally(() => this.#hasEnded = true);
  }

  /** Stops it, which these backends serve. */
  stop(backends: readonly number[]): void {
    this.#backends = backends;
    this.#child.kill("SIGSTOP");
  }

  /** What is used from now on counts. */
  async begin(): Promise<void> {
    this.#before = await this.#used();
  }

  /** Has a turn. */
  async play(ms: number): Promise<void> {
    const machineBefore = await busyMicros();
    const startedMs = performance.now();
    this.#child.kill("SIGCONT");
    await sleep(ms);
    this.#child.kill("SIGSTOP");
    this.#playedMs += performance.now() - startedMs;
    this.#machineMicros += await busyMicros() - machineBefore;
  }

  /** Has it tell what it has done. */
  async end(): Promise<PgbenchResult> {
    const after = await this.#used();
    this.#child.kill("SIGALRM");
    this.#child.kill("SIGCONT");
    const transactions = transactionsIn(this.#running, textOf(this.#running, await this.#output));
    const each = (of: keyof Used) => (after[of] - this.#before[of]) / transactions;
    const [program, client, postgres] = [each("program"), each("client"), each("postgres")];
    return {
      tps: transactions / (this.#playedMs / 1000),
      transactions,
      cpuMicros: this.#running.programs.length === 0 ? undefined : program,
      clientMicros: client,
      postgresMicros: postgres,
      othersMicros: this.#machineMicros / transactions - program - client - postgres,
      busyCores: this.#machineMicros / (this.#playedMs * 1000),
      latency: this.#isTimed ? latencyIn(await takeLog(this.#stage, this.#logPrefix)) : undefined,
    };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (!this.#hasEnded) this.#child.kill("SIGKILL");
    await this.#output;
  }

  async #used(): Promise<Used> {
    const [program, client, ...backends] = await Promise.all([
      usageOf(this.#running.programs),
      processMicros(this.#child.pid),
      ...this.#backends.map(processMicros),
    ]);
    return {
      program: program.cpuMicros,
      client,
      postgres: backends.reduce((total, micros) => total + micros, 0),
    };
  }
}

/** Microseconds of processor time so far. */
interface Used {
  readonly program: number;
  readonly client: number;
  readonly postgres: number;
}

function sleep(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
