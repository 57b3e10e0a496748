import assert from "node:assert/strict";
import { connect, type Socket } from "node:net";
import { join } from "node:path";
import { run } from "../commands/program.ts";
import { freePort } from "../support/free_port.ts";
import { waitUntil } from "../support/wait_until.ts";
import { comeAndGo, stay } from "./program_load.ts";
import { type DrainedClient, type Program, ProgramStage } from "./program_scene.ts";

const WORKERS = "workers = 2";
const SHUTTING_DOWN = "57P01 terminating connection because the proxy is shutting down";
const FAULTY = new URL("../support/faulty_program.ts", import.meta.url).pathname;
const HOUSE = new URL("../..", import.meta.url).pathname.replace(/\/$/, "");
const MAIN = join(HOUSE, "main.ts");

/** Sessions of which each worker has some, as far as chance allows: with so many it nearly always does. */
const SESSIONS = 12;

Deno.test("the program with two workers", async (t) => {
  await using stage = await ProgramStage.open();

  function clients(port: number, count = SESSIONS): Promise<DrainedClient[]> {
    return Promise.all(Array.from({ length: count }, () => stage.client(port)));
  }

  await t.step("drained: idle sessions end at once, and its exit code is 0", async () => {
    await using program = await stage.start({ service: WORKERS });
    const idle = await clients(program.port);
    program.signal("SIGTERM");
    for (const client of idle) assert.equal(await client.isOver(), SHUTTING_DOWN);
    const { code, ms } = await program.ended();
    assert.equal(code, 0);
    assert(ms < 2_000, `${ms} ms`);
    assert.match(program.log, /info draining.* sessions=12/);
    assert.match(program.log, /info drained.* sessions_cut=0/);
    assert.doesNotMatch(program.log, / warn | error /);
  });

  await t.step("drained: transactions are finished first, and pipelined answers are all there", async () => {
    await using program = await stage.start({ service: WORKERS });
    const busy = await clients(program.port);
    const pipelining = await clients(program.port, 4);
    for (const client of busy) await client.ask("begin");
    const answers = pipelining.map((client) =>
      Promise.all(Array.from({ length: 20 }, (_, at) => client.client.query(`select pg_sleep(0.02), ${at}`)))
    );
    program.signal("SIGTERM");
    await program.logged(/draining/);
    for (const [at, client] of busy.entries()) {
      await client.ask(`insert into done values ('drained ${String(at).padStart(2, "0")}')`);
      await client.ask("commit");
      assert.equal(await client.isOver(), SHUTTING_DOWN);
    }
    for (const answer of await Promise.allSettled(answers)) assert.equal(answer.status, "fulfilled");
    assert.equal((await program.ended()).code, 0);
    assert.equal((await stage.done("drained ")).length, SESSIONS);
  });

  await t.step("hurried by a second signal: what is left is cut off, and its exit code is 1", async () => {
    await using program = await stage.start({ service: `${WORKERS}\ngrace_period = "1h"` });
    const busy = await clients(program.port);
    for (const client of busy) await client.ask("begin");
    program.signal("SIGTERM");
    await program.logged(/draining/);
    program.signal("SIGTERM");
    for (const client of busy) assert.equal(await client.isOver(), SHUTTING_DOWN);
    const { code, ms } = await program.ended();
    assert.equal(code, 1);
    assert(ms < 5_000, `${ms} ms`);
    assert.match(program.log, /drained.* sessions_cut=12/);
  });

  await t.step("drained with a delay: both go on accepting until it is over", async () => {
    await using program = await stage.start({ service: `${WORKERS}\ndrain_delay = "1500ms"` });
    program.signal("SIGTERM");
    await program.logged(/draining/);
    for (let count = 0; count < 6; count++) {
      await using client = await stage.client(program.port);
      await client.ask("select 1");
    }
    assert.equal((await program.ended()).code, 0);
  });

  await t.step("50 reloads under load: no session is lost, and nothing is left behind", async () => {
    const port = freePort();
    await using program = await stage.start({ service: WORKERS, port });
    const good = stage.configuration({ service: WORKERS, port });
    const changes: readonly (readonly [(toml: string) => string, RegExp])[] = [
      [(toml) => toml, /configuration reloaded/],
      [
        (toml) => toml.replace(/address = (".*?")/, 'address = [$1, "127.0.0.2:0"]'),
        /configuration reloaded/,
      ],
      [(toml) => toml.replace(/address = (".*?")/, 'address = [$1, "192.0.2.1:1"]'), /no such address/],
      [(toml) => toml.replace(WORKERS, "workers = 3"), /service\.workers has changed, which takes a restart/],
      [(toml) => toml.replace("server.key", "missing.key"), /missing\.key/],
    ];
    let isOver = false;
    const load = Promise.all([
      ...[0, 1, 2, 3].map((id) => stay(stage, { id, port, isOver: () => isOver })),
      ...[0, 1].map(() => comeAndGo(stage, port, () => isOver)),
    ]);
    load.catch(() => isOver = true);
    const held: number[] = [];
    for (let reload = 0; reload < 50 && !isOver; reload++) {
      const from = program.log.length;
      const [change, says] = changes[reload % changes.length];
      await stage.directory.write("config.toml", change(good));
      program.signal("SIGHUP");
      const told = await program.logged(/(configuration reloaded|configuration not reloaded).*\n/, from);
      assert.match(told[0], says);
      held.push(descriptors(program));
    }
    isOver = true;
    assert((await load).reduce((sum, each) => sum + each, 0) > 100);
    assert(Math.max(...held.slice(40)) <= Math.max(...held.slice(10, 20)) + 8, `descriptors: ${held}`);
    assert.doesNotMatch(program.log, /worker was lost/);
    program.signal("SIGTERM");
    assert.equal((await program.ended()).code, 0);
  });

  await t.step("W12 3000 silent connections keep nobody out, and stay few", async () => {
    const limits = "[limits]\nunauthenticated = 300\nunauthenticated_per_address = 0";
    await using program = await stage.start({ service: WORKERS, more: limits });
    await using session = await stage.client(program.port);
    await using crowd = new AsyncDisposableStack();
    let most = 0;
    for (let count = 0; count < 3000; count += 50) {
      await Promise.all(Array.from({ length: 50 }, () => silent(program.port, crowd)));
      most = Math.max(most, descriptors(program));
      if (count % 500 === 0) {
        await session.ask("select 1");
        await using client = await stage.client(program.port);
        await client.ask("select 1");
      }
    }
    // Besides the 300, some are on their way out; whom they make room for is told from thread to thread.
    assert(most < 900, `${most} descriptors`);
    assert.match(program.log, /warn connection closed by a limit.* limit=limits\.unauthenticated/);
    assert.equal(program.log.match(/connection closed by a limit/g)!.length, 1);
  });

  await t.step(
    "a worker that is caught in a loop ends the program, for who stays as after SIGTERM",
    async () => {
      await using program = await stage.start({
        service: WORKERS,
        main: FAULTY,
        permissions: ["--allow-all"],
        env: { FAULT: "loops" },
      });
      const sessions = await clients(program.port);
      for (const session of sessions) await session.ask("begin");
      program.signal("SIGUSR2");
      await program.logged(/error a worker was lost.* worker=1 reason="it has not answered for 30 s"/);
      await program.logged(/draining/);
      // The first worker's clients wait in vain; the others finish.
      const finish = async (session: DrainedClient, at: number) => {
        await session.ask(`insert into done values ('stuck ${at}')`);
        await session.ask("commit");
        return await session.isOver() === SHUTTING_DOWN;
      };
      const finished = Promise.all(sessions.map((session, at) => finish(session, at).catch(() => false)));
      assert.equal((await program.ended()).code, 1);
      assert.match(program.log, /the program has to be started anew: worker 1 is stuck: it has not answered/);
      const results = await finished;
      const told = `${results}`;
      assert(results.includes(true) && results.includes(false), told);
      assert.equal(
        (await stage.done("stuck ")).length,
        results.filter((isFinished) => isFinished).length,
        told,
      );
    },
  );

  await t.step("a worker that fails is told of in the audit trail, and is back", async () => {
    const audit = join(stage.directory.path, "audit.jsonl");
    await using program = await stage.start({
      service: WORKERS,
      main: FAULTY,
      permissions: ["--allow-all"],
      env: { FAULT: "throws" },
      more: '[audit]\nfile = "audit.jsonl"',
    });
    const sessions = await clients(program.port);
    program.signal("SIGUSR2");
    const [, count] = await program.logged(/error a worker was lost.* connections=(\d+) restart_in_ms=100/);
    await program.logged(/info a worker serves again worker=1/);
    const ended = () =>
      Deno.readTextFileSync(audit).split("\n").filter((line) =>
        /"session_end".*"failed".*its worker was lost/.test(line)
      )
        .length;
    await waitUntil(() => ended() === Number(count), { what: `${count} ends in the audit trail` });
    assert(Number(count) > 0 && Number(count) < SESSIONS, count);
    await using client = await stage.client(program.port);
    await client.ask("select 1");
    program.signal("SIGTERM");
    for (const session of sessions) await session.isOver();
    assert.equal((await program.ended()).code, 0);
  });

  await t.step("permissions prints what is enough, and check finds nothing wrong", async () => {
    const port = freePort();
    await stage.directory.write("config.toml", stage.configuration({ service: WORKERS, port }));
    const config = join(stage.directory.path, "config.toml");
    const printed = await run(["permissions", "--config", config], { permissions: ["--allow-read"] });
    const flags = printed.stdout.split("\n\n")[0].replaceAll(" \\\n  ", " ").split(" ").filter((word) =>
      word.startsWith("--allow-")
    );
    assert.deepEqual(flags.map((flag) => flag.split("=")[0]), ["--allow-net", "--allow-read"]);
    const ofProgram = flags[1].slice("--allow-read=".length).split(",").filter((path) =>
      path.startsWith(HOUSE)
    );
    assert.deepEqual(ofProgram, [MAIN, `${HOUSE}/lib`]);
    {
      await using program = await stage.start({ service: WORKERS, port, permissions: flags });
      const sessions = await clients(program.port);
      for (const session of sessions) await session.ask("select 1");
      for (const session of sessions) await session[Symbol.asyncDispose]();
      const from = program.log.length;
      program.signal("SIGHUP");
      await program.logged(/configuration reloaded/, from);
      program.signal("SIGTERM");
      assert.equal((await program.ended()).code, 0);
    }
    const env = { DENO_CERT: join(stage.directory.path, "ca.crt") };
    const checked = await run(["check", "--config", config], { permissions: flags, env });
    assert.equal(checked.code, 0, checked.stdout + checked.stderr);

    const without = [flags[0], flags[1].replace(`,${ofProgram}`, "")];
    const refused = await run(["start", "--config", config], { permissions: without, env });
    const says = `Deno does not permit what the configuration needs: start with --allow-read=${ofProgram}\n`;
    assert.deepEqual([refused.code, refused.stderr], [1, says]);
  });

  await t.step(
    "an address that another of the same program listens on is refused in one sentence",
    async () => {
      await using program = await stage.start({ service: WORKERS });
      await stage.directory.write(
        "other.toml",
        stage.configuration({ service: WORKERS, port: program.port }),
      );
      const env = { DENO_CERT: join(stage.directory.path, "ca.crt") };
      const config = join(stage.directory.path, "other.toml");
      const { code, stderr } = await run(["start", "--config", config], { env });
      const says = "cannot listen on listen.address: another program listens there already; " +
        "stop it or choose another port\n";
      assert.deepEqual([code, stderr.slice(-says.length)], [1, says], stderr);
    },
  );

  await t.step("the bundle runs its workers out of its one file", async () => {
    const bundle = join(stage.directory.path, "pg-auth-proxy.js");
    const bundled = await new Deno.Command(Deno.execPath(), {
      args: ["bundle", "--output", bundle, MAIN],
      stdout: "null",
      stderr: "piped",
    }).output();
    assert.ok(bundled.success, new TextDecoder().decode(bundled.stderr));
    const names = ["config.toml", "server.crt", "server.key", "ca.crt", "password"];
    const files = [bundle, ...names.map((name) => join(stage.directory.path, name))];
    await using program = await stage.start({
      service: WORKERS,
      main: bundle,
      permissions: ["--no-config", "--no-remote", "--no-npm", "--allow-net", `--allow-read=${files}`],
      env: { DENO_DIR: join(stage.directory.path, "cache") },
    });
    const sessions = await clients(program.port);
    for (const session of sessions) await session.ask("select 1");
    program.signal("SIGTERM");
    for (const session of sessions) assert.equal(await session.isOver(), SHUTTING_DOWN);
    assert.equal((await program.ended()).code, 0);
  });
});

/** A connection that says nothing; it leaves only when the proxy does, or when all is over. */
async function silent(port: number, held: AsyncDisposableStack): Promise<Socket> {
  const socket = connect({ host: "127.0.0.1", port });
  socket.on("error", () => {}).resume();
  held.defer(() => void socket.destroy());
  await new Promise<void>((resolve) => socket.once("connect", resolve).once("close", () => resolve()));
  return socket;
}

/** How many files the program has open, by the system's word. */
function descriptors({ pid }: Program): number {
  return [...Deno.readDirSync(`/proc/${pid}/fd`)].length;
}
