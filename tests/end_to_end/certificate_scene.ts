// In: listeners that ask for certificates. Out: clients with certificates of every kind, and what becomes of their logins.
// Chapter: the stage of the tests about client certificates, and tokens bound to them.

import assert from "node:assert/strict";
import { bearer, HEARD, initial, OFFER } from "../authenticate/bearer_words.ts";
import { createAuthority, type IssuedCertificate } from "../support/certificates.ts";
import { RawClient } from "../support/hostile_peer.ts";
import { PostgresCluster } from "../support/postgres_cluster.ts";
import { PASSWORDS } from "../support/postgres_roles.ts";
import type { ClientTls, RawConnection } from "../support/raw_connection.ts";
import { passwordMessage, readFields, SSL_REQUEST, startupMessage, text } from "../support/raw_messages.ts";
import { type ProxyScenario, RunningProxy } from "../support/running_proxy.ts";
import { waitUntil } from "../support/wait_until.ts";
import { firstRow } from "./hostile_scene.ts";

const DAY_MS = 86_400_000;

/** How a client comes: TLS after SSLRequest or at once, of a version, with a certificate, by a way in. */
export interface Visit {
  readonly certificate?: IssuedCertificate;
  readonly isDirect?: boolean;
  readonly version?: ClientTls["version"];
  readonly token: string;
  /** `bearer` comes in by OAUTHBEARER. */
  readonly user?: "alice" | "bearer";
}

/** What became of a visit: who it is at the backend, or how it was refused and why, as the log has it. */
export type Outcome =
  | { readonly role: string }
  | { readonly sqlstate: string; readonly message: string; readonly reason?: string };

/** Starts a backend, an issuer, and proxies that ask for certificates in every way. */
export async function startCertificateScene() {
  await using resources = new AsyncDisposableStack();
  const authority = await createAuthority("certificates of clients");
  const between = await authority.issueAuthority("between");
  const stranger = await createAuthority("a stranger");
  const cluster = resources.use(await PostgresCluster.start({ major: 18 }));
  const common: ProxyScenario = {
    toml: tomlOf(cluster.port),
    issuer: 'introspection = { client_id = "proxy", client_secret_file = "proxy-secret" }',
    files: { password: PASSWORDS.app_scram, "proxy-secret": "proxy-secret" },
  };
  const requesting = resources.use(
    await RunningProxy.start({ ...common, listen: 'client_certificate = "request"' }, authority),
  );
  const { issuer } = requesting;
  const start = async (listen: string, more = "") =>
    resources.use(
      await RunningProxy.start(
        { ...common, listen, issuer: `${common.issuer}\n${more}`, issuedBy: issuer },
        authority,
      ),
    );
  const proxies = {
    requesting,
    /** Requests, and takes certificates of the authority alone. */
    choosy: await start('client_certificate = "request"\nclient_ca = "ca.crt"'),
    requiring: await start('client_certificate = "require"\nclient_ca = "ca.crt"\nlogin_timeout = "2s"'),
    /** Requests, and takes bound tokens alone. */
    binding: await start('client_certificate = "request"', "require_binding = true"),
    plain: await start(""),
  };
  const chained = await between.issue({ commonName: "chained", usage: "client" });
  const certificates = {
    good: await authority.issue({ commonName: "alice", usage: "client" }),
    other: await authority.issue({ commonName: "bob", usage: "client" }),
    chained: { ...chained, certificatePem: chained.certificatePem + between.certificatePem },
    foreign: await stranger.issue({ commonName: "alice", usage: "client" }),
    server: await authority.issueForLoopback(),
    expired: await authority.issue({
      commonName: "alice",
      usage: "client",
      notBefore: new Date(Date.now() - 2 * DAY_MS),
      notAfter: new Date(Date.now() - DAY_MS),
    }),
  } satisfies Record<string, IssuedCertificate>;
  const rest = resources.move();
  return {
    proxies,
    issuer,
    certificates,
    [Symbol.asyncDispose]: () => rest.disposeAsync(),
  };
}

/** A client inside TLS. */
export async function connect(
  { port }: RunningProxy,
  { certificate, isDirect = false, version }: Omit<Visit, "token">,
): Promise<RawConnection> {
  const client = await RawClient.connect(port);
  if (!isDirect) {
    await client.send(SSL_REQUEST);
    assert.deepEqual(await client.receive(1), text("S"));
  }
  await client.startTls({ ...certificate, version, alpn: ["postgresql"] });
  return client;
}

/** Logs in, and leaves when the session is over on both sides. */
export async function visit(proxy: RunningProxy, about: Visit): Promise<Outcome> {
  const before = proxy.events.length;
  await using client = await connect(proxy, about);
  const outcome = await logIn(client, about);
  await client[Symbol.asyncDispose]();
  await waitUntil(() => proxy.connectionCount === 0, { what: "every session to end" });
  if ("role" in outcome) return outcome;
  const refused = proxy.events.slice(before).filter((event) => event.kind === "login_refused");
  assert.equal(refused.length, 1);
  return { ...outcome, reason: refused[0].reason };
}

async function logIn(client: RawConnection, { user = "alice", token }: Visit): Promise<Outcome> {
  // Who is refused for the certificate has been told so before this arrives.
  await client.send(startupMessage({ user, database: "postgres" })).catch(() => {});
  const asked = await client.receiveMessage();
  if (asked.type === "E") return refusalOf(asked);
  if (user === "bearer") {
    assert.deepEqual(asked.body, OFFER.subarray(5));
    await client.send(initial(bearer(token)));
  } else await client.send(passwordMessage(token));
  let answer = await client.receiveMessage();
  if (answer.type === "R" && answer.body[3] === 11) {
    await client.send(HEARD);
    answer = await client.receiveMessage();
  }
  if (answer.type === "E") return refusalOf(answer);
  await client.receiveMessagesUntil("Z");
  const [role] = await firstRow(client, "select current_user");
  return { role };
}

function refusalOf(message: Awaited<ReturnType<RawConnection["receiveMessage"]>>): Outcome {
  const { C, M } = readFields(message);
  return { sqlstate: C, message: M };
}

function tomlOf(port: number): string {
  return `
[[ways_in]]
method = "oauthbearer"
issuer = "corp"
scope = "openid"
users = ["bearer"]

[[backends]]
name = "main"
url = "postgres://app_scram@localhost:${port}/postgres?sslmode=disable"
password_file = "password"

[[rules]]
issuer = "corp"
match = '/.*@example\\.com/'
backend = "main"
`;
}
