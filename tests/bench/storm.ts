import type { Running } from "./contender.ts";
import { logTransactions } from "./pgbench.ts";
import { mostLag, readMetrics } from "./proxy_metrics.ts";
import { SessionClient } from "./session_client.ts";
import type { Stage } from "./stage.ts";
import { quantileOfTime } from "./statistics.ts";

/** What many logins at once did to one who was there. */
export interface Storm {
  /** From the first to the last login. */
  readonly seconds: number;
  /** How many were refused. */
  readonly refused: number;
  /** Of the query that somebody else was waiting for at any moment meanwhile, in milliseconds. */
  readonly medianMs: number;
  readonly p99Ms: number;
  readonly mostMs: number;
  /** What the proxy's event loop was late by at most, as its own metric has it, in seconds. */
  readonly lagSeconds?: number;
}

/** How long the one who is there asks before the storm. */
const CALM_MS = 1_000;

/** How long she goes on for each login of the storm, and besides: no more is looked at than the storm. */
const WATCH_SECONDS = { perLogin: 1 / 60, besides: 3 } as const;

/** The metric is taken twice a second: the last part of the storm is in it then. */
const LAST_LOOK_MS = 600;

/** So many clients log in at once over TLS while one who is there asks again and again. */
export async function storm(stage: Stage, running: Running, logins: number): Promise<Storm> {
  const before = running.adminUrl === undefined ? undefined : await readMetrics(running.adminUrl);
  const watch = logTransactions(stage, running, {
    seconds: Math.ceil(WATCH_SECONDS.besides + WATCH_SECONDS.perLogin * logins),
  });
  await wait(CALM_MS);
  const startedMs = Date.now();
  const opened = await Promise.allSettled(
    Array.from({ length: logins }, () => logIn(running, stage)),
  );
  const endedMs = Date.now();
  await wait(LAST_LOOK_MS);
  const after = running.adminUrl === undefined ? undefined : await readMetrics(running.adminUrl);
  for (const client of opened) if (client.status === "fulfilled") client.value.close();
  const waits = (await watch)
    .filter((transaction) => transaction.endedMs >= startedMs && transaction.endedMs <= endedMs)
    .map(({ micros }) => micros / 1000);
  return {
    seconds: (endedMs - startedMs) / 1000,
    refused: opened.filter(({ status }) => status === "rejected").length,
    medianMs: quantileOfTime(waits, 0.5),
    p99Ms: quantileOfTime(waits, 0.99),
    mostMs: Math.max(...waits),
    lagSeconds: before && after && mostLag(before, after),
  };
}

/** PgBouncer lets clients in before it has a connection to PostgreSQL: only a query shows that there is one. */
async function logIn(running: Running, { authorityPem }: Stage): Promise<SessionClient> {
  const client = await SessionClient.open(running, authorityPem);
  await client.query("SELECT 1");
  return client;
}

function wait(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
