import assert from "node:assert/strict";
import { join } from "node:path";
import { RawClient } from "../support/hostile_peer.ts";
import { OperatorScene } from "./operator_scene.ts";

Deno.test("the audit trail of the program", async (t) => {
  await using scene = await OperatorScene.start({
    toml: '[log]\nfile = "proxy.log"\nformat = "fluent"\n[audit]\nfile = "audit.jsonl"',
    permissions: ["--allow-net", "--allow-read", "--allow-write"],
  });
  const trail = (count: number) => scene.lines("audit.jsonl", count);

  await t.step("has a line for a login and one for its end", async () => {
    await scene.visit(["select 1", "begin", "select 2", "select 3", "commit", "select repeat('x', 10000)"]);
    const [login, end] = await trail(2);
    const { time, connection, client_address, token_id, duration_ms, ...rest } = login;
    assert.match(String(time), /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/);
    assert.match(String(client_address), /^(127\.0\.0\.1|\[::1\]):\d+$/);
    assert.equal(typeof token_id, "string");
    assert(Number(duration_ms) > 0);
    const whose = {
      ...{ tls_version: "TLSv1.3", method: "password", issuer: "corp", identity: "alice", rule: "alice" },
      ...{ user: "alice", role: "app_scram", database: "postgres", backend: "main", application: "a test" },
    };
    assert.deepEqual(rest, { event: "login", ...whose });
    const { bytes_in, bytes_out, transactions, how, ...same } = end;
    assert.equal(how, "client_left");
    assert(Number(bytes_in) > 100 && Number(bytes_in) < 1_000, String(bytes_in));
    assert(Number(bytes_out) > 10_000, String(bytes_out));
    // The block from begin to commit is one, and each of the other statements.
    assert.equal(transactions, 3);
    assert.deepEqual(same, {
      ...{ time: end.time, event: "session_end", connection, client_address, ...whose, token_id },
      duration_ms: end.duration_ms,
    });
  });

  await t.step("has a line for a refusal, with whose token it was", async () => {
    await assert.rejects(scene.visit([], "mallory"));
    const { event, issuer, identity, user, fault, sqlstate, backend } = (await trail(3))[2];
    assert.deepEqual({ event, issuer, identity, user, fault, sqlstate, backend }, {
      ...{ event: "refusal", issuer: "corp", identity: "mallory", user: "mallory", fault: "no_rule" },
      ...{ sqlstate: "28P01", backend: undefined },
    });
  });

  await t.step("has a line for a client that never came so far as to say who it is", async () => {
    await using client = await RawClient.connect(scene.port);
    await client.send(new TextEncoder().encode("GET / HTTP/1.1\r\n\r\n"));
    await client.receiveToEnd();
    const { event, sqlstate, user, issuer } = (await trail(4))[3];
    assert.deepEqual({ event, sqlstate, user, issuer }, {
      ...{ event: "refusal", sqlstate: "08P01", user: undefined, issuer: undefined },
    });
  });

  await t.step("has none for a connection that says nothing", async () => {
    {
      await using _client = await RawClient.connect(scene.port);
    }
    await scene.visit();
    assert.deepEqual((await trail(6)).slice(4).map(({ event }) => event), ["login", "session_end"]);
  });

  await t.step("has no token and no password in it", async () => {
    const text = await scene.read("audit.jsonl");
    assert.doesNotMatch(text, /eyJ/);
  });

  await t.step("goes on in a new file at SIGHUP, as the log does, and loses nothing", async () => {
    const session = await scene.connect();
    await trail(7);
    for (const name of ["audit.jsonl", "proxy.log"]) {
      await Deno.rename(join(scene.directory, name), join(scene.directory, `${name}.1`));
    }
    scene.program.kill("SIGHUP");
    await scene.program.until(/configuration reloaded/, () => scene.read("proxy.log").catch(() => ""));
    await session[Symbol.asyncDispose]();
    const [end] = await trail(1);
    assert.deepEqual([end.event, end.identity], ["session_end", "alice"]);
    assert.equal((await scene.lines("audit.jsonl.1", 7)).length, 7);
  });

  await t.step(
    "leaves a log that Fluentd understands, line by line, and nothing on standard error",
    async () => {
      const lines = [...await scene.lines("proxy.log.1", 1), ...await scene.lines("proxy.log", 1)];
      for (const { message, severity, timestamp } of lines) {
        assert.equal(typeof message, "string");
        assert(["error", "warning", "info"].includes(String(severity)), String(severity));
        assert(!Number.isNaN(Date.parse(String(timestamp))));
      }
      assert.equal(scene.program.stderr, "");
    },
  );
});

Deno.test("a disk that is full slows nobody, and is told on standard error once, and where readiness is asked", async () => {
  await using scene = await OperatorScene.start({
    toml: '[log]\nfile = "proxy.log"\n[audit]\nfile = "/dev/full"\n[admin]\naddress = "127.0.0.1:0"',
    permissions: ["--allow-all"],
  });
  const log = () => scene.read("proxy.log");
  const [, port] = await scene.program.until(/listening for admin address=127\.0\.0\.1:(\d+)/, log);
  const started = performance.now();
  for (let visit = 0; visit < 3; visit++) await scene.visit();
  // Before the disk is tried again once.
  assert(performance.now() - started < 1_000);
  await scene.program.until(
    /error file cannot be written output=audit path=\/dev\/full reason="No space left/,
    log,
  );
  const response = await fetch(`http://127.0.0.1:${port}/ready`);
  assert.deepEqual((await response.json()).warnings, ["audit file: No space left on device (os error 28)"]);
  assert.equal((await log()).split("file cannot be written").length, 2);
});

Deno.test("at SIGHUP the log is opened anew before the configuration is loaded, which the new file tells of", async () => {
  await using scene = await OperatorScene.start({
    toml: '[log]\nfile = "proxy.log"',
    permissions: ["--allow-net", "--allow-read", "--allow-write"],
  });
  const log = join(scene.directory, "proxy.log");
  await Deno.rename(log, `${log}.1`);
  // A pipe is open when somebody reads it, and that may be later than a configuration takes.
  assert((await new Deno.Command("mkfifo", { args: [log] }).output()).success);
  scene.program.kill("SIGHUP");
  await new Promise((resolve) => setTimeout(resolve, 500));
  assert.doesNotMatch(await scene.read("proxy.log.1"), /configuration reloaded/);
  const args = ["10", "grep", "--max-count=1", "configuration reloaded", log];
  assert((await new Deno.Command("timeout", { args }).output()).success);
});

Deno.test("a log that cannot be written is told on standard error, once", async () => {
  await using scene = await OperatorScene.start({
    toml: '[log]\nfile = "proxy.log"',
    permissions: ["--allow-all"],
  });
  const file = join(scene.directory, "proxy.log");
  await Deno.remove(file);
  await Deno.symlink("/dev/full", file);
  scene.program.kill("SIGHUP");
  await scene.program.until(
    /error file cannot be written output=log path=\S+ reason="No space left on device/,
  );
  for (let visit = 0; visit < 3; visit++) await scene.visit();
  await Deno.remove(file);
  scene.program.kill("SIGHUP");
  await scene.program.until(/warn file can be written again output=log path=\S+ lines_lost=0/);
  assert.equal(scene.program.stderr.split("\n").length, 3);
  await scene.program.until(/session ended/, () => scene.read("proxy.log"));
});
