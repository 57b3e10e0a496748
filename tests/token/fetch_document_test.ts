import assert from "node:assert/strict";
import { fetchDocument, MAX_DOCUMENT_BYTES } from "../../lib/token/fetch_document.ts";

const NEVER = new AbortController().signal;

/** A real web server on loopback. */
function serve(handler: (request: Request) => Response | Promise<Response>) {
  const server = Deno.serve({
    hostname: "127.0.0.1",
    port: 0,
    onListen: () => {},
    onError: () => new Response(),
  }, handler);
  const url = new URL(`http://127.0.0.1:${server.addr.port}/jwks`);
  return {
    url,
    async [Symbol.asyncDispose]() {
      await server.shutdown();
    },
  };
}

const options = { fetch, signal: NEVER, insecureHttp: true };

/** A body that goes on for ever. */
function endless(): ReadableStream<Uint8Array<ArrayBuffer>> {
  return new ReadableStream({ pull: (controller) => controller.enqueue(new Uint8Array(4096).fill(0x20)) });
}

Deno.test("fetchDocument() reads a JSON object", async () => {
  await using server = serve(() => Response.json({ keys: [] }));
  assert.deepEqual(await fetchDocument(server.url, options), { keys: [] });
});

Deno.test("fetchDocument() reads exactly 64 KiB", async () => {
  const body = JSON.stringify({ filler: "" }).replace('""', () => `"${"f".repeat(MAX_DOCUMENT_BYTES - 13)}"`);
  assert.equal(body.length, MAX_DOCUMENT_BYTES);
  await using server = serve(() => new Response(body));
  assert.equal(Object.keys(await fetchDocument(server.url, options)).length, 1);
});

Deno.test("T5 a key set of 10 MB is cut off", async () => {
  await using server = serve(() => new Response(new Uint8Array(10_000_000).fill(0x20)));
  await assert.rejects(fetchDocument(server.url, options), /answered with more than 65536 bytes$/);
});

Deno.test("T5 an endless key set is cut off", async () => {
  await using server = serve(() => new Response(endless()));
  await assert.rejects(fetchDocument(server.url, options), /answered with more than 65536 bytes$/);
});

Deno.test("T5 a small body that unpacks to 10 MB is cut off", async () => {
  const packed = new Blob([new Uint8Array(10_000_000).fill(0x20)]).stream().pipeThrough(
    new CompressionStream("gzip"),
  );
  const body = await new Response(packed).bytes();
  await using server = serve(() => new Response(body, { headers: { "content-encoding": "gzip" } }));
  await assert.rejects(fetchDocument(server.url, options), /answered with more than 65536 bytes$/);
});

Deno.test("T5 an issuer that does not answer is given up", async () => {
  const { promise, resolve } = Promise.withResolvers<Response>();
  await using server = serve(() => promise);
  await assert.rejects(
    fetchDocument(server.url, { ...options, timeoutMs: 50 }),
    /did not answer within 50 ms$/,
  );
  resolve(new Response());
});

Deno.test("T5 an issuer that stops in the middle of its answer is given up", async () => {
  const first = new TextEncoder().encode('{"keys":');
  const stuck = new ReadableStream({ start: (controller) => controller.enqueue(first) });
  await using server = serve(() => new Response(stuck));
  await assert.rejects(
    fetchDocument(server.url, { ...options, timeoutMs: 50 }),
    /did not answer within 50 ms$/,
  );
});

Deno.test("fetchDocument() ends when its signal aborts", async () => {
  const { promise, resolve } = Promise.withResolvers<Response>();
  const closing = new AbortController();
  await using server = serve(() => {
    closing.abort();
    return promise;
  });
  const fetching = fetchDocument(server.url, { ...options, signal: closing.signal, timeoutMs: 3000 });
  await assert.rejects(fetching, /could not be fetched: /);
  resolve(new Response());
});

Deno.test.each([[301], [302], [303], [307], [308]])(
  "T5 a redirect with %i is not followed",
  async (status) => {
    const paths: string[] = [];
    await using server = serve(({ url }) => {
      paths.push(new URL(url).pathname);
      return new Response(null, { status, headers: { location: "/elsewhere" } });
    });
    await assert.rejects(
      fetchDocument(server.url, options),
      /answered with a redirect, which is not followed/,
    );
    assert.deepEqual(paths, ["/jwks"]);
  },
);

Deno.test.each([[204], [400], [404], [500], [503]])("fetchDocument() refuses status %i", async (status) => {
  await using server = serve(() => new Response(null, { status }));
  await assert.rejects(fetchDocument(server.url, options), { name: "DocumentUnavailable" });
});

Deno.test.each([["<html>"], [""], ["[]"], ["null"], ['"keys"'], ['{"keys":[]'], ["1"]])(
  "fetchDocument() refuses %j, which is not a JSON object",
  async (body) => {
    await using server = serve(() => new Response(body));
    await assert.rejects(fetchDocument(server.url, options), /did not answer with/);
  },
);

Deno.test("fetchDocument() refuses invalid UTF-8", async () => {
  await using server = serve(() => new Response(Uint8Array.of(0x7b, 0x22, 0xff, 0x22, 0x3a, 0x31, 0x7d)));
  await assert.rejects(fetchDocument(server.url, options), { name: "DocumentUnavailable" });
});

Deno.test("fetchDocument() says that nobody listens", async () => {
  const server = serve(() => new Response());
  await server[Symbol.asyncDispose]();
  await assert.rejects(fetchDocument(server.url, options), /could not be fetched: .*Connection refused/);
});

Deno.test("T17 fetchDocument() names a URL without its query", async () => {
  const server = serve(() => new Response());
  await server[Symbol.asyncDispose]();
  const fetching = fetchDocument(new URL("?api_key=hunter2", server.url), options);
  await assert.rejects(
    fetching,
    ({ message }: Error) => message.includes("/jwks") && !/api_key/.test(message),
  );
});

Deno.test.each(
  [["http://127.0.0.1:1/", false], ["file:///etc/passwd", true], ["data:application/json,{}", true]] as const,
)(
  "fetchDocument() asks nobody for %s",
  async (url, insecureHttp) => {
    const asked: unknown[] = [];
    const spy = (input: unknown) => {
      asked.push(input);
      return Promise.resolve(Response.json({}));
    };
    await assert.rejects(
      fetchDocument(new URL(url), { fetch: spy, signal: NEVER, insecureHttp }),
      /is not https/,
    );
    assert.deepEqual(asked, []);
  },
);
