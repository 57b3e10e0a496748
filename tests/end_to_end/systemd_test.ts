import assert from "node:assert/strict";
import { join } from "node:path";
import * as v from "valibot";
import { serviceSchema } from "../../lib/commands/schema.ts";
import { NotifySocket } from "../support/notify_socket.ts";
import { tempDirectory } from "../support/temp_directory.ts";
import { OperatorScene } from "./operator_scene.ts";

const UNIT = await Deno.readTextFile(
  new URL("../../examples/systemd/pg-auth-proxy.service", import.meta.url),
);
const ANALYZER = "/usr/bin/systemd-analyze";
const hasAnalyzer = await Deno.stat(ANALYZER).then(() => true, () => false);

Deno.test("the program tells systemd that it is ready and that it ends, by the permissions of its unit", async () => {
  await using directory = await tempDirectory();
  const socket = join(directory.path, "notify");
  using systemd = new NotifySocket(socket);
  await using scene = await OperatorScene.start({
    toml: `[audit]\nfile = "${directory.path}/audit.jsonl"`,
    permissions: permissionsOfUnit({
      "/run/systemd/notify": socket,
      "/var/log/pg-auth-proxy": directory.path,
      // Where the configuration of a test is made only by the scene.
      "/etc/pg-auth-proxy": "/",
    }),
    env: { NOTIFY_SOCKET: socket },
  });
  assert.equal(await systemd.next(), "READY=1\nSTATUS=Serving");
  await scene.visit();
  scene.program.kill("SIGTERM");
  assert.equal(await systemd.next(), "STOPPING=1\nSTATUS=Draining");
  assert.equal(await scene.program.ended(), 0);
  assert.doesNotMatch(scene.program.stderr, / (warn|error) /);
});

Deno.test("the program says in its log what permission it lacks to tell systemd, and serves", async () => {
  await using scene = await OperatorScene.start({
    toml: "",
    permissions: ["--allow-net", "--allow-read", "--allow-env=NOTIFY_SOCKET"],
    env: { NOTIFY_SOCKET: "/run/systemd/notify" },
  });
  await scene.program.until(
    /error the service manager cannot be told reason="Deno does not permit it: start with --allow-net, and with --allow-read and --allow-write for \/run\/systemd\/notify"/,
  );
  await scene.visit();
});

Deno.test("the unit gives the program longer to end than it takes by default", () => {
  const { grace_period, drain_delay } = v.parse(serviceSchema, {});
  const [, seconds] = /^TimeoutStopSec=(\d+)$/m.exec(UNIT)!;
  assert(Number(seconds) * 1000 > grace_period + drain_delay + 10_000);
});

Deno.test.each([
  ["Type", "notify"],
  ["ExecReload", "/bin/kill -HUP $MAINPID"],
  ["KillSignal", "SIGTERM"],
  ["DynamicUser", "yes"],
  ["LogsDirectory", "pg-auth-proxy"],
  ["NoNewPrivileges", "yes"],
  ["ProtectSystem", "strict"],
  ["CapabilityBoundingSet", ""],
])("the unit has %s=%s", (key, value) => {
  assert(UNIT.split("\n").includes(`${key}=${value}`));
});

Deno.test({
  name: `systemd takes the unit, and finds little that it exposes${
    hasAnalyzer ? "" : " (needs systemd-analyze)"
  }`,
  ignore: !hasAnalyzer,
  async fn() {
    await using directory = await tempDirectory();
    const path = join(directory.path, "pg-auth-proxy.service");
    // It asks that the program is there.
    await Deno.writeTextFile(path, UNIT.replace("/usr/local/bin/deno", Deno.execPath()));
    const analyze = async (...args: string[]) => {
      const command = new Deno.Command(ANALYZER, { args: [...args, path], stdin: "null" });
      const { code, stdout, stderr } = await command.output();
      return { code, said: new TextDecoder().decode(stdout) + new TextDecoder().decode(stderr) };
    };
    assert.deepEqual(await analyze("verify"), { code: 0, said: "" });
    const { code, said } = await analyze("security", "--offline=yes", "--no-pager", "--threshold=20");
    assert.equal(code, 0, said);
  },
});

/** The flags by which the unit starts Deno, with other paths in them. */
function permissionsOfUnit(paths: Readonly<Record<string, string>>): readonly string[] {
  const [, command] = /^ExecStart=((?:.*\\\n)*.*)$/m.exec(UNIT)!;
  const flags = command.split(/[\s\\]+/).filter((word) =>
    word.startsWith("--allow-") || word === "--unstable-net"
  );
  assert(flags.length >= 5);
  return flags.map((flag) =>
    Object.entries(paths).reduce((changed, [from, to]) => changed.replaceAll(from, to), flag)
  );
}
