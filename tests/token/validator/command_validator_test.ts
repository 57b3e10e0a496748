import assert from "node:assert/strict";
import { CommandValidator } from "../../../lib/token/validator/command_validator.ts";
import { PATH } from "../../../lib/token/validator/validator_process.ts";
import { tempDirectory } from "../../support/temp_directory.ts";
import { waitUntil } from "../../support/wait_until.ts";
import {
  EXPIRES,
  good,
  loop,
  ManualTimers,
  NOW_MS,
  refusalOf,
  say,
  scripted,
  TIMEOUT_MS,
} from "./scripted_validator.ts";

Deno.test.each([
  ["who it is", { identity: "alice" }, { sub: "alice" }],
  ["who it is and its roles", { identity: "alice", roles: ["a", "b"] }, { sub: "alice", roles: ["a", "b"] }],
  ["only roles: the bearer is a pseudonym", { roles: ["a"] }, { roles: ["a"] }],
  ["no roles at all", { roles: [] }, { roles: [] }],
  ["null for what it does not say", { identity: null, roles: null, reason: null }, {}],
])("validate() gives the claims of a token of which the program says %s", async (_name, says, claims) => {
  await using scene = await scripted(loop(say({ authorized: true, expires: EXPIRES, ...says })));
  assert.deepEqual(await scene.validate(), { ...claims, exp: EXPIRES });
});

Deno.test.each([
  ["a reason", { reason: "no longer employed" }, "no longer employed"],
  ["none", {}, "it gives no reason"],
  ["one with a newline and an escape", { reason: "a\n\u001b[2J" }, "a\\n\\u001b[2J"],
  ["a long one", { reason: "x".repeat(1000) }, `${"x".repeat(256)}… (1000 characters)`],
])("validate() refuses a token that is not authorized, for the log with %s", async (_name, says, reason) => {
  await using scene = await scripted(loop(say({ authorized: false, ...says })));
  assert.equal(
    await scene.refusal(),
    `not_authorized: The validator does not authorize it: ${reason}`,
  );
});

Deno.test.each([[0, false], [0.001, true], [-1, false]])(
  "validate() with an authorization that ends %s s from now: accepted is %s",
  async (seconds, isAccepted) => {
    const expires = NOW_MS / 1000 + seconds;
    await using scene = await scripted(loop(say({ authorized: true, identity: "alice", expires })));
    const expected = isAccepted
      ? JSON.stringify({ sub: "alice", exp: expires })
      : "expired: The validator authorizes it until a time that is over";
    assert.equal(await scene.refusal(), expected);
  },
);

Deno.test("validate() tells the program all that it may decide by", async () => {
  await using scene = await scripted(loop(`printf '%s\\n' "$question" > question; ${say(good("alice"))}`));
  const asked = { user: "alice", database: "orders", clientAddress: "192.0.2.1" };
  await scene.validator.validate({
    token: "t",
    asked: { ...asked, serverName: "db.example.com" },
    nowMs: NOW_MS,
  });
  assert.deepEqual(JSON.parse(await Deno.readTextFile(`${scene.directory.path}/question`)), {
    id: 1,
    issuer: "legacy",
    token: "t",
    user: "alice",
    database: "orders",
    client_address: "192.0.2.1",
    server_name: "db.example.com",
  });
  await scene.validator.validate({ token: "t", asked, nowMs: NOW_MS });
  assert.equal(JSON.parse(await Deno.readTextFile(`${scene.directory.path}/question`)).server_name, null);
});

Deno.test.each([
  ["with a newline", "a\nb"],
  ["that is JSON", '"},{"id":2'],
  ["that is not ASCII", "\u2028 ü 😀"],
  ["with escapes", "\\n\\u0000"],
  ["of the longest", "x".repeat(65_530)],
])(
  "validate() hands over a token %s as it is, in one line",
  async (_name, token) => {
    await using scene = await scripted(
      loop(`printf '%s\\n' "$question" >> questions; ${say(good("alice"))}`),
    );
    await scene.validate(token);
    const [line, ...more] = (await Deno.readTextFile(`${scene.directory.path}/questions`)).split("\n");
    assert.equal(JSON.parse(line).token, token);
    assert.deepEqual(more, [""]);
  },
);

