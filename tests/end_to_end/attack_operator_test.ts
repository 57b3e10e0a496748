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

Deno.test("a log moved away for a pipe which nobody reads holds up no login, however often it is to be opened anew", async () => {
  await using scene = await OperatorScene.start({
    toml: '[log]\nfile = "proxy.log"\n[audit]\nfile = "audit.jsonl"',
    permissions: ["--allow-net", "--allow-read", "--allow-write"],
  });
  for (const name of ["proxy.log", "audit.jsonl"]) {
    const file = join(scene.directory, name);
    await Deno.rename(file, `${file}.1`);
    assert((await new Deno.Command("mkfifo", { args: [file] }).output()).success);
  }
  for (let time = 0; time < 50; time++) {
    scene.program.kill("SIGHUP");
    // Signals sent at once would be one.
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
  const asked = performance.now();
  await scene.visit();
  assert(performance.now() - asked < 2_000);
  const told =
    /cannot be written output=log path=\S+ reason="it could not be opened anew.*something must read from it"/;
  await scene.program.until(told, () => scene.read("proxy.log.1"));
});
