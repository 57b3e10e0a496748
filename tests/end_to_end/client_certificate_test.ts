import assert from "node:assert/strict";
import { generateKeyPair } from "jose";
import pg from "pg";
import { ALERT, BareHandshake } from "../support/bare_handshake.ts";
import { RawClient } from "../support/hostile_peer.ts";
import { runPsql, testWithPsql } from "../support/psql.ts";
import { SSL_REQUEST, startupMessage, text } from "../support/raw_messages.ts";
import { tempDirectory } from "../support/temp_directory.ts";
import { waitUntil } from "../support/wait_until.ts";
import { startCertificateScene, type Visit, visit } from "./certificate_scene.ts";

let scene: Awaited<ReturnType<typeof startCertificateScene>>;
type Proxies = typeof scene.proxies;
type Certificates = typeof scene.certificates;
const tokens: Record<"unbound" | "bound" | "opaque" | "dpop", string> = {
  unbound: "",
  bound: "",
  opaque: "",
  dpop: "",
};

Deno.test.beforeAll(async () => {
  scene = await startCertificateScene();
  const { issuer, certificates: { good } } = scene;
  const order = { sub: "alice@example.com" };
  tokens.unbound = await issuer.mint(order);
  tokens.bound = await issuer.mintForCertificate(good, order);
  tokens.opaque = await issuer.mintForCertificate(good, { ...order, format: "opaque" });
  tokens.dpop = await issuer.mintForKey(await generateKeyPair("ES256"), order);
});

Deno.test.afterAll(() => scene[Symbol.asyncDispose]());

const LET_IN = { role: "app_scram" };
const NONE_SHOWN = "bound: The token is bound to a certificate, and the client has shown none";
const ANOTHER = "bound: The token is bound to another certificate than the client's";
const DPOP = "bound: The token is bound by cnf to something other than a certificate";
const UNBOUND = "unbound: The token is not bound to a certificate, as require_binding asks";

const WAYS: [string, Omit<Visit, "token">][] = [
  ["TLS 1.3", { version: "TLSv1.3" }],
  ["TLS 1.2", { version: "TLSv1.2" }],
  ["direct TLS 1.3", { version: "TLSv1.3", isDirect: true }],
  ["direct TLS 1.2", { version: "TLSv1.2", isDirect: true }],
  ["OAUTHBEARER", { user: "bearer" }],
];

Deno.test.each(WAYS)("T15 by %s a bound token is good with its certificate alone", async (_name, way) => {
  const { proxies: { requesting }, certificates: { good, other, foreign } } = scene;
  for (const token of [tokens.bound, tokens.opaque]) {
    // The good one twice: what is remembered of a token lets nobody in without the certificate.
    assert.deepEqual(await visit(requesting, { ...way, token, certificate: good }), LET_IN);
    assert.deepEqual(await visit(requesting, { ...way, token }), refusedFor(NONE_SHOWN, way));
    for (const certificate of [other, foreign]) {
      assert.deepEqual(await visit(requesting, { ...way, token, certificate }), refusedFor(ANOTHER, way));
    }
    assert.deepEqual(await visit(requesting, { ...way, token, certificate: good }), LET_IN);
  }
});

type Case = [
  proxy: keyof Proxies,
  token: keyof typeof tokens,
  shown: keyof Certificates | "none",
  reason: string,
];

Deno.test.each<Case>([
  ["requesting", "dpop", "none", DPOP],
  ["requesting", "dpop", "good", DPOP],
  ["choosy", "bound", "none", NONE_SHOWN],
  ["choosy", "bound", "other", ANOTHER],
  ["requiring", "bound", "other", ANOTHER],
  ["requiring", "dpop", "good", DPOP],
  ["binding", "unbound", "none", UNBOUND],
  ["binding", "unbound", "good", UNBOUND],
  ["binding", "dpop", "good", DPOP],
  // Nobody is asked for a certificate here, whatever it has.
  ["plain", "bound", "good", NONE_SHOWN],
])(
  "T15 the proxy %s refuses the token %s, with the certificate %s: %s",
  async (name, token, shown, reason) => {
    const certificate = shown === "none" ? undefined : scene.certificates[shown];
    const outcome = await visit(scene.proxies[name], { token: tokens[token], certificate });
    assert.deepEqual(outcome, refusedFor(reason));
  },
);