Deno.test("validate() gives each login its own answer when they come in another order", async () => {
  const script = `read -r one; read -r two; read -r three
    ${say(good("second"), 2)}; ${say({ authorized: false }, 3)}; ${say(good("first"), 1)}; read -r end`;
  await using scene = await scripted(script);
  const [one, two, three] = [scene.validate(), scene.validate(), scene.refusal()];
  assert.equal((await one).sub, "first");
  assert.equal((await two).sub, "second");
  assert.match(await three, /^not_authorized/);
});

Deno.test("validate() gives up on a silent program, which is killed and started again", async () => {
  await using scene = await scripted(`
    if [ -e was-here ]; then ${loop(say(good("alice")))} exit; fi
    : > was-here
    exec sleep 60
  `);
  const [one, two] = [scene.refusal(), scene.refusal()];
  await waitUntil(() => Deno.stat(`${scene.directory.path}/was-here`), { what: "its start" });
  await scene.timers.fire(TIMEOUT_MS);
  const refusal = `validator_unavailable: The validator has not answered within ${TIMEOUT_MS} ms`;
  assert.deepEqual([await one, await two], [refusal, refusal]);
  assert.deepEqual(await scene.restarts(1), [
    `The validator has not answered within ${TIMEOUT_MS} ms, 100 ms`,
  ]);
  await scene.timers.fire(100);
  assert.equal((await scene.validate()).sub, "alice");
});

Deno.test("validate() drops an answer that comes too late, and others do not suffer by it", async () => {
  const script = `read -r one; read -r two; ${say(good("second"), 2)}
    read -r three; ${say(good("first"), 1)}; ${say(good("third"), 3)}; read -r end`;
  await using scene = await scripted(script);
  const one = scene.refusal();
  assert.equal((await scene.validate()).sub, "second");
  await scene.timers.fire(TIMEOUT_MS);
  assert.match(await one, /^validator_unavailable: .* has not answered within 5000 ms$/);
  assert.equal((await scene.validate()).sub, "third");
  assert.deepEqual(scene.events, []);
});

Deno.test("a program that leaves most questions unanswered is started again", async () => {
  await using scene = await scripted(
    `read -r one; read -r two; read -r three
    ${say(good("third"), 3)}; read -r end`,
    { maxOwed: 3 },
  );
  const [one, two] = [scene.refusal(), scene.refusal()];
  assert.equal((await scene.validate()).sub, "third");
  await scene.timers.fire(TIMEOUT_MS);
  await scene.timers.fire(TIMEOUT_MS);
  assert.match(await one + await two, /(validator_unavailable: .* has not answered within 5000 ms){2}/);
  assert.deepEqual(await scene.restarts(1), ["The validator leaves questions unanswered, 100 ms"]);
});

Deno.test("validate() refuses what is more than a program may owe", async () => {
  await using scene = await scripted(
    `read -r one; read -r two; read -r go < go
    ${say(good("first"), 1)}; ${say(good("second"), 2)}; ${loop(say(good("later")))}`,
    { maxOwed: 2 },
  );
  await new Deno.Command("mkfifo", { args: [`${scene.directory.path}/go`] }).output();
  const [one, two] = [scene.validate(), scene.validate()];
  assert.equal(await scene.refusal(), "validator_unavailable: The validator owes 2 answers already");
  await Deno.writeTextFile(`${scene.directory.path}/go`, "\n");
  assert.deepEqual([(await one).sub, (await two).sub], ["first", "second"]);
  assert.equal((await scene.validate()).sub, "later");
});

Deno.test("validate() holds no more than may be owed for a program that does not read", async () => {
  await using scene = await scripted("exec sleep 60", { maxOwed: 4 });
  const waiting = Array.from({ length: 4 }, () => scene.refusal("x".repeat(65_530)));
  assert.match(await scene.refusal(), /owes 4 answers already$/);
  await scene.timers.fire(TIMEOUT_MS);
  for (const refusal of await Promise.all(waiting)) assert.match(refusal, /has not answered within 5000 ms$/);
  await scene.restarts(1);
});

