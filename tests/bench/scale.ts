import { type Running, start } from "./contender.ts";
import { IdleSessions, possible, settle } from "./idle_sessions.ts";
import { type Bench, PGBOUNCER } from "./measure.ts";
import { pgbench } from "./pgbench.ts";
import { proxyProgram } from "./proxy_program.ts";
import { type Storm, storm } from "./storm.ts";
import { median } from "./statistics.ts";
import { number, type Row } from "./table.ts";

/** What a contender does while so many others are there and idle. */
interface Scene {
  readonly through: string;
  readonly sessions: number;
  readonly medianMicros: number;
  readonly p99Micros: number;
  readonly loginsPerSecond: number;
  readonly storm: Storm;
}

/** Contenders are not in turn here: more rounds would not make them more alike. */
const MOST_ROUNDS = 3;

const QUERIES = { protocol: "prepared", clients: 1 } as const;
const LOGINS = { protocol: "simple", clients: 4, connectsEachTime: true } as const;

/**
 * The latency of a query, logins a second, and a storm of logins, over TLS: with nobody else there, and with many idle
 * sessions. PostgreSQL has a process for each of these too, and grows slower itself: what that is, `direct` shows.
 */
export async function measureScale(bench: Bench): Promise<void> {
  const { stage, contenders, variant, effort, report } = bench;
  const sessions = Math.max(0, ...await possible(effort.sessions));
  const proxy = proxyProgram(stage, { variant, isWatched: true });
  const scenes: Scene[] = [];
  for (
    const contender of [
      ...contenders.filter(({ kind, name }) => kind === "direct" || name === PGBOUNCER),
      proxy,
    ]
  ) {
    await using resources = new AsyncDisposableStack();
    const running = await start(stage, { contender, transport: "TLS", resources });
    await pgbench(stage, running, { ...LOGINS, until: { seconds: 1 } });
    scenes.push(await sceneOf(bench, running, 0));
    await using idle = new IdleSessions(stage, [running]);
    await idle.growTo(sessions);
    await settle();
    scenes.push(await sceneOf(bench, running, sessions));
  }
  const series = scenes.map((scene) => ({
    running: { name: `${scene.through}, ${scene.sessions} idle`, kind: "proxy" as const, loops: 1 },
    results: [scene],
  }));
  report.table(`scale: with idle TLS sessions on one event loop`, { rows: scenes.map(latencyRow), series });
  report.table(`scale: ${effort.storm} logins at once`, { rows: scenes.map(stormRow), series });
}

async function sceneOf({ stage, effort }: Bench, running: Running, sessions: number): Promise<Scene> {
  const [medians, p99s, rates]: [number[], number[], number[]] = [[], [], []];
  for (let round = 0; round < Math.min(effort.rounds, MOST_ROUNDS); round++) {
    const { latency } = await pgbench(stage, running, { ...QUERIES, until: { seconds: 1 } });
    medians.push(latency!.medianMicros);
    p99s.push(latency!.p99Micros);
    rates.push((await pgbench(stage, running, { ...LOGINS, until: { seconds: 1 } })).tps);
  }
  return {
    through: running.name,
    sessions,
    medianMicros: median(medians),
    p99Micros: median(p99s),
    loginsPerSecond: median(rates),
    storm: await storm(stage, running, effort.storm),
  };
}

function latencyRow({ through, sessions, medianMicros, p99Micros, loginsPerSecond }: Scene): Row {
  return {
    "through": through,
    "idle sessions": number(sessions),
    "median µs": number(medianMicros),
    "99th µs": number(p99Micros),
    "logins/s": number(loginsPerSecond),
  };
}

function stormRow({ through, sessions, storm }: Scene): Row {
  return {
    "through": through,
    "idle sessions": number(sessions),
    "seconds": number(storm.seconds, 2),
    "refused": number(storm.refused),
    "query, median ms": number(storm.medianMs, 1),
    "99th ms": number(storm.p99Ms, 1),
    "most ms": number(storm.mostMs, 1),
    "event loop late, ms": storm.lagSeconds === undefined ? "–" : `≤ ${number(storm.lagSeconds * 1000)}`,
  };
}
