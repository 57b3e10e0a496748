// In: a program that is told to stop while it begins. Out: it stops.
// Chapter: what a clumsy operator's attacks have shown.
import assert from "node:assert/strict";
import { join } from "node:path";
import { createAuthority } from "../support/certificates.ts";
import { tempDirectory } from "../support/temp_directory.ts";

Deno.test("SIGTERM ends a program that still waits for an issuer's keys", async () => {
  using silence = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  await using directory = await tempDirectory();
  const server = await (await createAuthority("attack")).issueForLoopback();
  const files = {
    "server.crt": server.certificatePem,
    "server.key": server.keyPem,
    "config.toml": `
[listen]
address = "127.0.0.1:0"
certificate = "server.crt"
private_key = "server.key"

[[issuers]]
name = "corp"
url = "http://127.0.0.1:${silence.addr.port}"
audience = ["pg-auth-proxy"]
insecure_http = true

[[backends]]
name = "main"
url = "postgres://app:secret@localhost:1/postgres"

[[rules]]
issuer = "corp"
match = "alice"
backend = "main"
`,
  };
  for (const [name, text] of Object.entries(files)) {
    await Deno.writeTextFile(join(directory.path, name), text);
  }
  await using program = new Deno.Command(Deno.execPath(), {
    args: ["run", "--no-prompt", "--allow-net", "--allow-read", "main.ts", "start", "--config"]
      .concat(join(directory.path, "config.toml")),
    cwd: new URL("../..", import.meta.url),
    stdin: "null",
    stdout: "null",
    stderr: "null",
  }).spawn();
  using _connection = await silence.accept();
  const told = performance.now();
  program.kill("SIGTERM");
  assert.equal((await program.status).code, 0);
  const ms = performance.now() - told;
  assert.ok(ms < 2_000, `it took ${Math.round(ms)} ms`);
});
