// In: identities that look like a reserved role to a backend that folds names. Out: none of them reaches the backend.
// Chapter: what attacks with names have shown.
import assert from "node:assert/strict";
import { fakeBackend } from "../support/hostile_peer.ts";
import { loginIsComplete } from "../support/raw_messages.ts";
import { RunningProxy } from "../support/running_proxy.ts";
import { tokenSent } from "./backend_access.ts";

Deno.test("T13 no pattern leads to a reserved role by another spelling: CockroachDB folds names", async () => {
  const asked: string[] = [];
  await using backend = await fakeBackend(async (connection) => {
    asked.push(new TextDecoder().decode(await connection.receiveUntyped()));
    await connection.send(loginIsComplete());
    await connection.receiveToEnd();
  });
  await using proxy = await RunningProxy.start({
    toml: `
[[backends]]
name = "crdb"
url = "postgres://localhost:${backend.port}/defaultdb?sslmode=disable"

[[rules]]
issuer = "corp"
match = '/(.*)/'
backend = "crdb"
login_as = '\\1'
`,
  });
  // As pkg/sql/lexbase of CockroachDB folds: case, both Turkish letters i, and NFC.
  for (const name of ["ROOT", "Root", "Admin", "admİn", "admın", "NODE", "PG_monitor", "Postgres"]) {
    await using client = await tokenSent(proxy, name);
    assert.equal((await client.receiveMessage()).type, "E", name);
  }
  assert.deepEqual(asked, []);
});
