import assert from "node:assert/strict";
import { AdminServer, type AdminSources, type AdminTls } from "../../lib/observe/admin_server.ts";
import type { ReadinessAnswer } from "../../lib/observe/readiness.ts";
import { Secret } from "../../lib/secret.ts";
import { type Authority, createAuthority } from "../support/certificates.ts";

const READY: ReadinessAnswer = { ready: true, reasons: [], warnings: [], backends: [], issuers: [] };
const metrics = { contentType: "text/plain; version=0.0.4", text: () => Promise.resolve("up 1\n") };
const ADDRESS = { host: "127.0.0.1", port: 0 };

async function opened(sources: Partial<AdminSources> = {}) {
  const server = await AdminServer.open({
    address: ADDRESS,
    sources: { readiness: () => READY, metrics, ...sources },
  });
  return { server, origin: `http://127.0.0.1:${server.address.port}` };
}

async function asked(url: string, init?: RequestInit) {
  const response = await fetch(url, init);
  const { status, headers } = response;
  return { status, type: headers.get("content-type"), body: await response.text() };
}

Deno.test("AdminServer is alive at /health", async () => {
  const { server, origin } = await opened();
  await using _closing = server;
  assert.deepEqual(await asked(`${origin}/health`), {
    status: 200,
    type: "text/plain; charset=utf-8",
    body: "OK",
  });
});

Deno.test.each<[boolean, number]>([[true, 200], [false, 503]])(
  "AdminServer that is ready: %j answers /ready with %d and its reasons as JSON",
  async (ready, status) => {
    const answer = { ...READY, ready, reasons: ready ? [] : ["draining"] };
    const { server, origin } = await opened({ readiness: () => answer });
    await using _closing = server;
    const { body, ...head } = await asked(`${origin}/ready?verbose=1`);
    assert.deepEqual(head, { status, type: "application/json" });
    assert.deepEqual(JSON.parse(body), answer);
  },
);

Deno.test.each<[string]>([["/metrics"], ["/vars"]])("AdminServer shows the metrics at %s", async (path) => {
  const { server, origin } = await opened();
  await using _closing = server;
  assert.deepEqual(await asked(origin + path), { status: 200, type: metrics.contentType, body: "up 1\n" });
});

Deno.test.each<[string, string, number]>([
  ["GET", "/", 404],
  ["GET", "/healthz", 404],
  ["GET", "/../etc/passwd", 404],
  ["POST", "/health", 405],
  ["DELETE", "/metrics", 405],
])("AdminServer answers %s %s with %d", async (method, path, status) => {
  const { server, origin } = await opened();
  await using _closing = server;
  assert.equal((await asked(origin + path, { method })).status, status);
});

Deno.test("AdminServer answers HEAD without a body", async () => {
  const { server, origin } = await opened();
  await using _closing = server;
  assert.deepEqual(await asked(`${origin}/health`, { method: "HEAD" }), {
    status: 200,
    type: "text/plain; charset=utf-8",
    body: "",
  });
});

Deno.test.each<[string, Partial<AdminSources>, string]>([
  [
    "metrics",
    { metrics: { ...metrics, text: () => Promise.reject(new Error("at lib/secret.ts")) } },
    "/metrics",
  ],
  ["readiness", {
    readiness: () => {
      throw new Error("at lib/secret.ts");
    },
  }, "/ready"],
])("AdminServer tells nobody of a bug in its %s", async (_name, sources, path) => {
  const { server, origin } = await opened(sources);
  await using _closing = server;
  const { status, body } = await asked(origin + path);
  assert.deepEqual({ status, body }, { status: 500, body: "Internal Server Error\n" });
});

Deno.test.each<[string, string, RegExp]>([
  ["a head without end", `GET /health HTTP/1.1\r\nhost: x\r\n${"a: b\r\n".repeat(5_000)}`, /^HTTP\/1.1 431 /],
  ["no HTTP", "\x16\x03\x01\r\n\r\n", /^HTTP\/1.1 400 /],
])("AdminServer ends a connection that sends %s", async (_name, bytes, expected) => {
  const { server } = await opened();
  await using _closing = server;
  assert.match(await answerTo(bytes, server), expected);
});

Deno.test("AdminServer ends connections that send half a head, or nothing at all", async () => {
  const { server } = await opened();
  await using _closing = server;
  const said = await Promise.all(["GET /health HT", ""].map((bytes) => answerTo(bytes, server)));
  for (const one of said) assert.match(one, /^HTTP\/1.1 408 /);
});

