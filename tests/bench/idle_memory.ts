import { setTimeout as delay } from "node:timers/promises";
import { type Contender, type Running, start } from "./contender.ts";
import { IDLE_FLOOR } from "./floors.ts";
import { IdleSessions, possible } from "./idle_sessions.ts";
import { type Bench, PGBOUNCER, PROXY } from "./measure.ts";
import { usageOf } from "./program.ts";
import { rotated, type Series } from "./rounds.ts";
import { MAX_SESSIONS, type Stage } from "./stage.ts";
import { spreadOf } from "./statistics.ts";
import { number } from "./table.ts";
import { TARGETS } from "./targets.ts";

/** Sessions opened and closed before anything: the compiler's and the garbage collector's share is not that of a session. */
const WARM_UP_SESSIONS = 100;

/** Then so many that stay: what those have left who are gone is given to these, and not to the ones that are counted. */
const FIRST_SESSIONS = 100;

/**
 * How long all lie still before memory is read, in milliseconds: a session is idle when nothing has happened for a while.
 *
 * At once, what is read is the garbage of logins. V8 comes for that by itself where it has little else to do: 30 s after the
 * program started, and 8 s after it had to look through a heap that has grown. Of what is left then, nothing goes in another
 * minute.
 */
const LIE_STILL_MS = 40_000;

/** It hardly differs from round to round, and each of them takes two minutes. */
const MOST_ROUNDS = 5;

/** Resident memory of a program, in bytes. */
interface Grown {
  readonly atStart: number;
  /** With the first sessions. */
  readonly before: number;
  readonly withThem: number;
  readonly perSession: number;
}

/**
 * Resident memory for each idle TLS session that has run one query. The least number of sessions is opened in every round;
 * the greater ones take long, and follow once.
 */
export async function measureIdleMemory({ stage, contenders, effort, report }: Bench): Promise<void> {
  const [least, ...greater] = await possible(effort.sessions);
  const programs = contenders.filter(isMeasured);
  const principals = programs.filter(isPrincipal);
  const others = programs.filter((contender) => !isPrincipal(contender));
  const series = await weighInRounds(stage, {
    contenders: principals,
    sessions: least,
    rounds: Math.min(effort.rounds, MOST_ROUNDS),
  });
  tell(report, least, [
    ...series,
    ...await weighInRounds(stage, { contenders: others, sessions: least, rounds: 1 }),
  ]);
  for (const sessions of greater) {
    tell(report, sessions, await weighInRounds(stage, { contenders: principals, sessions, rounds: 1 }));
  }
}

/** Of the floors, that of idle sessions; and several processes weigh what each of them weighs. */
function isMeasured({ kind, name, loops, transports }: Contender): boolean {
  if (!transports.includes("TLS")) return false;
  return kind === "proxy" || (kind === "peer" && loops === 1) || name.endsWith(IDLE_FLOOR);
}

function isPrincipal({ kind, name, loops }: Contender): boolean {
  return kind === "floor" || name === PGBOUNCER || (kind === "proxy" && loops === 1);
}

/** What each has grown by, round after round; those lie still together for whom PostgreSQL has room at a time. */
async function weighInRounds(
  stage: Stage,
  { contenders, sessions, rounds }: {
    readonly contenders: readonly Contender[];
    readonly sessions: number;
    readonly rounds: number;
  },
): Promise<Series<Grown>[]> {
  const series = contenders.map((running) => ({ running, results: [] as Grown[] }));
  const atATime = Math.max(1, Math.floor(MAX_SESSIONS / (sessions + WARM_UP_SESSIONS)));
  for (let round = 0; round < rounds; round++) {
    const inTurn = rotated(series, round);
    while (inTurn.length > 0) {
      const together = inTurn.splice(0, atATime);
      const all = await weigh(stage, { contenders: together.map(({ running }) => running), sessions });
      together.forEach(({ results }, at) => results.push(all[at]));
    }
  }
  return series;
}

/** What new programs have grown by with so many sessions each, of which none does anything. */
async function weigh(
  stage: Stage,
  { contenders, sessions }: { readonly contenders: readonly Contender[]; readonly sessions: number },
): Promise<Grown[]> {
  await using resources = new AsyncDisposableStack();
  const all: Running[] = [];
  for (const contender of contenders) {
    all.push(await start(stage, { contender, transport: "TLS", resources }));
  }
  const residentBytes = () =>
    Promise.all(all.map(async ({ programs }) => (await usageOf(programs)).residentBytes));
  const atStart = await residentBytes();
  {
    await using warmUp = new IdleSessions(stage, all);
    await warmUp.growTo(WARM_UP_SESSIONS);
  }
  await using idle = new IdleSessions(stage, all);
  await idle.growTo(FIRST_SESSIONS);
  await delay(LIE_STILL_MS);
  const before = await residentBytes();
  await idle.growTo(sessions);
  await delay(LIE_STILL_MS);
  const withThem = await residentBytes();
  return all.map((_, at) => ({
    atStart: atStart[at],
    before: before[at],
    withThem: withThem[at],
    perSession: (withThem[at] - before[at]) / (sessions - FIRST_SESSIONS),
  }));
}

function tell(report: Bench["report"], sessions: number, series: readonly Series<Grown>[]): void {
  const spread = (results: readonly Grown[], of: keyof Grown) => spreadOf(results.map((grown) => grown[of]));
  report.table(`memory, ${sessions} idle TLS sessions`, {
    rows: series.map(({ running, results }) => {
      const { median, least, most } = spread(results, "perSession");
      return {
        "through": running.name,
        "at start, MB": number(spread(results, "atStart").median / 1e6, 1),
        [`with ${FIRST_SESSIONS}, MB`]: number(spread(results, "before").median / 1e6, 1),
        [`with ${sessions}, MB`]: number(spread(results, "withThem").median / 1e6, 1),
        "kB a session": number(median / 1e3, 1),
        "least–most": `${number(least / 1e3, 1)}–${number(most / 1e3, 1)}`,
      };
    }),
    series,
  });
  const kilobytes = (wanted: (of: Series<Grown>) => boolean) =>
    series.find(wanted)?.results.map(({ perSession }) => perSession / 1e3);
  const proxy = kilobytes(({ running }) => running.name === PROXY);
  const floor = kilobytes(({ running }) => running.kind === "floor");
  if (proxy === undefined) return;
  report.score({
    target: { ...TARGETS.idleMemory, measure: `${TARGETS.idleMemory.measure}, of ${sessions}` },
    measured: proxy,
    floor: floor && { name: IDLE_FLOOR, values: floor },
  });
}
