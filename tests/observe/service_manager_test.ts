import assert from "node:assert/strict";
import { join } from "node:path";
import type { ProxyEvent } from "../../lib/observe/events.ts";
import { ServiceManager } from "../../lib/observe/service_manager.ts";
import { NotifySocket } from "../support/notify_socket.ts";
import { tempDirectory } from "../support/temp_directory.ts";

function managed(socket: string | undefined) {
  const events: ProxyEvent[] = [];
  return { manager: new ServiceManager({ socket, report: (event) => events.push(event) }), events };
}

Deno.test("ServiceManager tells that the proxy is ready, what became of reloads, and that it is about to end", async () => {
  await using directory = await tempDirectory();
  const path = join(directory.path, "notify");
  using listening = new NotifySocket(path);
  const { manager, events } = managed(path);
  manager.ready();
  manager.observe({ kind: "reload_failed", reason: "c.toml:1: one" });
  manager.observe({ kind: "configuration_reloaded", sessions: 0 });
  manager.observe({ kind: "draining", sessions: 0, graceMs: 0, delayMs: 0 });
  manager.stopping();
  await manager.said;
  const said = [
    await listening.next(),
    await listening.next(),
    await listening.next(),
    await listening.next(),
  ];
  assert.deepEqual(said, [
    "READY=1\nSTATUS=Serving",
    "STATUS=Serving; the configuration could not be reloaded, the old one stays",
    "STATUS=Serving",
    "STOPPING=1\nSTATUS=Draining",
  ]);
  assert.deepEqual(events, []);
});

Deno.test("ServiceManager reaches an abstract name, and leaves no file behind", async () => {
  const name = `pg-auth-proxy-test/${crypto.randomUUID()}`;
  using listening = new NotifySocket(`\0${name}`);
  const { manager } = managed(`@${name}`);
  manager.ready();
  await manager.said;
  assert.equal(await listening.next(), "READY=1\nSTATUS=Serving");
});

Deno.test.each([[undefined], [""]])("ServiceManager says nothing where the socket is %o", async (socket) => {
  const { manager, events } = managed(socket);
  manager.ready();
  await manager.said;
  assert.deepEqual(events, []);
});

Deno.test("ServiceManager tells once that nobody is there", async () => {
  await using directory = await tempDirectory();
  const { manager, events } = managed(join(directory.path, "notify"));
  manager.ready();
  manager.stopping();
  await manager.said;
  assert.deepEqual(events, [{ kind: "notify_failed", reason: "No such file or directory (os error 2)" }]);
});