Deno.test.each([
  ["exits", "exit 3", "has exited with code 3"],
  ["is ended by a signal", "kill -KILL $$", "was ended by SIGKILL"],
  ["closes its input", "exec <&-; exec sleep 60", "was ended by SIGKILL"],
])("validate() refuses the login during which the program %s", async (_name, crash, problem) => {
  await using scene = await scripted(`read -r question; ${crash}`);
  const refusals = [scene.refusal(), scene.refusal("x".repeat(100_000))];
  for (const refusal of refusals) {
    assert.equal(await refusal, `validator_unavailable: The validator ${problem}`);
  }
  assert.deepEqual(await scene.restarts(1), [`The validator ${problem}, 100 ms`]);
  assert.equal(
    await scene.refusal(),
    "validator_unavailable: The validator is to be started again in a moment",
  );
});

Deno.test("a process that the program has left behind does not hold up the restart", async () => {
  const openFiles = () => Deno.readDirSync("/proc/self/fd").toArray().length;
  const before = openFiles();
  await using scene = await scripted(`
    if [ -e pid ]; then ${loop(say(good("alice")))} exit; fi
    exec 3<&0
    sleep 60 <&3 &
    echo $! > pid
    exec sleep 60
  `);
  const read = () => Deno.readTextFile(`${scene.directory.path}/pid`);
  const refused = scene.refusal("x".repeat(200_000));
  const left = Number(await waitUntil(read, { what: "its start" }));
  await scene.timers.fire(TIMEOUT_MS);
  assert.match(await refused, /has not answered within 5000 ms$/);
  // It still has standard error and input.
  await scene.timers.fire(1_000);
  await scene.timers.fire(1_000);
  await scene.timers.fire(100);
  assert.equal((await scene.validate()).sub, "alice");
  // With it the pipe ends that the first process was written to.
  Deno.kill(left, "SIGKILL");
  await scene.validator.close();
  await waitUntil(() => openFiles() === before, { what: "every pipe to be closed" });
});

Deno.test("validate() takes the answer that a program has given before it crashed", async () => {
  await using scene = await scripted(`read -r question; ${say(good("alice"), 1)}; exit 1`);
  assert.equal((await scene.validate()).sub, "alice");
  assert.deepEqual(await scene.restarts(1), ["The validator has exited with code 1, 100 ms"]);
});

Deno.test("a program that ends at once is started again, ever more slowly", async () => {
  await using scene = await scripted("exit 7");
  const delays = [100, 200, 400, 800, 1_600, 3_200, 6_400, 12_800, 25_600, 30_000, 30_000];
  for (const delay of delays) await scene.timers.fire(delay);
  assert.deepEqual(
    (await scene.restarts(12)).slice(0, 11),
    delays.map((delay) => `The validator has exited with code 7, ${delay} ms`),
  );
});

Deno.test("an answer makes the next restart as fast as the first", async () => {
  await using scene = await scripted(`
    if [ -e third ]; then read -r question; ${say(good("alice"), 1)}; exit; fi
    if [ -e second ]; then : > third; fi
    : > second
    exit 1
  `);
  await scene.timers.fire(100);
  await scene.timers.fire(200);
  assert.equal((await scene.validate()).sub, "alice");
  assert.equal((await scene.restarts(3))[2], "The validator has exited with code 0, 100 ms");
});

Deno.test("a program that is gone at a restart is told of, and started when it is back", async () => {
  await using directory = await tempDirectory();
  const script = `#!/bin/sh\n[ -e healthy ] || exit 1\n${loop(say(good("alice")))}`;
  const path = await directory.write("check", script, 0o700);
  const timers = new ManualTimers();
  const events: unknown[] = [];
  const validator = new CommandValidator({ command: ["./check"], timeout: TIMEOUT_MS }, {
    ...{ issuer: "legacy", directory: directory.path, now: Date.now },
    report: (event) => events.push(event),
    after: timers.after,
  });
  await waitUntil(() => events.length === 1, { what: "its end" });
  await Deno.rename(path, `${path}.gone`);
  await timers.fire(100);
  assert.deepEqual(events[1], {
    kind: "validator_restarting",
    issuer: "legacy",
    problem:
      `${path} cannot be run: there is no such program; a name without a slash must be where the system's programs are`,
    delayMs: 200,
  });
  await directory.write("healthy", "");
  await Deno.rename(`${path}.gone`, path);
  await timers.fire(200);
  assert.equal((await validator.validate({ token: "t", nowMs: NOW_MS })).sub, "alice");
  await validator.close();
});

