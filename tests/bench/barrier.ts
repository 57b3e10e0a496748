import pg from "pg";
import { waitUntil } from "../support/wait_until.ts";
import type { Stage } from "./stage.ts";

/** Of the advisory lock that the barrier is. */
const KEY = 1;

/**
 * A row policy on the table that pgbench reads: every client logs in, asks for the first time, and waits for its answer until
 * the barrier is opened. A lock of the table would hold one client of a pgbench alone, since that waits for the answer to
 * each Parse, and PgBouncer would not have logged in for the others.
 */
export class Barrier implements AsyncDisposable {
  readonly #client: pg.Client;

  private constructor(client: pg.Client) {
    this.#client = client;
  }

  /** Closes it. */
  static async close({ cluster: { socketDirectory, port } }: Stage): Promise<Barrier> {
    const client = new pg.Client({ host: socketDirectory, port, user: "postgres", database: "postgres" });
    // What it fails by shows where it is asked; without a listener it would end the program as well.
    client.on("error", () => {});
    await client.connect();
    const barrier = new Barrier(client);
    try {
      await client.query(`
        CREATE POLICY barrier ON pgbench_accounts USING (pg_advisory_xact_lock_shared(${KEY}) IS NOT NULL);
        ALTER TABLE pgbench_accounts ENABLE ROW LEVEL SECURITY;
        SELECT pg_advisory_lock(${KEY});
      `);
    } catch (error) {
      await barrier[Symbol.asyncDispose]();
      throw error;
    }
    return barrier;
  }

  /**
   * Settles when so many wait, with the process ids of their backends.
   *
   * @throws {Error} when they do not all come
   */
  async untilWaiting(count: number): Promise<number[]> {
    return await waitUntil(async () => {
      const { rows } = await this.#client.query(
        "SELECT pid FROM pg_locks WHERE locktype = 'advisory' AND NOT granted",
      );
      return rows.length === count ? rows.map(({ pid }: { pid: number }) => pid) : undefined;
    }, { what: `${count} clients of pgbench to wait`, timeoutMs: 60_000 });
  }

  /** Lets all have their answers, and settles when they are under way. */
  async open(): Promise<void> {
    await this.#client.query(`
      SELECT pg_advisory_unlock(${KEY});
      ALTER TABLE pgbench_accounts DISABLE ROW LEVEL SECURITY;
      DROP POLICY barrier ON pgbench_accounts;
    `);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#client.end();
  }
}
