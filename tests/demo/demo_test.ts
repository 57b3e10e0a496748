import assert from "node:assert/strict";
import { exists } from "../support/postgres_binaries.ts";
import { testWithPsql } from "../support/psql.ts";
import { DemoProcess } from "./demo_process.ts";

const READY = "Ctrl-C ends the demo";

Deno.test("the demo shows who each visitor is, TLS on both sides and two refusals", async () => {
  await using demo = new DemoProcess(["--once"]);
  assert.equal(await demo.ended, 0, demo.complaints + demo.said);
  const expected = [
    /current_user alice, session_user alice, database shop/,
    /current_user shop_owner, session_user shop_owner, database shop/,
    /current_user nightly_report, session_user nightly_report, database shop/,
    /system_user +scram-sha-256:alice/,
    /client to proxy TLSv1\.3 TLS_\w+; proxy to backend TLSv1\.3 TLS_\w+/,
    /the client reads +FATAL: token authentication failed for user "alice" \(SQLSTATE 28P01\)/,
    /the log says +signature/,
    /the client reads +FATAL: token authentication failed for user "shop_owner" \(SQLSTATE 28P01\)/,
    /the log says +no rule lets in alice of demo/,
    /Everything is as it should be\.\n$/,
  ];
  for (const pattern of expected) assert.match(demo.said, pattern);
  assert.equal(demo.complaints, "");
  assert.equal(await exists(demo.directory), false);
});

testWithPsql("the demo's lines work when they are pasted into a shell", async ({ program }) => {
  await using demo = new DemoProcess([]);
  await demo.saying(READY);
  const printed = [];
  for (const line of demo.said.split("\n").filter((line) => line.startsWith("PGPASSWORD="))) {
    const { stdout, stderr } = await new Deno.Command("/bin/sh", {
      args: ["-c", `${line} --no-psqlrc -At -c 'SELECT current_user'`],
      env: { PATH: `${program.slice(0, program.lastIndexOf("/"))}:/usr/bin:/bin`, PGCONNECT_TIMEOUT: "10" },
      stdin: "null",
    }).output();
    printed.push([stdout, stderr].map((bytes) => new TextDecoder().decode(bytes)));
  }
  assert.deepEqual(printed, [["alice\n", ""], ["shop_owner\n", ""], ["nightly_report\n", ""]]);
});

Deno.test.each(["SIGINT", "SIGTERM"] as const)("the demo ends at %s and leaves nothing", async (signal) => {
  await using demo = new DemoProcess([]);
  await demo.saying(READY);
  const [proxy] = await processesNaming(demo.directory);
  demo.kill(signal);
  assert.equal(await demo.ended, 0, demo.complaints);
  assert.match(demo.said, /Stopping\.\n$/);
  assert.equal(await exists(demo.directory), false);
  assert.equal(await exists(`/proc/${proxy}/exe`), false);
});

Deno.test("the demo ends with exit code 1 and a sentence when the proxy ends by itself", async () => {
  await using demo = new DemoProcess([]);
  await demo.saying(READY);
  const [proxy] = await processesNaming(demo.directory);
  Deno.kill(proxy, "SIGKILL");
  assert.equal(await demo.ended, 1);
  assert.equal(demo.complaints, "\nThe demo failed. The proxy has ended by itself\n");
  assert.equal(await exists(demo.directory), false);
});

Deno.test("the demo refuses an option that it does not know", async () => {
  await using demo = new DemoProcess(["--twice"]);
  assert.equal(await demo.ended, 2);
  assert.match(demo.complaints, /^deno task demo \[--once\]\n/);
});

/** Processes with the text in their command line; of the demo's own, only the proxy names its directory. */
async function processesNaming(text: string): Promise<number[]> {
  const found = [];
  for await (const { name } of Deno.readDir("/proc")) {
    if (!/^\d+$/.test(name)) continue;
    const commandLine = await Deno.readTextFile(`/proc/${name}/cmdline`).catch(() => ""); // it may be gone by now
    if (commandLine.includes(text)) found.push(Number(name));
  }
  return found;
}
