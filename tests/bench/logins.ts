import { type Contender, type Running, withAll } from "./contender.ts";
import { type Bench, PGBOUNCER, PROXY } from "./measure.ts";
import { pgbench } from "./pgbench.ts";
import type { PgbenchResult } from "./pgbench_result.ts";
import { disturbances, pgbenchColumns } from "./pgbench_figures.ts";
import { pgbouncer } from "./pgbouncer.ts";
import { inRounds, named } from "./rounds.ts";
import type { Stage } from "./stage.ts";
import { median, ratiosByRound } from "./statistics.ts";
import { number } from "./table.ts";
import { TARGETS } from "./targets.ts";

const CLIENTS = 4;

const ONCE = { protocol: "simple", clients: CLIENTS, connectsEachTime: true } as const;

interface LoginResult extends PgbenchResult {
  /** How many sessions PostgreSQL began for each of a client. */
  readonly backendLogins: number;
}

/**
 * Logins a second over TLS, each with one SELECT: SCRAM-SHA-256 or a password to PgBouncer, a token to the proxy, and from
 * both a login at PostgreSQL by SCRAM-SHA-256. Direct and through haproxy, client and PostgreSQL do SCRAM themselves.
 */
export async function measureLogins({ stage, contenders, effort, report }: Bench): Promise<void> {
  await withAll(loginContenders(stage, contenders), {
    stage,
    transport: "TLS",
    act: async (all) => {
      const series = await inRounds(all.flatMap(byToken), {
        rounds: effort.rounds,
        warmUp: (running) => pgbench(stage, running, { ...ONCE, until: { seconds: 1 } }),
        run: (running) => logIn(stage, running, effort.seconds),
      });
      report.table(`logins over TLS, ${CLIENTS} clients`, {
        rows: series.map(({ running, results }) => ({
          "through": running.name,
          ...pgbenchColumns(series, results, "logins/s"),
          "backend logins": number(median(results.map(({ backendLogins }) => backendLogins)), 2),
        })),
        series,
        notes: disturbances(series),
      });
      const [proxy, peer] = [named(series, `${PROXY}, ES256`), named(series, PGBOUNCER)];
      if (proxy === undefined || peer === undefined) return;
      const rateOf = (results: readonly LoginResult[]) => results.map(({ tps }) => tps);
      report.score({ target: TARGETS.logins, measured: ratiosByRound(rateOf(proxy), rateOf(peer)) });
    },
  });
}

/** PgBouncer by SCRAM from end to end is what the proxy is held against; taking a password in clear is a row besides. */
function loginContenders(stage: Stage, contenders: readonly Contender[]): Contender[] {
  return contenders.filter(({ kind }) => kind !== "floor").flatMap((contender) =>
    contender.name === PGBOUNCER
      ? [pgbouncer(stage, { login: "scram-sha-256" }), { ...contender, name: `${PGBOUNCER}, a password in` }]
      : [contender]
  );
}

/** Who takes tokens is measured with each algorithm, and with each way to present them; on one event loop. */
function byToken(running: Running): Running[] {
  if (running.tokens === undefined) return [running];
  const ways = Object.entries(running.tokens);
  return (running.loops === 1 ? ways : ways.slice(0, 1)).map(([way, credentials]) => ({
    ...running,
    name: `${running.name}, ${way}`,
    credentials,
  }));
}

async function logIn(stage: Stage, running: Running, seconds: number): Promise<LoginResult> {
  const before = await sessionsBegun(stage);
  const result = await pgbench(stage, running, { ...ONCE, until: { seconds } });
  // The one who counts has begun one too.
  const begun = await sessionsBegun(stage) - before - 1;
  return { ...result, backendLogins: begun / result.transactions };
}

async function sessionsBegun({ cluster }: Stage): Promise<number> {
  const [row] = await cluster.sql(
    "SELECT sessions::int FROM pg_stat_database WHERE datname = current_database()",
  );
  return row.sessions as number;
}
