import assert from "node:assert/strict";
import config from "../../deno.json" with { type: "json" };

const main = new URL("../../main.ts", import.meta.url).pathname;

Deno.test("the bundle is one file that runs alone, with the network and files to read", async () => {
  const directory = await Deno.makeTempDir();
  try {
    const bundle = `${directory}/pg-auth-proxy.js`;
    const bundled = await deno(["bundle", "--output", bundle, main], {});
    assert.ok(bundled.success, bundled.stderr);

    // An empty DENO_DIR holds no package, and nothing can be downloaded.
    const run = ["run", "--no-prompt", "--no-config", "--no-remote", "--no-npm"];
    const { stdout, stderr } = await deno([...run, "--allow-net", "--allow-read", bundle, "--version"], {
      DENO_DIR: `${directory}/cache`,
    });
    assert.deepEqual([stdout, stderr], [`pg-auth-proxy ${config.version}\n`, ""]);
  } finally {
    await Deno.remove(directory, { recursive: true });
  }
});

async function deno(args: readonly string[], env: Record<string, string>) {
  const { success, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
    args: [...args],
    env: { NO_COLOR: "1", ...env },
    stdin: "null",
  }).output();
  const decoder = new TextDecoder();
  return { success, stdout: decoder.decode(stdout), stderr: decoder.decode(stderr) };
}
