import assert from "node:assert/strict";
import { type Authority, createAuthority } from "../support/certificates.ts";
import { RawClient } from "../support/hostile_peer.ts";
import { PostgresCluster } from "../support/postgres_cluster.ts";
import { cancelRequest, query, readFields } from "../support/raw_messages.ts";
import { RunningProxy } from "../support/running_proxy.ts";
import { giveToServerUser } from "../support/server_user.ts";
import { waitUntil } from "../support/wait_until.ts";
import { backendsToml, fatal, letIn, refusalThrough, rowsThrough } from "./backend_access.ts";

const stranger = await createAuthority("a stranger");
const many = await Promise.all(
  Array.from({ length: 12 }, (_, number) => createAuthority(`region ${number}`)),
);

Deno.test("a backend of one of many authorities", async (t) => {
  const [first, second, third] = many;
  await using cluster = await PostgresCluster.start({ major: 18, tls: await first.issueForLoopback() });
  const url = `postgres://app_trust@localhost:${cluster.port}/postgres?sslrootcert=many.crt`;
  const bundle = many.map(({ certificatePem }) => certificatePem).join("\n");
  const settings = { toml: backendsToml({ cloud: url }), files: { "many.crt": bundle } };
  await using proxy = await RunningProxy.start(settings, await createAuthority("clients"));
  const logIn = () => rowsThrough(proxy, "cloud", "SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()");
  const isLetIn = async () => assert.deepEqual(await logIn(), [{ ssl: true }]);

  await t.step("is reached by each login", async () => {
    await isLetIn();
    await isLetIn();
  });

  await t.step("may change it for another of them, and every login is let in", async () => {
    await changeAuthority(cluster, second);
    await isLetIn();
    await isLetIn();
  });

  await t.step("may change it when many log in at once", async () => {
    await changeAuthority(cluster, first);
    await Promise.all(Array.from({ length: 8 }, isLetIn));
  });

  await t.step("may change it while a query runs, which is cancelled all the same", async () => {
    await using client = await letIn(proxy, "cloud");
    const { body } = client.told.find(({ type }) => type === "K")!;
    await client.send(query("SELECT pg_sleep(60)"));
    const running = "SELECT FROM pg_stat_activity WHERE query = 'SELECT pg_sleep(60)' AND state = 'active'";
    await waitUntil(async () => (await cluster.sql(running)).length === 1, { what: "the query to run" });
    await changeAuthority(cluster, third);
    await using canceller = await RawClient.connect(proxy.port);
    await canceller.send(
      cancelRequest(new DataView(body.buffer, body.byteOffset).getInt32(0), body.slice(4)),
    );
    const answer = await client.receiveMessagesUntil("Z");
    assert.equal(readFields(answer.find(({ type }) => type === "E")!).C, "57014");
  });

  await t.step("is not spoken to once it is of none of them", async () => {
    await changeAuthority(cluster, stranger);
    for (let time = 0; time < 2; time++) {
      const { told, event } = await refusalThrough(proxy, "cloud");
      assert.deepEqual(told, fatal("08001", 'could not reach backend "cloud"'));
      assert.match(event.reason!, /unable to verify/);
    }
  });

  await t.step("is reached again when it is", async () => {
    await changeAuthority(cluster, second);
    await isLetIn();
  });
});

/** Gives the server a new certificate, which it shows from the next connection on. */
async function changeAuthority(cluster: PostgresCluster, authority: Authority): Promise<void> {
  const { certificatePem, keyPem } = await authority.issueForLoopback();
  for (const [name, text] of [["server.crt", certificatePem], ["server.key", keyPem]]) {
    const path = `${cluster.dataDirectory}/${name}`;
    await Deno.writeTextFile(path, text);
    await giveToServerUser(path);
  }
  await cluster.reload();
}
