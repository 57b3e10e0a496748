import assert from "node:assert/strict";
import { createAuthority } from "../support/certificates.ts";
import { fakeBackend, RawClient } from "../support/hostile_peer.ts";
import { POSTGRES_MAJORS, type PostgresMajor } from "../support/postgres_binaries.ts";
import { PostgresCluster } from "../support/postgres_cluster.ts";
import { PASSWORDS } from "../support/postgres_roles.ts";
import type { RawConnection } from "../support/raw_connection.ts";
import { type RawMessage, SSL_REQUEST, text, typed, untyped } from "../support/raw_messages.ts";
import { RunningProxy } from "../support/running_proxy.ts";
import {
  backendsToml,
  type BackendUrls,
  fatal,
  letIn,
  refusalThrough,
  rowOf,
  rowsThrough,
} from "./backend_access.ts";

const authority = await createAuthority("backend methods");
const server = await authority.issueForLoopback();
const certificate = await authority.issue({ commonName: "app_cert", usage: "client" });

/** One way to log in: nothing but `require_auth` is allowed, so the method is the one that its name says. */
interface Method {
  readonly name: string;
  readonly login: string;
  readonly query?: string;
  readonly requireAuth: string;
  readonly channelBinding?: string;
}

const METHODS: readonly Method[] = [
  {
    name: "SCRAM-SHA-256",
    login: `app_scram:${PASSWORDS.app_scram}`,
    requireAuth: "scram-sha-256",
    channelBinding: "disable",
  },
  {
    name: "SCRAM-SHA-256-PLUS",
    login: `app_scram:${PASSWORDS.app_scram}`,
    requireAuth: "scram-sha-256-plus",
    channelBinding: "require",
  },
  { name: "MD5", login: `app_md5:${PASSWORDS.app_md5}`, requireAuth: "md5" },
  { name: "cleartext", login: `app_cleartext:${PASSWORDS.app_cleartext}`, requireAuth: "password" },
  {
    name: "client certificate",
    login: "app_cert",
    query: "&sslcert=client.crt&sslkey=client.key",
    requireAuth: "cert",
  },
  { name: "trust", login: "app_trust", requireAuth: "none" },
];

const CASES = POSTGRES_MAJORS.flatMap((major) => METHODS.map((method) => ({ major, method: method.name })));

/** Against the last major: it has to be this way that is refused, not this server. */
const REFUSED: readonly Method[] = [
  {
    name: "MD5 where SCRAM is required",
    login: `app_md5:${PASSWORDS.app_md5}`,
    requireAuth: "scram-sha-256",
  },
  {
    name: "cleartext where SCRAM is required",
    login: `app_cleartext:${PASSWORDS.app_cleartext}`,
    requireAuth: "scram-sha-256",
  },
  { name: "trust where SCRAM is required", login: "app_trust", requireAuth: "scram-sha-256" },
  {
    name: "trust where a certificate must be bound to",
    login: "app_trust",
    requireAuth: "none",
    channelBinding: "require",
  },
];

const resources = new AsyncDisposableStack();
let proxy: RunningProxy;

Deno.test.beforeAll(async () => {
  const clusters = await Promise.all(POSTGRES_MAJORS.map(startCluster));
  const last = POSTGRES_MAJORS.length - 1;
  const eavesdropper = await startEavesdropper(clusters[last].port);
  proxy = resources.use(
    await RunningProxy.start({
      toml: backendsToml({
        ...Object.assign(
          {},
          ...clusters.map(({ port }, index) => urls(METHODS, { port, prefix: `${POSTGRES_MAJORS[index]} ` })),
        ),
        ...urls(REFUSED, { port: clusters[last].port }),
        ...urls(METHODS, { port: eavesdropper, prefix: "overheard " }),
      }),
      files: { "client.crt": certificate.certificatePem, "client.key": certificate.keyPem },
    }, authority),
  );
});

Deno.test.afterAll(() => resources.disposeAsync());

Deno.test.each(CASES)("PostgreSQL $major lets the proxy in by $method", async ({ major, method }) => {
  const rows = await rowsThrough(
    proxy,
    `${major} ${method}`,
    `SELECT current_user, ssl, client_dn, current_setting('server_version_num')::int / 10000 AS major
       FROM pg_stat_ssl WHERE pid = pg_backend_pid()`,
  );
  const { login } = METHODS.find(({ name }) => name === method)!;
  assert.deepEqual(rows, [{
    current_user: login.split(":")[0],
    ssl: true,
    client_dn: method === "client certificate" ? "/CN=app_cert" : null,
    major,
  }]);
});

