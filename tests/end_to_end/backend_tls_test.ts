import assert from "node:assert/strict";
import { createAuthority } from "../support/certificates.ts";
import { freePort } from "../support/free_port.ts";
import { type FakeBackend, fakeBackend } from "../support/hostile_peer.ts";
import { type ClusterOptions, PostgresCluster } from "../support/postgres_cluster.ts";
import type { PostgresMajor } from "../support/postgres_binaries.ts";
import { everyMethodHba, PASSWORDS } from "../support/postgres_roles.ts";
import { authentication, concat, cString, text } from "../support/raw_messages.ts";
import { RunningProxy } from "../support/running_proxy.ts";
import { giveToServerUser } from "../support/server_user.ts";
import { backendsToml, fatal, refusalThrough, rowsThrough } from "./backend_access.ts";

const authority = await createAuthority("backend tls");
const stranger = await createAuthority("a stranger");
const loopback = await authority.issueForLoopback();
const elsewhere = await authority.issue({ commonName: "db.example.com", dnsNames: ["db.example.com"] });
const expired = await authority.issue({
  commonName: "localhost",
  dnsNames: ["localhost"],
  notBefore: new Date(Date.now() - 2 * 86_400_000),
  notAfter: new Date(Date.now() - 86_400_000),
});

const APP = `app_scram:${PASSWORDS.app_scram}`;
const CA = "sslrootcert=ca.crt";

const resources = new AsyncDisposableStack();
/** What a backend is, by its name. */
let urls: Record<string, string>;
let proxy: RunningProxy;

Deno.test.beforeAll(async () => {
  const [current, other, old, standby] = await Promise.all([
    startCluster({
      major: 18,
      tls: loopback,
      hba: [...everyMethodHba(), "local all app_scram scram-sha-256"],
    }),
    startCluster({ major: 17, tls: elsewhere }),
    startCluster({ major: 16, tls: expired }),
    startStandby(15),
  ]);
  const at = ({ port }: { port: number }) => `localhost:${port}`;
  const pair = (first: PostgresCluster, second: PostgresCluster, attributes: string) =>
    `${at(first)},${at(second)}/postgres?sslmode=disable&target_session_attrs=${attributes}`;
  const dead = `localhost:${freePort()}`;
  const [mute, muteInTls, muteInLogin] = [
    await startMute([]),
    await startMute([text("S")]),
    await startMute([authentication(10, concat(cString("SCRAM-SHA-256"), Uint8Array.of(0)))]),
  ];
  const socket = encodeURIComponent(current.socketDirectory);
  urls = {
    "verify-full": `${at(current)}/postgres?${CA}&sslmode=verify-full`,
    "TLS by default": `${at(current)}/postgres?${CA}`,
    "wrong authority": `${at(current)}/postgres?sslrootcert=stranger.crt`,
    "no authority": `${at(current)}/postgres?sslmode=verify-full`,
    "wrong authority, verify-ca": `${at(current)}/postgres?sslrootcert=stranger.crt&sslmode=verify-ca`,
    "wrong authority, require": `${at(current)}/postgres?sslrootcert=stranger.crt&sslmode=require`,
    "wrong host name": `${at(other)}/postgres?${CA}`,
    "wrong address": `127.0.0.1:${other.port}/postgres?${CA}`,
    "expired certificate": `${at(old)}/postgres?${CA}`,
    "expired certificate, require": `${at(old)}/postgres?sslmode=require`,
    "expired certificate, verify-ca": `${at(old)}/postgres?${CA}&sslmode=verify-ca`,
    "verify-ca": `${at(other)}/postgres?${CA}&sslmode=verify-ca`,
    require: `${at(current)}/postgres?sslmode=require`,
    disable: `${at(standby)}/postgres?sslmode=disable`,
    "no TLS, require": `${at(standby)}/postgres?sslmode=require`,
    "no TLS, verify-ca": `${at(standby)}/postgres?sslmode=verify-ca&${CA}`,
    "no TLS, verify-full": `${at(standby)}/postgres?sslmode=verify-full&${CA}`,
    "no TLS, then TLS": `${at(standby)},${at(current)}/postgres?sslmode=verify-full&${CA}`,
    "direct to 18": `${at(current)}/postgres?sslnegotiation=direct&${CA}`,
    "direct to 17": `${at(other)}/postgres?sslnegotiation=direct&sslmode=verify-ca&${CA}`,
    "direct to 16": `${at(old)}/postgres?sslnegotiation=direct&sslmode=require`,
    "dead, then alive": `${dead},${at(current)}/postgres?${CA}`,
    "dead, then dead": `${dead},${dead}/postgres?${CA}`,
    "mute, then alive": `${at(mute)},${at(current)}/postgres?${CA}&connect_timeout=1`,
    "mute in TLS, then alive": `${at(muteInTls)},${at(current)}/postgres?${CA}&connect_timeout=1`,
    "mute in its login, then alive": `${at(muteInLogin)},${
      at(current)
    }/postgres?sslmode=disable&connect_timeout=1`,
    "mute, then dead": `${at(mute)},${dead}/postgres?${CA}&connect_timeout=1`,
    "read-write": pair(standby, current, "read-write"),
    primary: pair(standby, current, "primary"),
    "read-only": pair(current, standby, "read-only"),
    standby: pair(current, standby, "standby"),
    "prefer-standby": pair(current, standby, "prefer-standby"),
    "prefer-standby without any": pair(current, current, "prefer-standby"),
    "no standby": pair(current, current, "standby"),
    "no primary": pair(standby, standby, "primary"),
    "IPv6": `[::1]:${current.port}/postgres?${CA}`,
    "socket in the authority": `${socket}:${current.port}/postgres`,
    "socket in the query": `/postgres?host=${socket}&port=${current.port}`,
  };
  const backends = Object.entries(urls).map(([name, url]) => [name, `postgres://${APP}@${url}`]);
  proxy = resources.use(
    await RunningProxy.start({
      toml: backendsToml(Object.fromEntries(backends)),
      files: { "stranger.crt": stranger.certificatePem },
    }, authority),
  );
});