Deno.test.each<[string]>([["outside"], ["inside"]])(
  "AdminServer ends a connection %s TLS that asks thousands of times ahead, and makes no answers that nobody reads",
  async (where) => {
    let looks = 0;
    const readiness = () => {
      looks++;
      return READY;
    };
    const authority = await createAuthority("ahead");
    const tls = where === "inside" ? await identityBy(authority) : undefined;
    await using server = await AdminServer.open({ address: ADDRESS, sources: { readiness, metrics }, tls });
    const to = { hostname: "localhost", port: server.address.port };
    const caCerts = [authority.certificatePem];
    for (let count = 0; count < 10; count++) {
      using connection = tls === undefined
        ? await Deno.connect({ ...to, hostname: "127.0.0.1" })
        : await Deno.connectTls({ ...to, caCerts });
      const bytes = new TextEncoder().encode("GET /ready HTTP/1.1\r\nhost: x\r\n\r\n".repeat(2_000));
      // It may be over before all of it is sent.
      await connection.write(bytes).catch(() => {});
      const timer = setTimeout(() => connection.close(), 2_000);
      while (await connection.read(new Uint8Array(10_000)).catch(() => null) !== null);
      clearTimeout(timer);
    }
    assert(looks <= 10, `${looks} looks`);
  },
);

Deno.test("AdminServer answers one request after the other on one connection", async () => {
  const { server } = await opened();
  await using _closing = server;
  using connection = await Deno.connect({ hostname: "127.0.0.1", port: server.address.port });
  for (let count = 0; count < 20; count++) {
    await connection.write(new TextEncoder().encode("GET /health HTTP/1.1\r\nhost: x\r\n\r\n"));
    const said = new Uint8Array(1000);
    const length = await connection.read(said) ?? 0;
    assert.match(new TextDecoder().decode(said.subarray(0, length)), /^HTTP\/1\.1 200 OK[^]*OK$/);
  }
});

Deno.test("AdminServer takes so many connections and no more, and those that are there are served", async () => {
  const { server } = await opened();
  await using _closing = server;
  const { port } = server.address;
  const connections: Deno.TcpConn[] = [];
  await using _all = {
    [Symbol.asyncDispose]: () => Promise.resolve(connections.forEach((one) => one.close())),
  };
  for (let count = 0; count < 16; count++) {
    connections.push(await Deno.connect({ hostname: "127.0.0.1", port }));
  }
  using refused = await Deno.connect({ hostname: "127.0.0.1", port });
  const end = await refused.read(new Uint8Array(1)).catch(() => null);
  assert.equal(end, null);
  await connections[15].write(new TextEncoder().encode("GET /health HTTP/1.1\r\nhost: x\r\n\r\n"));
  const said = new Uint8Array(15);
  await connections[15].read(said);
  assert.equal(new TextDecoder().decode(said), "HTTP/1.1 200 OK");
});

Deno.test("AdminServer says of an address that is taken what the system says", async () => {
  using taken = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const address = { host: "127.0.0.1", port: (taken.addr as Deno.NetAddr).port };
  await assert.rejects(
    AdminServer.open({ address, sources: { readiness: () => READY, metrics } }),
    { code: "EADDRINUSE" },
  );
});

Deno.test("AdminServer is reached inside TLS alone where it has a certificate, and shows a renewed one", async () => {
  const [old, renewed] = await Promise.all([createAuthority("old"), createAuthority("new")]);
  await using server = await AdminServer.open({
    ...{ address: ADDRESS, sources: { readiness: () => READY, metrics }, tls: await identityBy(old) },
  });
  const { port } = server.address;
  assert.equal(await healthBy(old, port), "OK");
  await assert.rejects(healthBy(renewed, port));
  await assert.rejects(asked(`http://127.0.0.1:${port}/health`));
  server.renew(await identityBy(renewed));
  assert.equal(await healthBy(renewed, port), "OK");
  await assert.rejects(healthBy(old, port));
});

async function identityBy(authority: Authority): Promise<AdminTls> {
  const { certificatePem, keyPem } = await authority.issueForLoopback();
  return { certificates: certificatePem, privateKey: new Secret(keyPem) };
}

async function healthBy(authority: Authority, port: number): Promise<string> {
  using client = Deno.createHttpClient({ caCerts: [authority.certificatePem] });
  return await (await fetch(`https://localhost:${port}/health`, { client })).text();
}

/** What is said to these bytes, within a while. */
async function answerTo(bytes: string, { address: { port } }: AdminServer): Promise<string> {
  using connection = await Deno.connect({ hostname: "127.0.0.1", port });
  // It may be refused before all of it is sent.
  if (bytes !== "") await connection.write(new TextEncoder().encode(bytes)).catch(() => {});
  const timer = setTimeout(() => connection.close(), 9_000);
  const said = new Uint8Array(1000);
  const length = await connection.read(said) ?? 0;
  clearTimeout(timer);
  return new TextDecoder().decode(said.subarray(0, length));
}
