import assert from "node:assert/strict";
import { join } from "node:path";
import { StartError } from "../../lib/commands/load.ts";
import { closeOutputs, NO_OUTPUTS, openOutputs, type Outputs } from "../../lib/commands/outputs.ts";
import { loadConfiguration } from "../../lib/config/load.ts";
import type { Configuration } from "../../lib/config/configuration.ts";
import type { ProxyEvent } from "../../lib/observe/events.ts";
import { outsideOf, PEM, SMALLEST } from "../config/files.ts";
import { tempDirectory } from "../support/temp_directory.ts";

const sources = {
  readiness: () => ({ ready: true, reasons: [], warnings: [], backends: [], issuers: [] }),
  metrics: { contentType: "text/plain", text: () => Promise.resolve("") },
};

function outsideTelling(events: ProxyEvent[] = []) {
  return { sources: () => Promise.resolve(sources), report: (event: ProxyEvent) => void events.push(event) };
}

function configured(toml: string): Promise<Configuration> {
  return loadConfiguration("/etc/proxy/config.toml", outsideOf({ ...PEM, "config.toml": SMALLEST + toml }));
}

async function opened(toml: string, now: Outputs = NO_OUTPUTS): Promise<Outputs> {
  return await openOutputs(now, await configured(toml), outsideTelling());
}

Deno.test("openOutputs() opens nothing where nothing is wanted", async () => {
  assert.deepEqual(await opened(""), NO_OUTPUTS);
});

Deno.test.each<[string, (directory: string) => string, string]>([
  ["log", (directory) => `${directory}/none/proxy.log`, "whose directory does not exist: make it first"],
  ["audit", (directory) => directory, "which is a directory"],
])("openOutputs() says why the %s file cannot be written", async (output, fileIn, why) => {
  await using directory = await tempDirectory();
  const file = fileIn(directory.path);
  await assert.rejects(opened(`[${output}]\nfile = "${file}"`), {
    name: "StartError",
    message: `${output}.file names ${file}, ${why}`,
  });
});

Deno.test("openOutputs() says that the admin port is taken, and leaves nothing open", async () => {
  await using directory = await tempDirectory();
  using taken = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const { port } = taken.addr as Deno.NetAddr;
  const toml = `[audit]\nfile = "${join(directory.path, "audit")}"\n[admin]\naddress = "127.0.0.1:${port}"`;
  // That the file is closed again is for the sanitizers to see.
  await assert.rejects(
    opened(toml),
    new StartError(
      "cannot listen on admin.address: another program listens there already; stop it or choose another port",
    ),
  );
});

Deno.test("openOutputs() keeps what is wanted still, and closeOutputs() closes only the rest", async () => {
  await using directory = await tempDirectory();
  const file = (name: string) => `file = "${join(directory.path, name)}"`;
  const before = await opened(
    `[log]\n${file("log")}\n[audit]\n${file("audit")}\n[admin]\naddress = ["127.0.0.1:0", "[::1]:0"]`,
  );
  const after = await opened(`[log]\n${file("log")}\n[admin]\naddress = "127.0.0.1:0"`, before);
  assert.equal(after.log, before.log);
  assert.deepEqual([...after.admin], [...before.admin].slice(0, 1));
  await closeOutputs(before, after);
  after.log!.write("still open\n");
  const [server] = after.admin.values();
  const response = await fetch(`http://127.0.0.1:${server.address.port}/health`);
  assert.equal(await response.text(), "OK");
  await closeOutputs(after);
  assert.equal(await Deno.readTextFile(join(directory.path, "log")), "still open\n");
});
