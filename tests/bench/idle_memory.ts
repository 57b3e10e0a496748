import type { Contender, Entrance } from "./contender.ts";
import { usageOf } from "./program.ts";
import type { Effort } from "./rounds.ts";
import { SessionClient } from "./session_client.ts";
import type { Stage } from "./stage.ts";
import { number, printTable, type Row } from "./table.ts";

/** Sessions opened and closed first: the compiler's and the allocator's share is not that of a session. */
const WARM_UP_SESSIONS = 200;

/** How many are opened at once; the counts of sessions are multiples of it. */
const AT_ONCE = 4;

/** How long everything lies still before memory is read, in milliseconds. */
const SETTLE_MS = 3_000;

/** Resident memory for each idle TLS session that has run one query. */
export async function measureIdleMemory(
  stage: Stage,
  contenders: readonly Contender[],
  { sessions }: Effort,
): Promise<void> {
  const rows: Row[] = [];
  for (const contender of contenders.filter(({ isProgram }) => isProgram)) {
    rows.push(await rowOf(stage, contender, sessions));
  }
  printTable(`memory, ${sessions} idle TLS sessions`, rows);
}

async function rowOf(stage: Stage, contender: Contender, sessions: number): Promise<Row> {
  await using resources = new AsyncDisposableStack();
  const entrance = await contender.start("TLS", resources);
  const pid = entrance.program!.pid;
  const fresh = await usageOf(pid);
  closeAll(await openSessions(stage, entrance, WARM_UP_SESSIONS));
  await settle();
  const before = await usageOf(pid);
  const clients = await openSessions(stage, entrance, sessions);
  await settle();
  const after = await usageOf(pid);
  closeAll(clients);
  return {
    "through": contender.name,
    "at start, MB": number(fresh.residentBytes / 1e6, 1),
    "before, MB": number(before.residentBytes / 1e6, 1),
    "with them, MB": number(after.residentBytes / 1e6, 1),
    "kB a session": number((after.residentBytes - before.residentBytes) / sessions / 1e3, 1),
  };
}

async function openSessions(stage: Stage, entrance: Entrance, count: number): Promise<SessionClient[]> {
  const clients: SessionClient[] = [];
  async function open() {
    const client = await SessionClient.open({ ...entrance, transport: "TLS" }, stage.authorityPem);
    clients.push(client);
    await client.query("SELECT 1");
  }
  for (let opened = 0; opened < count; opened += AT_ONCE) {
    await Promise.all(Array.from({ length: AT_ONCE }, open));
  }
  return clients;
}

function closeAll(clients: readonly SessionClient[]): void {
  for (const client of clients) client.close();
}

function settle(): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, SETTLE_MS));
}