Deno.test.each<[proxy: keyof Proxies, token: keyof typeof tokens, shown: keyof Certificates | "none"]>([
  ["requesting", "unbound", "none"],
  ["requesting", "unbound", "good"],
  ["requesting", "unbound", "foreign"],
  ["requesting", "unbound", "expired"],
  ["requesting", "unbound", "server"],
  ["choosy", "unbound", "none"],
  ["choosy", "unbound", "good"],
  ["choosy", "unbound", "chained"],
  ["choosy", "bound", "good"],
  ["requiring", "unbound", "good"],
  ["requiring", "unbound", "chained"],
  ["requiring", "bound", "good"],
  ["binding", "bound", "good"],
  ["plain", "unbound", "good"],
])("the proxy %s takes the token %s, with the certificate %s", async (name, token, shown) => {
  const certificate = shown === "none" ? undefined : scene.certificates[shown];
  assert.deepEqual(await visit(scene.proxies[name], { token: tokens[token], certificate }), LET_IN);
});

Deno.test.each<[proxy: "choosy" | "requiring", shown: keyof Certificates | "none", reason: string]>([
  ["requiring", "none", "The client has shown no certificate"],
  ["requiring", "foreign", "The client's certificate is of no authority in client_ca"],
  ["requiring", "expired", "The client's certificate has expired"],
  ["requiring", "server", "The client's certificate is not one for clients"],
  ["choosy", "foreign", "The client's certificate is of no authority in client_ca"],
  ["choosy", "expired", "The client's certificate has expired"],
])("the proxy %s turns the certificate %s away before any token: %s", async (name, shown, reason) => {
  const certificate = shown === "none" ? undefined : scene.certificates[shown];
  for (const [, way] of WAYS) {
    const outcome = await visit(scene.proxies[name], { ...way, token: tokens.unbound, certificate });
    assert.deepEqual(outcome, {
      sqlstate: "28000",
      message: "connection requires a valid client certificate",
      reason,
    });
  }
});

testWithPsql("psql shows its certificate, and is told when it needs one", async (psql) => {
  await using directory = await tempDirectory();
  const { proxies: { requiring, requesting }, certificates: { good, foreign } } = scene;
  const certificateOf = async (
    name: "good" | "foreign",
    { certificatePem, keyPem } = scene.certificates[name],
  ) => ({
    PGSSLCERT: await directory.write(`${name}.crt`, certificatePem),
    PGSSLKEY: await directory.write(`${name}.key`, keyPem),
  });
  const [own, strange] = [await certificateOf("good", good), await certificateOf("foreign", foreign)];
  const ask = (proxy: typeof requiring, token: string, certificate: Record<string, string>) => {
    const env = { ...proxy.libpqEnvironment(token), PGUSER: "alice", PGDATABASE: "postgres", ...certificate };
    return runPsql(psql, ["-Atc", "select current_user"], { env });
  };
  for (const proxy of [requiring, requesting]) {
    for (const token of [tokens.bound, tokens.unbound]) {
      assert.deepEqual(await ask(proxy, token, own), { code: 0, stdout: "app_scram\n", stderr: "" });
    }
  }
  // A certificate that is there for another server does no harm.
  assert.equal((await ask(requesting, tokens.unbound, strange)).code, 0);
  for (const certificate of [{}, strange]) {
    const { code, stderr } = await ask(requiring, tokens.unbound, certificate);
    assert.equal(code, 2);
    assert.match(stderr, /FATAL: {2}connection requires a valid client certificate\n/);
  }
  const { stderr } = await ask(requesting, tokens.bound, strange);
  assert.match(stderr, /FATAL: {2}token authentication failed for user "alice"\n/);
});

// Deno 2.9.6 calls a stranger's certificate `authorized` when it comes with the session of an earlier handshake, one that
// was refused included: a client would have to come but twice.
const OPENSSL = "/usr/bin/openssl";
const ASKED_FOR_PASSWORD = "R\0\0\0\b\0\0\0\x03"; // AuthenticationCleartextPassword (B)
Deno.test.each([["-tls1_2"], ["-tls1_3"]])(
  "T15 a TLS session that is resumed (%s) does not make a certificate better",
  { ignore: !isFile(OPENSSL) },
  async (version) => {
    await using directory = await tempDirectory();
    const { proxies: { requiring }, certificates } = scene;
    for (const name of ["good", "foreign"] as const) {
      const { certificatePem, keyPem } = certificates[name];
      const session = `${directory.path}/${name}.session`;
      const s_client = (...more: string[]) =>
        runOpenssl([
          ...["s_client", "-starttls", "postgres", "-connect", `127.0.0.1:${requiring.port}`, version],
          ...["-cert", `${directory.path}/${name}.crt`, "-key", `${directory.path}/${name}.key`],
          ...more,
        ], startupMessage({ user: "alice", database: "postgres" }));
      await directory.write(`${name}.crt`, certificatePem);
      await directory.write(`${name}.key`, keyPem);
      const answers = [await s_client("-sess_out", session), await s_client("-sess_in", session)];
      assert.match(answers[0], /^New, /m);
      assert.match(answers[1], /^Reused, /m);
      for (const answer of answers) {
        const refusal = "connection requires a valid client certificate";
        assert.ok(answer.includes(name === "good" ? ASKED_FOR_PASSWORD : refusal), answer);
      }
    }
  },
);

