import { type Contender, start } from "./contender.ts";
import { IDLE_FLOOR } from "./floors.ts";
import { IdleSessions, possible, settle } from "./idle_sessions.ts";
import { type Bench, PGBOUNCER, PROXY } from "./measure.ts";
import { usageOf } from "./program.ts";
import { inRounds, type Series } from "./rounds.ts";
import type { Stage } from "./stage.ts";
import { spreadOf } from "./statistics.ts";
import { number } from "./table.ts";
import { TARGETS } from "./targets.ts";

/** Sessions opened and closed before anything: the compiler's and the garbage collector's share is not that of a session. */
const WARM_UP_SESSIONS = 100;

/** Then so many that stay: what those have left who are gone is given to these, and not to the ones that are counted. */
const FIRST_SESSIONS = 100;

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
 * the greater ones take long, and follow in the last round only.
 */
export async function measureIdleMemory(bench: Bench): Promise<void> {
  const { stage, contenders, effort, report } = bench;
  const [least, ...greater] = await possible(effort.sessions);
  const programs = contenders.filter(isMeasured);
  const climbs = new Map<number, Series<Grown>[]>();
  const principals = programs.filter(isPrincipal);
  const series = await inRounds(principals, {
    rounds: effort.rounds,
    async run(contender, round) {
      const isLast = round === effort.rounds - 1;
      const [grown, ...higher] = await climb(stage, contender, isLast ? [least, ...greater] : [least]);
      higher.forEach((result, at) => {
        const known = climbs.get(greater[at]) ?? [];
        climbs.set(greater[at], [...known, { running: contender, results: [result] }]);
      });
      return grown;
    },
  });
  const others = await inRounds(programs.filter((contender) => !isPrincipal(contender)), {
    rounds: 1,
    run: async (contender) => (await climb(stage, contender, [least]))[0],
  });
  tell(report, least, [...series, ...others]);
  for (const [sessions, series] of climbs) tell(report, sessions, series);
}

/** Of the floors, that of idle sessions; and several processes weigh what each of them weighs. */
function isMeasured({ kind, name, loops, transports }: Contender): boolean {
  if (!transports.includes("TLS")) return false;
  return kind === "proxy" || (kind === "peer" && loops === 1) || name.endsWith(IDLE_FLOOR);
}

function isPrincipal({ kind, name, loops }: Contender): boolean {
  return kind === "floor" || name === PGBOUNCER || (kind === "proxy" && loops === 1);
}

/** What a new program has grown by at each number of sessions. */
async function climb(stage: Stage, contender: Contender, counts: readonly number[]): Promise<Grown[]> {
  await using resources = new AsyncDisposableStack();
  const running = await start(stage, { contender, transport: "TLS", resources });
  const residentBytes = async () => (await usageOf(running.programs)).residentBytes;
  const atStart = await residentBytes();
  {
    await using warmUp = new IdleSessions(stage, running);
    await warmUp.growTo(WARM_UP_SESSIONS);
  }
  await using sessions = new IdleSessions(stage, running);
  await sessions.growTo(FIRST_SESSIONS);
  await settle();
  const before = await residentBytes();
  const grown: Grown[] = [];
  for (const count of counts) {
    await sessions.growTo(count);
    await settle();
    const withThem = await residentBytes();
    grown.push({ atStart, before, withThem, perSession: (withThem - before) / (count - FIRST_SESSIONS) });
  }
  return grown;
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
