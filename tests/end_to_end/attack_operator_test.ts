import assert from "node:assert/strict";
import { join } from "node:path";
import { freePort } from "../support/free_port.ts";
import { OperatorScene } from "./operator_scene.ts";

Deno.test("reloads that cannot be served leave nothing of theirs behind, and do not keep the next from being loaded", async (t) => {
  const adminPort = freePort();
  await using scene = await OperatorScene.start({
    toml: `[admin]\naddress = "127.0.0.1:${adminPort}"\n[log]\nlevel = "info"\n`,
    permissions: ["--allow-net", "--allow-read", "--allow-write"],
  });

  /** Reloads; why that has failed. */
  const failureOf = async (change: (toml: string) => string): Promise<string> => {
    const before = scene.program.stderr.length;
    await scene.reload(change);
    const found = await scene.program.until(
      /not reloaded.*reason="(.*)"/,
      () => scene.program.stderr.slice(before),
    );
    return found[1];
  };
  const isAlive = (port: number) =>
    fetch(`http://127.0.0.1:${port}/health`).then((response) => response.text(), () => null);

  await t.step("the admin port of a configuration whose other addresses are taken is not open", async () => {
    using taken = Deno.listen({ hostname: "127.0.0.1", port: 0 });
    const [port, refusedPort] = [(taken.addr as Deno.NetAddr).port, freePort()];
    const failure = await failureOf((toml) =>
      toml.replace('"127.0.0.1:0"', `["127.0.0.1:0", "127.0.0.1:${port}"]`)
        .replace(`:${adminPort}`, `:${refusedPort}`)
    );
    assert.match(failure, /^cannot listen on listen.address: another program listens there/);
    assert.deepEqual([await isAlive(adminPort), await isAlive(refusedPort)], ["OK", null]);
  });

  await t.step("TLS on the admin port that is open takes a restart, and that is said", async () => {
    const tls = 'certificate = "server.crt"\nprivate_key = "server.key"';
    const failure = await failureOf((toml) => toml.replace("[admin]", `[admin]\n${tls}`));
    assert.match(failure, /^cannot listen on admin.address: the proxy itself listens on that port/);
  });

  await t.step(
    "a log that is a pipe which nobody reads is told, and the next configuration is loaded",
    async () => {
      const made = await new Deno.Command("mkfifo", { args: [join(scene.directory, "pipe")] }).output();
      assert(made.success);
      const failure = await failureOf((toml) => toml.replace("[log]", '[log]\nfile = "pipe"'));
      assert.match(failure, /^log.file names .*\/pipe, .* if it is a pipe, something must read from it$/);
      await scene.reload((toml) => toml);
      await scene.program.until(/configuration reloaded/);
      await scene.visit();
    },
  );
});
