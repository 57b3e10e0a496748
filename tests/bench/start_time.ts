import type { Contender } from "./contender.ts";
import type { Effort } from "./rounds.ts";
import { SessionClient } from "./session_client.ts";
import type { Stage } from "./stage.ts";
import { median } from "./statistics.ts";
import { number, printTable, type Row } from "./table.ts";

/** From the program's start to the first login through it, over TLS. */
export async function measureStartTime(
  stage: Stage,
  contenders: readonly Contender[],
  { rounds }: Effort,
): Promise<void> {
  const rows: Row[] = [];
  for (const contender of contenders.filter(({ isProgram }) => isProgram)) {
    const times: number[] = [];
    for (let round = 0; round < rounds; round++) times.push(await timeOf(stage, contender));
    rows.push({ "through": contender.name, "ms": number(median(times)) });
  }
  printTable("from start to the first login over TLS", rows);
}

async function timeOf(stage: Stage, contender: Contender): Promise<number> {
  await using resources = new AsyncDisposableStack();
  const entrance = await contender.start("TLS", resources);
  const client = await SessionClient.open({ ...entrance, transport: "TLS" }, stage.authorityPem);
  const { ageMs } = entrance.program!;
  client.close();
  return ageMs;
}
