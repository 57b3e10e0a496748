import assert from "node:assert/strict";
import { DrainedClient, ProgramStage } from "./program_scene.ts";

const RULE_OF_BOB = `
[[rules]]
name = "Bob"
issuer = "corp"
match = "bob@example.org"
users = ["bob"]
backend = "main"
`;

Deno.test("the program loads its configuration anew", async (t) => {
  await using stage = await ProgramStage.open();
  const write = (more: string) =>
    stage.directory.write("config.toml", stage.configuration({ service: "watch = true", more }));
  await using program = await stage.start({ service: "watch = true", more: RULE_OF_BOB });
  const { port } = program;
  const token = await stage.issuer.mint({ sub: "bob@example.org" });

  await t.step(
    "A15 a rule can be taken away while the issuer is down, and takes its sessions along",
    async () => {
      await using bob = await DrainedClient.connect({
        ...stage.driverOptions(port),
        user: "bob",
        password: token,
      });
      await using alice = await stage.client(port);
      await stage.issuer.stop();
      await write("");
      const from = program.log.length;
      program.signal("SIGHUP");
      await program.logged(/info configuration reloaded sessions=2\n/, from);
      assert.equal(await bob.isOver(), "28000 terminating connection because the rules no longer let it in");
      await alice.ask("select 1");
      // By the keys of before, which are good for an hour.
      await using again = await stage.client(port);
      await again.ask("select 1");
      await program.logged(/warn key set of an issuer cannot be fetched issuer=corp /, from);
    },
  );

  await t.step("an issuer that is new and down keeps the old configuration", async () => {
    const from = program.log.length;
    await write(`
[[issuers]]
name = "another"
url = "https://127.0.0.1:1/"
audience = ["pg-auth-proxy"]
`);
    program.signal("SIGHUP");
    await program.logged(/error configuration not reloaded.*issuers\[1\]\.url cannot be used/, from);
  });

  await t.step("watch: a file that has changed is enough", async () => {
    const from = program.log.length;
    await write("# changed\n");
    await program.logged(/info configuration reloaded /, from);
  });
});
