import type { Running } from "./contender.ts";
import { openFilesLimit } from "./machine.ts";
import { SessionClient } from "./session_client.ts";
import { type Stage, untilAllHaveLeft } from "./stage.ts";

/** How many log in at once, where many are wanted. */
const AT_ONCE = 8;

/** How long everything lies still before memory is read, in milliseconds. */
const SETTLE_MS = 2_000;

/** Files that a program has open besides its sessions. */
const OTHER_FILES = 500;

/** Sessions with each of some programs, that have run one query and do nothing more. */
export class IdleSessions implements AsyncDisposable {
  readonly #stage: Stage;
  readonly #crowds: readonly Crowd[];

  constructor(stage: Stage, programs: readonly Running[]) {
    this.#stage = stage;
    this.#crowds = programs.map((running) => ({ running, clients: [] }));
  }

  /** Opens so many more that each program has `count`, with one after another. */
  async growTo(count: number): Promise<void> {
    for (const crowd of this.#crowds) {
      await Promise.all(Array.from({ length: AT_ONCE }, async () => {
        while (crowd.clients.length < count) await this.#openOne(crowd);
      }));
    }
  }

  /** Ends them all, and waits until PostgreSQL has done so. */
  async [Symbol.asyncDispose](): Promise<void> {
    // One that did not get in has left its place empty.
    for (const { clients } of this.#crowds) for (const client of clients) client?.close();
    await untilAllHaveLeft(this.#stage);
  }

  async #openOne({ running, clients }: Crowd): Promise<void> {
    const place = clients.length++; // taken before the first await, so that no more are opened than are wanted
    const client = await SessionClient.open(running, this.#stage.authorityPem);
    clients[place] = client;
    await client.query("SELECT 1");
  }
}

interface Crowd {
  readonly running: Running;
  readonly clients: (SessionClient | undefined)[];
}

/** Settles when what has just been opened or closed has been dealt with. */
export function settle(): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, SETTLE_MS));
}

/** As many of these numbers of sessions as this process, and a program with two sockets for each, may have open. */
export async function possible(counts: readonly number[]): Promise<number[]> {
  const limit = await openFilesLimit();
  const most = Math.floor((limit - OTHER_FILES) / 2);
  if (counts.some((count) => count > most)) {
    console.error(
      `More than ${most} sessions are left out: raise the limit of open files, ulimit -n, of ${limit}`,
    );
  }
  return counts.filter((count) => count <= most);
}