Deno.test.afterAll(() => resources.disposeAsync());

interface GoodCase {
  readonly name: string;
  readonly major: number;
  readonly ssl: boolean;
}

Deno.test.each<GoodCase>([
  { name: "verify-full", major: 18, ssl: true },
  { name: "TLS by default", major: 18, ssl: true },
  { name: "verify-ca", major: 17, ssl: true }, // the certificate is for another host
  { name: "require", major: 18, ssl: true }, // the authority is none that the machine trusts
  { name: "expired certificate, require", major: 16, ssl: true }, // so it is the date that the others refuse
  { name: "disable", major: 15, ssl: false },
  { name: "direct to 18", major: 18, ssl: true },
  { name: "direct to 17", major: 17, ssl: true },
  { name: "dead, then alive", major: 18, ssl: true },
  { name: "read-write", major: 18, ssl: false },
  { name: "primary", major: 18, ssl: false },
  { name: "read-only", major: 15, ssl: false },
  { name: "standby", major: 15, ssl: false },
  { name: "prefer-standby", major: 15, ssl: false },
  { name: "prefer-standby without any", major: 18, ssl: false },
  { name: "IPv6", major: 18, ssl: true },
  { name: "socket in the authority", major: 18, ssl: false },
  { name: "socket in the query", major: 18, ssl: false },
])("a backend is reached: $name", async ({ name, ...expected }) => {
  const rows = await rowsThrough(
    proxy,
    name,
    `SELECT current_setting('server_version_num')::int / 10000 AS major, ssl
       FROM pg_stat_ssl WHERE pid = pg_backend_pid()`,
  );
  assert.deepEqual(rows, [expected]);
});

/** Deno's words for whatever rustls finds wrong with a chain: another authority, a date that is over. */
const UNVERIFIED = /unable to verify/;

interface BadCase {
  readonly name: string;
  readonly reason: RegExp;
}

Deno.test.each<BadCase>([
  { name: "wrong authority", reason: UNVERIFIED },
  { name: "no authority", reason: UNVERIFIED },
  { name: "wrong authority, verify-ca", reason: UNVERIFIED },
  { name: "wrong authority, require", reason: UNVERIFIED },
  { name: "wrong host name", reason: /localhost.*db\.example\.com/ },
  { name: "wrong address", reason: /127\.0\.0\.1/ },
  { name: "expired certificate", reason: UNVERIFIED },
  { name: "expired certificate, verify-ca", reason: UNVERIFIED },
  { name: "direct to 16", reason: /TLS|closed/ },
  { name: "dead, then dead", reason: /ECONNREFUSED.*; .*ECONNREFUSED/ },
  { name: "no standby", reason: /it is not a standby; .*it is not a standby/ },
  { name: "no primary", reason: /it is a standby; .*it is a standby/ },
])("a backend is not reached, and the client is not told why: $name", async ({ name, reason }) => {
  const { told, event } = await refusalThrough(proxy, name);
  assert.deepEqual(told, fatal("08001", `could not reach backend "${name}"`));
  assert.equal(event.blame, "backend");
  assert.match(event.reason!, reason);
});

Deno.test.each([
  "no TLS, require",
  "no TLS, verify-ca",
  "no TLS, verify-full",
  "no TLS, then TLS",
])("W4 a server without TLS is not spoken to in plain text: %s", async (name) => {
  const { told, event } = await refusalThrough(proxy, name);
  assert.deepEqual(told, fatal("08001", `could not reach backend "${name}"`));
  assert.match(event.reason!, /it has no TLS/);
});

Deno.test("a host that says no more is left when its connect_timeout is over, whatever it had said", async () => {
  const backends = ["mute, then alive", "mute in TLS, then alive", "mute in its login, then alive"];
  await Promise.all(backends.map(async (backend) => {
    const startedMs = performance.now();
    const rows = await rowsThrough(proxy, backend, "SELECT current_user");
    const durationMs = performance.now() - startedMs;
    assert.deepEqual(rows, [{ current_user: "app_scram" }]);
    assert.ok(durationMs >= 900 && durationMs < 5_000, `${backend}: ${durationMs} ms`);
  }));
});

Deno.test("a host that says nothing is told of in the log, with the next that is not there", async () => {
  const { told, event } = await refusalThrough(proxy, "mute, then dead");
  assert.deepEqual(told, fatal("08001", 'could not reach backend "mute, then dead"'));
  assert.match(event.reason!, /it took longer than connect_timeout; localhost:\d+: .*ECONNREFUSED/);
});

async function startCluster(options: ClusterOptions): Promise<PostgresCluster> {
  return resources.use(await PostgresCluster.start(options));
}

/** A hot standby without TLS; that it has no primary to follow is nothing to who logs in there. */
async function startStandby(major: PostgresMajor): Promise<PostgresCluster> {
  const cluster = await startCluster({ major });
  await cluster.shutDown();
  const signal = `${cluster.dataDirectory}/standby.signal`;
  await Deno.writeTextFile(signal, "");
  await giveToServerUser(signal);
  await cluster.start();
  return cluster;
}

/** A host that answers the first message with these bytes, and then says no more. */
async function startMute(bytes: readonly Uint8Array[]): Promise<FakeBackend> {
  const mute = await fakeBackend(async (connection) => {
    await connection.receiveUntyped();
    await connection.send(...bytes);
    await connection.receiveToEnd();
  }, { timeoutMs: 20_000 });
  return resources.use(mute);
}
