import { type Contender, type Running, withAll } from "./contender.ts";
import { pgbench } from "./pgbench.ts";
import { type Effort, inRounds } from "./rounds.ts";
import type { Stage, TokenAlgorithm } from "./stage.ts";
import { printTable } from "./table.ts";
import { pgbenchColumns } from "./throughput.ts";

const CLIENTS = 4;

/**
 * Logins a second over TLS, each with one SELECT: a password to PgBouncer, a token to the proxy, and from both a login at
 * PostgreSQL by SCRAM-SHA-256. Direct and through haproxy, client and PostgreSQL do SCRAM themselves.
 */
export async function measureLogins(
  stage: Stage,
  contenders: readonly Contender[],
  { rounds, seconds }: Effort,
): Promise<void> {
  await withAll(contenders, {
    transport: "TLS",
    act: async (all) => {
      const once = { protocol: "simple", clients: CLIENTS, connectsEachTime: true } as const;
      const series = await inRounds(all.flatMap(byToken), {
        rounds,
        warmUp: (running) => pgbench(stage, running, { ...once, seconds: 1 }),
        run: (running) => pgbench(stage, running, { ...once, seconds }),
      });
      const rows = series.map(({ running, results }) => ({
        "through": running.name,
        ...pgbenchColumns(series, results, "logins/s"),
      }));
      printTable(`logins over TLS, ${CLIENTS} clients`, rows);
    },
  });
}

/** Who takes tokens is measured with each algorithm. */
function byToken(running: Running): Running[] {
  if (running.tokens === undefined) return [running];
  return Object.entries(running.tokens).map(([algorithm, credentials]) => ({
    ...running,
    name: `${running.name}, ${algorithm satisfies string as TokenAlgorithm}`,
    credentials,
  }));
}
