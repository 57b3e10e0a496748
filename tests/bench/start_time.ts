import type { Contender } from "./contender.ts";
import { type Bench, PROXY } from "./measure.ts";
import { inRounds, named } from "./rounds.ts";
import { SessionClient } from "./session_client.ts";
import type { Stage } from "./stage.ts";
import { median, spreadOf } from "./statistics.ts";
import { number } from "./table.ts";
import { TARGETS } from "./targets.ts";

/** From the program's start to the first login through it, over TLS, with one query. */
export async function measureStartTime({ stage, contenders, effort, report }: Bench): Promise<void> {
  const programs = contenders.filter(({ kind, transports }) =>
    kind !== "direct" && transports.includes("TLS")
  );
  const series = await inRounds(programs, {
    rounds: effort.rounds,
    warmUp: (contender) => timeOf(stage, contender),
    run: (contender) => timeOf(stage, contender),
  });
  report.table("from start to the first login over TLS", {
    rows: series.map(({ running, results }) => {
      const { median, least, most } = spreadOf(results);
      return {
        "through": running.name,
        "ms": number(median),
        "least–most": `${number(least)}–${number(most)}`,
      };
    }),
    series,
  });
  const proxy = named(series, PROXY);
  const [floor] = series
    .filter(({ running }) => running.kind === "floor")
    .toSorted((a, b) => median(a.results) - median(b.results));
  if (proxy === undefined) return;
  report.score({
    target: TARGETS.start,
    measured: proxy,
    floor: floor && { name: floor.running.name, values: floor.results },
  });
}

/** Milliseconds. Until one succeeds, a login is tried again as soon as the one before has failed. */
async function timeOf(stage: Stage, contender: Contender): Promise<number> {
  await using resources = new AsyncDisposableStack();
  const entrance = await contender.launch("TLS", resources);
  const [program] = entrance.programs;
  let firstLoginMs = NaN;
  await program.ready(async () => {
    const client = await SessionClient.open({ ...entrance, transport: "TLS" }, stage.authorityPem);
    await client.query("SELECT 1"); // PgBouncer lets in before it has a connection to PostgreSQL
    firstLoginMs = program.ageMs;
    client.close();
  });
  return firstLoginMs;
}