Deno.test("close() refuses who waits, and lets the program leave by itself", async () => {
  await using scene = await scripted(`read -r one; read -r end; : > left`);
  const waiting = scene.refusal();
  await scene.validator.close();
  assert.equal(await waiting, "validator_unavailable: The validator is being closed");
  assert.ok((await Deno.stat(`${scene.directory.path}/left`)).isFile);
  assert.deepEqual(scene.events, []);
});

Deno.test("close() kills a program that does not leave", async () => {
  await using scene = await scripted("echo $$ > pid; exec sleep 60");
  const pid = await waitUntil(() => Deno.readTextFile(`${scene.directory.path}/pid`), { what: "its start" });
  const closed = scene.validator.close();
  await scene.timers.fire(1_000);
  await closed;
  await assert.rejects(Deno.stat(`/proc/${pid.trim()}`), Deno.errors.NotFound);
});

Deno.test("close() while a restart is awaited starts nothing", async () => {
  await using scene = await scripted("echo started >> starts; exit 1");
  await scene.restarts(1);
  await scene.validator.close();
  await assert.rejects(scene.validate());
  assert.equal(await Deno.readTextFile(`${scene.directory.path}/starts`), "started\n");
});

Deno.test("close() twice is as once", async () => {
  await using scene = await scripted(loop(say(good("alice"))));
  await Promise.all([scene.validator.close(), scene.validator.close()]);
});

Deno.test.each([
  ["is not there", ["/nonexistent/check"], /^\/nonexistent\/check cannot be run: there is no such program/],
  ["has a name that is not found", ["no-such-program"], /^no-such-program cannot be run: there is no such/],
  ["may not be executed", ["/etc/passwd"], /^\/etc\/passwd cannot be run: this user may not execute it/],
])("CommandValidator says that the program %s", (_name, command, message) => {
  assert.throws(() => open(command, "/"), { name: "CannotStart", message });
});

Deno.test({
  name: "CommandValidator names the permission that Deno withholds",
  permissions: { run: false },
  fn() {
    const message = "/etc/proxy/check cannot be run: start with --allow-run=/etc/proxy/check";
    assert.throws(() => open(["./check"], "/etc/proxy"), { name: "CannotStart", message });
  },
});

Deno.test("CommandValidator runs no shell, and finds a name where the system's programs are", async () => {
  const validator = open(["sh", "-c", loop(say(good("alice"))), "$(touch made); *"], "/");
  assert.equal(
    await refusalOf(validator.validate({ token: "t", nowMs: NOW_MS })),
    `{"sub":"alice","exp":${EXPIRES}}`,
  );
  await validator.close();
});

Deno.test("T17 the token is neither on a command line nor in the environment, which has nothing of ours", async () => {
  const token = "secret-token-of-alice";
  await using scene = await scripted(loop(`
    cat /proc/$$/environ > environ; cat /proc/$$/cmdline > cmdline; ${say(good("alice"))}
  `));
  await scene.validate(token);
  assert.equal(await Deno.readTextFile(`${scene.directory.path}/environ`), `PATH=${PATH}\0`);
  assert.equal(
    await Deno.readTextFile(`${scene.directory.path}/cmdline`),
    `/bin/sh\0${scene.directory.path}/script\0`,
  );
});

Deno.test("T17 a token is in no event and no refusal, even if the program repeats it", async () => {
  const token = 'secret-"token"-of-alice';
  await using scene = await scripted(`set -x
    ${
    loop(
      'echo "$question" >&2; token=${question#*\'"token":"\'}; printf \'%s\\n\' "{\\"id\\":$id,\\"authorized\\":false,\\"reason\\":\\"bad ${token%%\'","user"\'*}\\"}"',
    )
  }
  `);
  assert.equal(
    await scene.refusal(token),
    "not_authorized: The validator does not authorize it: bad [token]",
  );
  await waitUntil(() => scene.events.length >= 3, { what: "its trace" });
  const told = JSON.stringify(scene.events);
  assert.ok(told.includes("[token]"));
  for (const part of ["secret", "of-alice"]) assert.ok(!told.includes(part), told);
});

function open(command: readonly string[], directory: string): CommandValidator {
  return new CommandValidator({ command: [...command], timeout: TIMEOUT_MS }, {
    ...{ issuer: "legacy", directory, now: Date.now, report: () => {} },
  });
}
