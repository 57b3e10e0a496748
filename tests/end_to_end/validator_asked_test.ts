import assert from "node:assert/strict";
import { startupMessage } from "../support/raw_messages.ts";
import { RunningProxy } from "../support/running_proxy.ts";
import { tempDirectory } from "../support/temp_directory.ts";
import { waitUntil } from "../support/wait_until.ts";
import { loop, say } from "../token/validator/scripted_validator.ts";
import { connectBy, outcomeBy, PRESENTERS, WAYS_IN } from "./presenter.ts";

Deno.test.each(WAYS_IN)("a validator is told by %s who asks for what, and from where", async (by) => {
  await using directory = await tempDirectory();
  const question = `${directory.path}/question`;
  const refuse = say({ authorized: false, reason: "only asked" });
  const script = await directory.write(
    "script",
    loop(`printf '%s\\n' "$question" > '${question}'; ${refuse}`),
  );
  await using proxy = await RunningProxy.start({ toml: tomlOf(script) });
  const startup = startupMessage({ user: "alice", database: "orders" });
  await using client = await connectBy(by, proxy.port, startup);
  await client.send(PRESENTERS[by].message("an-opaque-token"));
  assert.equal(await outcomeBy(by, client), PRESENTERS[by].sqlstate);
  const { id: _id, ...asked } = JSON.parse(await Deno.readTextFile(question));
  assert.deepEqual(asked, {
    issuer: "legacy",
    token: "an-opaque-token",
    user: "alice",
    database: "orders",
    client_address: "127.0.0.1",
    server_name: PRESENTERS[by].tls.serverName,
  });
  await waitUntil(() => proxy.connectionCount === 0, { what: "the session's end" });
});

function tomlOf(script: string): string {
  return `
[[issuers]]
name = "legacy"
issuer = "https://legacy.example.com"
validator = { command = ["/bin/sh", "${script}"] }

[[ways_in]]
server_names = ["oauth.example.com"]
method = "oauthbearer"
issuer = "legacy"
scope = "openid pg"

[[ways_in]]
method = "password"
issuer = "legacy"

[[backends]]
name = "main"
url = "postgres://app@localhost:1/postgres?sslmode=disable"
require_auth = ["none"]

[[rules]]
issuer = "legacy"
match = "alice"
backend = "main"
`;
}
