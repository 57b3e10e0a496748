import assert from "node:assert/strict";
import { setImmediate } from "node:timers";
import { Relay, type RelayResult } from "../../lib/relay/relay.ts";
import type { ByteStream } from "../../lib/stream/byte_stream.ts";
import { streamsOf, TRANSPORTS } from "../stream/sockets.ts";
import { concat } from "./model_backend.ts";
import { TERMINATE } from "./scene.ts";

/** Around the sizes of the buffers on the way. */
const AROUND = [1, 5, 300, 4_095, 4_096, 4_097, 8_192, 16_384, 65_535, 65_536, 65_537, 200_000];
/** In front of them are many that are read one by one. */
const LENGTHS = [...Array(60).fill(300), ...AROUND];

const PAIRS = TRANSPORTS.flatMap(([client]) => TRANSPORTS.map(([backend]) => [client, backend] as const));

Deno.test.each(PAIRS)(
  "Relay from %s to %s carries every byte both ways, to slow ends as well",
  async (...kinds) => {
    using clients = await streamsOf(kinds[0]);
    using backends = await streamsOf(kinds[1]);
    const asked = messages("d", 1);
    const answered = messages("D", 2);
    const { promise, resolve } = Promise.withResolvers<RelayResult>();
    new Relay(clients.server, backends.client, {
      fromClient: asked.slice(0, 5_000),
      fromBackend: answered.slice(0, 7),
      canceller: { cancel: () => Promise.resolve() },
    }).run({ carried: resolve });
    const { client } = clients;
    const { server: backend } = backends;

    const reading = [slowly(backend), slowly(client)];
    const writing = [inChunks(client, asked.subarray(5_000)), inChunks(backend, answered.subarray(7))];
    const first = await Promise.race([Promise.all(writing).then(() => "all was written"), promise]);
    assert.equal(first, "all was written");
    await client.write(TERMINATE);
    await client.end();
    await reading[0].then(() => backend.end());
    assertSame(await reading[0], concat(asked, TERMINATE));
    assertSame(await reading[1], answered);
    const { how, bytesIn, bytesOut } = await promise;
    assert.deepEqual({ how, bytesIn, bytesOut }, {
      how: "client_left",
      bytesIn: asked.length + TERMINATE.length,
      bytesOut: answered.length,
    });
  },
);

/** As `deepEqual`, which takes minutes for telling where so many bytes differ. */
function assertSame(actual: Uint8Array, expected: Uint8Array): void {
  assert.equal(actual.length, expected.length);
  assert.equal(actual.findIndex((byte, index) => byte !== expected[index]), -1, "bytes differ");
}

/** Messages that no two bytes side by side are alike in, so that none can stand in another's place. */
function messages(type: "d" | "D", step: number): Uint8Array<ArrayBuffer> {
  return concat(...LENGTHS.map((length) => {
    const bytes = Uint8Array.from({ length: 5 + length }, (_, index) => index * step % 251);
    bytes[0] = type.charCodeAt(0);
    new DataView(bytes.buffer).setInt32(1, 4 + length);
    return bytes;
  }));
}

async function inChunks(stream: ByteStream, bytes: Uint8Array): Promise<void> {
  let at = 0;
  for (let turn = 0; at < bytes.length; turn++) {
    const chunk = bytes.slice(at, at + LENGTHS[turn % LENGTHS.length]);
    at += chunk.length;
    await stream.write(chunk);
    await new Promise((resolve) => setImmediate(resolve));
  }
}

/** All that comes until the end, read by somebody who has other things to do in between. */
async function slowly(stream: ByteStream): Promise<Uint8Array> {
  const chunks: Uint8Array[] = [];
  for (let chunk = await stream.read(); chunk !== null; chunk = await stream.read()) {
    chunks.push(chunk.slice());
    await new Promise((resolve) => setTimeout(resolve, 2));
  }
  return concat(...chunks);
}
