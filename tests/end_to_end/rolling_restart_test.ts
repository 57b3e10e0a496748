import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { dirname, join } from "node:path";
import pg from "pg";
import { freePort } from "../support/free_port.ts";
import { Haproxy, testWithHaproxy } from "../support/haproxy.ts";
import { findPsql } from "../support/psql.ts";
import { waitUntil } from "../support/wait_until.ts";
import { type Program, ProgramStage } from "./program_scene.ts";

const RESTARTS = 5;

/** HAProxy looks every 50 ms: it has noticed long before nobody is accepted any more. */
const SERVICE = 'drain_delay = "1s"\ngrace_period = "10s"';
const CHECK = "inter 50ms fastinter 50ms downinter 50ms fall 1 rise 1";

const psql = findPsql();
const besidePsql = psql && join(dirname(psql.program), "pgbench");
const pgbench = besidePsql && existsSync(besidePsql) ? besidePsql : undefined;

testWithHaproxy(
  "two proxies behind HAProxy, drained and replaced in turn: no transaction is lost, none is doubled",
  async () => {
    await using stage = await ProgramStage.open();
    const places = ["one", "two"].map((name) => ({ name, port: freePort(), adminPort: freePort() }));
    await using resources = new AsyncDisposableStack();
    const running = new Map<string, Program>();
    const start = async ({ name, ...ports }: typeof places[number]) => {
      const program = resources.use(await stage.start({ ...ports, service: SERVICE }, `${name}.toml`));
      running.set(name, program);
    };
    await Promise.all(places.map(start));
    await using haproxy = await Haproxy.startWith([
      "balance roundrobin",
      "option httpchk GET /ready",
      "option redispatch 1",
      "retries 3",
      // Else a check that takes longer than 50 ms, on a machine with much to do, has failed.
      "timeout check 5s",
      ...places.map(({ name, port, adminPort }) =>
        `server ${name} 127.0.0.1:${port} check port ${adminPort} ${CHECK}`
      ),
    ]);

    let isOver = false;
    const clients = [0, 1, 2, 3].map((id) =>
      transactions(stage, { id, port: haproxy.port, isOver: () => isOver })
    );
    const benches = pgbench === undefined
      ? []
      : [0, 1].map(() => benchmarks(stage, haproxy.port, () => isOver));
    const work = Promise.all([Promise.all(clients), Promise.all(benches)]);
    // Whatever goes wrong in it is told at its end.
    work.catch(() => isOver = true);

    for (let restart = 0; restart < RESTARTS; restart++) {
      const place = places[restart % 2];
      const program = running.get(place.name)!;
      // It must have had its share of the work, or nothing is shown.
      await program.logged(/session authenticated/);
      program.signal("SIGTERM");
      const { code } = await program.ended();
      assert.equal(code, 0, program.log);
      const from = haproxy.log.length;
      await start(place);
      const isUp = () => new RegExp(`Server proxy/${place.name} is UP`).test(haproxy.log.slice(from));
      await waitUntil(isUp, { what: `HAProxy to see that ${place.name} is there again` });
      // It has ended by itself: something was lost.
      if (isOver) await work;
    }
    isOver = true;
    const [committed, processed] = await work;

    const told = committed.flatMap(({ told }) => told).sort();
    assert.deepEqual(await stage.done("client "), told);
    assert.ok(told.length > 100, `${told.length} transactions`);
    assert.ok(committed.some(({ reconnected }) => reconnected > 0), "no client had to connect again");
    const benched = processed.reduce((sum, one) => sum + one, 0);
    assert.equal((await stage.done("pgbench")).length, benched);
    assert.ok(pgbench === undefined || benched > 50, `${benched} transactions of pgbench`);
  },
);

/** What a client was told. */
interface Told {
  /** Each transaction whose COMMIT was answered. */
  readonly told: string[];
  readonly reconnected: number;
}

/**
 * A client that stays, with one transaction behind the other. It connects again when it is told 57P01 between two of them,
 * and fails when it is told anything while it is in one.
 */
async function transactions(
  stage: ProgramStage,
  { id, port, isOver }: { readonly id: number; readonly port: number; readonly isOver: () => boolean },
): Promise<Told> {
  const told: string[] = [];
  let connections = 0;
  while (!isOver()) {
    const client = new pg.Client(stage.driverOptions(port));
    // It is told between two transactions; the next one finds out.
    client.on("error", () => {});
    await client.connect();
    connections++;
    while (!isOver()) {
      const what = `client ${id} transaction ${String(told.length).padStart(6, "0")}`;
      const hasBegun = await client.query("begin").then(() => true, (error: Error & { code?: string }) => {
        assert.match(
          `${error.code} ${error.message}`,
          /^57P01 |Connection terminated|not queryable|ECONNRESET/,
        );
        return false;
      });
      if (!hasBegun) break;
      await client.query("insert into done values ($1)", [what]);
      await client.query("commit");
      told.push(what);
      // More than anything else a pool does is to wait.
      if (told.length % 5 === 0) await new Promise((resolve) => setTimeout(resolve, 5));
    }
    await client.end();
  }
  return { told, reconnected: connections - 1 };
}

/** `pgbench`, with a connection for each transaction, again and again; gives how many it has processed. */
async function benchmarks(stage: ProgramStage, port: number, isOver: () => boolean): Promise<number> {
  const script = await stage.directory.write("pgbench.sql", "insert into done values ('pgbench');\n");
  let processed = 0;
  while (!isOver()) {
    const { code, stdout, stderr } = await new Deno.Command(pgbench!, {
      args: ["--connect", "--client=2", "--transactions=20", "--no-vacuum", `--file=${script}`],
      env: {
        ...{ PATH: "/usr/bin:/bin", HOME: "/nonexistent", PGHOST: "localhost", PGPORT: String(port) },
        ...{ PGUSER: "alice", PGDATABASE: "postgres", PGPASSWORD: stage.token, PGSSLMODE: "verify-full" },
        PGSSLROOTCERT: join(stage.directory.path, "ca.crt"),
      },
      clearEnv: true,
      stdin: "null",
    }).output();
    const text = new TextDecoder();
    assert.equal(code, 0, text.decode(stderr));
    assert.match(text.decode(stdout), /actually processed: 40\/40\n/);
    processed += 40;
  }
  return processed;
}
