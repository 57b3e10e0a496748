import assert from "node:assert/strict";
import { Relay, type RelayResult } from "../../lib/relay/relay.ts";
import type { ByteStream } from "../../lib/stream/byte_stream.ts";
import { memoryPair } from "../../lib/stream/memory_stream.ts";
import { isPending } from "../stream/pending.ts";
import { pairOf, resetBy } from "../stream/sockets.ts";
import { message, QUERY } from "./scene.ts";

/** What a client sends in one go, more than a few of which its backend does not take. */
const LONG_QUERY = message("Q", "x".repeat(1 << 20));

Deno.test.each<["socket" | "conn"]>([["socket"], ["conn"]])(
  "S3 Relay cancels the query of a client (%s) that was reset behind more than its backend takes",
  async (transport) => {
    using clients = await pairOf(transport);
    const [backend, backendSide] = memoryPair();
    const cancels: boolean[] = [];
    const { promise, resolve } = Promise.withResolvers<RelayResult>();
    const relay = new Relay(clients.server, backendSide, {
      fromClient: new Uint8Array(),
      fromBackend: new Uint8Array(),
      canceller: {
        cancel: (isStillMeant) => {
          cancels.push(isStillMeant());
          return Promise.resolve();
        },
      },
    });
    relay.run({ carried: resolve });
    await clients.client.write(QUERY);
    await fill(clients.client);
    assert.equal(await isPending(promise), true);
    await resetBy(clients);
    assert.equal((await promise).how, "client_lost");
    assert.deepEqual(cancels, [true]);
    backend.destroy();
  },
);

/** Writes until nothing is taken any more. */
async function fill(stream: ByteStream): Promise<void> {
  while (!await isPending(stream.write(LONG_QUERY.slice())));
}