Deno.test("the driver pg shows its certificate", async () => {
  const { proxies: { requiring, requesting }, certificates: { good, foreign } } = scene;
  for (
    const [proxy, token, { certificatePem: cert, keyPem: key }] of [
      [requiring, tokens.bound, good],
      [requesting, tokens.bound, good],
      [requesting, tokens.unbound, foreign],
    ] as const
  ) {
    const { ssl, ...options } = proxy.driverOptions(token);
    const login = { ...options, user: "alice", database: "postgres", ssl: { ...ssl, cert, key } };
    const client = new pg.Client(login);
    await client.connect();
    const { rows } = await client.query("select current_user as role");
    await client.end();
    assert.deepEqual(rows, [LET_IN]);
  }
});

Deno.test("W7 a client that withholds its certificate is ended by the one deadline", async () => {
  const { requiring } = scene.proxies;
  const before = requiring.events.length;
  const startMs = performance.now();
  await using client = await RawClient.connect(requiring.port);
  await client.send(SSL_REQUEST);
  assert.deepEqual(await client.receive(1), text("S"));
  const { isAsked } = await BareHandshake.begin(client);
  assert.equal(isAsked, true);
  assert.deepEqual(await client.receiveToEnd(), new Uint8Array());
  const durationMs = performance.now() - startMs;
  assert.ok(durationMs >= 1950 && durationMs <= 2900, `it took ${durationMs} ms`);
  const refused = requiring.events.slice(before).filter((event) => event.kind === "login_refused");
  assert.deepEqual(refused.map(({ sqlstate }) => sqlstate), ["57014"]);
});

Deno.test("T15 a client that shows another's certificate does not get as far as its token", async () => {
  const { proxies: { requesting }, certificates: { good, other } } = scene;
  await using client = await RawClient.connect(requesting.port);
  await client.send(SSL_REQUEST);
  assert.deepEqual(await client.receive(1), text("S"));
  const before = requesting.events.length;
  const { handshake } = await BareHandshake.begin(client);
  const der = Uint8Array.fromBase64(good.certificatePem.replaceAll(/-----[^-]+-----|\s/g, ""));
  assert.equal(await handshake.prove({ certificates: [der], keyPem: other.keyPem }), ALERT.decryptError);
  const refused = () => requesting.events.slice(before).filter((event) => event.kind === "login_refused");
  await waitUntil(() => refused().length > 0, { what: "the refusal" });
  assert.deepEqual(refused().map(({ sqlstate, message }) => [sqlstate, message]), [
    ["08P01", "TLS handshake failed"],
  ]);
});

/** What a client is told of its token is the same whatever is wrong with it. */
function refusedFor(reason: string, { user }: Omit<Visit, "token"> = {}) {
  return user === "bearer"
    ? { sqlstate: "28000", message: 'OAuth bearer authentication failed for user "bearer"', reason }
    : { sqlstate: "28P01", message: 'token authentication failed for user "alice"', reason };
}

/** What openssl wrote, until the server has answered `input` and closed, or said what it asks for next. */
async function runOpenssl(args: readonly string[], input: Uint8Array): Promise<string> {
  await using child = new Deno.Command(OPENSSL, {
    args: [...args, "-ign_eof"],
    stdin: "piped",
    stdout: "piped",
    stderr: "null",
  }).spawn();
  const writer = child.stdin.getWriter();
  let output = "";
  let hasAsked = false;
  for await (const text of child.stdout.pipeThrough(new TextDecoderStream("latin1"))) {
    output += text;
    // Its summary ends so; what comes then is the server's, and what is written is the client's.
    if (!hasAsked && output.includes("Extended master secret")) {
      hasAsked = true;
      await writer.write(input).catch(() => {});
    }
    if (output.includes(ASKED_FOR_PASSWORD)) child.kill();
  }
  await writer.close().catch(() => {});
  return output;
}

function isFile(path: string): boolean {
  try {
    return Deno.statSync(path).isFile;
  } catch {
    return false;
  }
}
