// In: a client's token, presented to a proxy. Out: a session behind a second proxy, which is the first one's backend.
// Chapter: OAUTHBEARER from both of its sides, each held to what the other one makes of RFC 7628.

import assert from "node:assert/strict";
import pg from "pg";
import { createAuthority } from "../support/certificates.ts";
import { PostgresCluster, type Row } from "../support/postgres_cluster.ts";
import { PASSWORDS } from "../support/postgres_roles.ts";
import { RunningProxy } from "../support/running_proxy.ts";

const resources = new AsyncDisposableStack();
/** Next to PostgreSQL: it takes tokens by OAUTHBEARER alone. */
let inner: RunningProxy;
/** Next to the clients: its backend is the inner one. */
let outer: RunningProxy;

Deno.test.beforeAll(async () => {
  const authority = await createAuthority("proxies in a row");
  const tls = await authority.issueForLoopback();
  const cluster = resources.use(await PostgresCluster.start({ major: 18, tls }));
  inner = resources.use(
    await RunningProxy.start({
      toml: `
[[ways_in]]
method = "oauthbearer"
scope = "openid"
issuer = "corp"

[[backends]]
name = "postgres"
url = "postgres://app_scram:${PASSWORDS.app_scram}@localhost:${cluster.port}/postgres?sslrootcert=ca.crt"

[[rules]]
issuer = "corp"
match = "alice"
backend = "postgres"

[log]
level = "trace"
`,
    }, authority),
  );
  outer = resources.use(
    await RunningProxy.start({
      issuedBy: inner.issuer,
      toml: `
[[backends]]
name = "inner"
url = "postgres://relayed@localhost:${inner.port}?sslrootcert=ca.crt"
require_auth = "oauth"

[[rules]]
issuer = "corp"
match = '/.*/'
backend = "inner"

[log]
level = "trace"
`,
    }, authority),
  );
});

Deno.test.afterAll(() => resources.disposeAsync());

Deno.test("a token goes through two proxies, and PostgreSQL hears of neither", async () => {
  const token = await inner.issuer.mint({ sub: "alice" });
  assert.deepEqual(await queryWith(token, "SELECT current_user"), [{ current_user: "app_scram" }]);
  const { asked, method } = await inner.observed("token_accepted");
  assert.equal(method, "oauthbearer");
  assert.equal(asked.user, "relayed");
});

Deno.test("a token that only the second proxy refuses is refused with its SQLSTATE", async () => {
  const token = await inner.issuer.mint({ sub: "bob" });
  await assert.rejects(queryWith(token, "SELECT 1"), {
    code: "28000",
    message: `backend "inner" refused the proxy's login`,
  });
  const { reason } = await outer.observed("login_refused");
  assert.match(
    reason!,
    /it refused the token with status invalid_token; the backend said: 28000: OAuth bearer/,
  );
  assert.match((await inner.observed("login_refused")).reason!, /no rule lets in bob of corp/);
});

Deno.test("T17 of two proxies in a row neither shows the token in a trace", async () => {
  const token = await inner.issuer.mint({ sub: "alice" });
  await queryWith(token, "SELECT 1");
  for (const { events } of [inner, outer]) {
    const text = JSON.stringify(events);
    assert.match(text, /SASLInitialResponse\\t \\"OAUTHBEARER\\" \d+ 'BBBB'/);
    for (const part of token.split(".")) assert.ok(!text.includes(part));
  }
});

async function queryWith(token: string, statement: string): Promise<Row[]> {
  const client = new pg.Client({ ...outer.driverOptions(token), user: "anyone", database: "postgres" });
  try {
    await client.connect();
    return (await client.query(statement)).rows;
  } finally {
    await client.end();
  }
}