const VERSIONS = POSTGRES_MAJORS.flatMap((major) => [
  { major, version: "3.0", code: 196608, keyBytes: 4 },
  { major, version: "3.2", code: 196610, keyBytes: 32 },
]);

Deno.test.each(VERSIONS)(
  "PostgreSQL $major serves a client of protocol $version, whose cancel key is the proxy's own",
  async ({ major, code, keyBytes }) => {
    await using client = await letIn(proxy, `${major} SCRAM-SHA-256`, { version: code });
    const key = client.told.find(({ type }) => type === "K")!;
    assert.equal(key.body.length, 4 + keyBytes);
    assert.notEqual(
      String(new DataView(key.body.slice().buffer).getInt32(0)),
      (await rowOf(client, "SELECT pg_backend_pid()"))[0],
    );
  },
);

Deno.test.each(REFUSED)("B3 PostgreSQL that wants $name is refused", async ({ name }) => {
  const { told, event } = await refusalThrough(proxy, name);
  assert.deepEqual(told, fatal("08001", `backend "${name}" asked for a login method that is not allowed`));
  assert.match(event.reason!, /it asked for/);
});

Deno.test("who decrypts in the middle with a trusted certificate carries SCRAM-SHA-256 on", async () => {
  const rows = await rowsThrough(proxy, "overheard SCRAM-SHA-256", "SELECT current_user");
  assert.deepEqual(rows, [{ current_user: "app_scram" }]);
});

Deno.test("who decrypts in the middle with a trusted certificate cannot carry SCRAM-SHA-256-PLUS on", async () => {
  const name = "overheard SCRAM-SHA-256-PLUS";
  const { told, event } = await refusalThrough(proxy, name);
  assert.deepEqual(told, fatal("28000", `backend "${name}" refused the proxy's login`));
  assert.match(event.reason!, /channel binding/);
});

function startCluster(major: PostgresMajor): Promise<PostgresCluster> {
  const tls = { ...server, caPem: authority.certificatePem };
  return PostgresCluster.start({ major, tls }).then((cluster) => resources.use(cluster));
}

function urls(
  methods: readonly Method[],
  { port, prefix = "" }: { port: number; prefix?: string },
): BackendUrls {
  return Object.fromEntries(
    methods.map(({ name, login, query = "", requireAuth, channelBinding = "prefer" }) => [
      prefix + name,
      [
        `postgres://${login}@localhost:${port}/postgres?sslmode=verify-full&sslrootcert=ca.crt${query}`,
        `require_auth = "${requireAuth}"`,
        `channel_binding = "${channelBinding}"`,
      ],
    ]),
  );
}

/** Listens between the proxy and PostgreSQL, in possession of a certificate that the proxy accepts. */
async function startEavesdropper(port: number): Promise<number> {
  const another = await authority.issueForLoopback();
  const eavesdropper = await fakeBackend(async (frontend) => {
    await frontend.receiveUntyped();
    await frontend.send(text("S"));
    await frontend.acceptTls(another);
    await using backend = await RawClient.connect(port);
    await backend.send(SSL_REQUEST);
    await backend.receive(1);
    await backend.startTls();
    await backend.send(untyped(await frontend.receiveUntyped()));
    await carryOn(frontend, backend);
  });
  return resources.use(eavesdropper).port;
}

/** Carries messages on, one answer after the other, until the backend refuses or the frontend terminates. */
async function carryOn(frontend: RawConnection, backend: RawConnection): Promise<void> {
  while (true) {
    const answer = await backend.receiveMessage();
    await frontend.send(typed(answer.type, answer.body));
    if (answer.type === "E") return;
    if (!awaitsAnswer(answer)) continue;
    const message = await frontend.receiveMessage();
    await backend.send(typed(message.type, message.body));
    if (message.type === "X") return;
  }
}

/** ReadyForQuery, AuthenticationSASL (10) and AuthenticationSASLContinue (11). */
function awaitsAnswer({ type, body }: RawMessage): boolean {
  return type === "Z" || type === "R" && [10, 11].includes(body[3]);
}
