import assert from "node:assert/strict";
import { proxyEventOf } from "../../../lib/commands/proxy_event.ts";
import { logEntryOf } from "../../../lib/observe/log_entry.ts";
import { createAuthority } from "../../support/certificates.ts";
import { tempDirectory } from "../../support/temp_directory.ts";

const MAIN = new URL("../../../main.ts", import.meta.url).pathname;

const TOML = `
[listen]
address = "127.0.0.1:0"
certificate = "server.crt"
private_key = "server.key"

[[issuers]]
name = "legacy"
validator = { command = ["./check"] }

[[backends]]
name = "main"
url = "postgres://app@localhost/"

[[rules]]
issuer = "legacy"
match = "alice"
backend = "main"
`;

Deno.test.each([
  ["that it may not run the program", [], "start with --allow-run=DIRECTORY/check"],
  [
    "that there is no such program",
    ["--allow-run"],
    "there is no such program; a name without a slash must be where the system's programs are",
  ],
])("start says, with file and line, %s", async (_name, permissions, says) => {
  await using directory = await tempDirectory();
  const { certificatePem, keyPem } = await (await createAuthority("validator")).issueForLoopback();
  await directory.write("server.crt", certificatePem);
  await directory.write("server.key", keyPem);
  const config = await directory.write("config.toml", TOML);
  const flags = ["--no-prompt", "--allow-net", "--allow-read", ...permissions];
  const { code, stderr } = await new Deno.Command(Deno.execPath(), {
    args: ["run", ...flags, MAIN, "start", "--config", config],
    env: { NO_COLOR: "1" },
    stdin: "null",
    signal: AbortSignal.timeout(20_000),
  }).output();
  const lines = new TextDecoder().decode(stderr).replaceAll(directory.path, "DIRECTORY").trimEnd().split(
    "\n",
  );
  assert.equal(code, 1);
  assert.deepEqual(lines, [
    `DIRECTORY/config.toml:9: issuers[0].validator.command cannot be used: DIRECTORY/check cannot be run: ${says}`,
  ]);
});

Deno.test("the log tells what a validator says, and why it is started again", () => {
  const entries = [
    proxyEventOf({ kind: "validator_said", issuer: "legacy", line: "no database", passedOver: 0 }),
    proxyEventOf({ kind: "validator_said", issuer: "legacy", line: "no database", passedOver: 7 }),
    proxyEventOf({
      kind: "validator_restarting",
      issuer: "legacy",
      problem: "The validator has exited with code 1",
      delayMs: 200,
    }),
  ].map(logEntryOf);
  const said = { level: "warn", message: "a validator says" };
  const line = { issuer: "legacy", line: "no database" };
  assert.deepEqual(entries, [
    { ...said, fields: { ...line, lines_passed_over: undefined } },
    { ...said, fields: { ...line, lines_passed_over: 7 } },
    {
      level: "warn",
      message: "a validator is started again",
      fields: { issuer: "legacy", reason: "The validator has exited with code 1", delay_ms: 200 },
    },
  ]);
});
