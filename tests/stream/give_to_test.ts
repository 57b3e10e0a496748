import assert from "node:assert/strict";
import { type ChunkTaker, StreamBroken } from "../../lib/stream/byte_stream.ts";
import { concat } from "../support/raw_messages.ts";
import { waitUntil } from "../support/wait_until.ts";
import { isPending } from "./pending.ts";
import { streamsOf, TRANSPORTS } from "./sockets.ts";

Deno.test.each(TRANSPORTS)(
  "giveTo() of %s gives every byte in its order, and then the end",
  async (transport) => {
    using pair = await streamsOf(transport);
    const taker = new RecordingTaker(() => true);
    pair.server.giveTo(taker);
    for (let part = 0; part < 100; part++) await pair.client.write(new Uint8Array(1000).fill(part));
    await pair.client.end();
    await taker.over;
    assert.equal(taker.cause, undefined);
    const expected = Uint8Array.from({ length: 100_000 }, (_, index) => Math.floor(index / 1000));
    assert.deepEqual(taker.bytes, expected);
  },
);

Deno.test.each(TRANSPORTS)(
  "giveTo() of %s gives nothing, not even the end, to who takes no more, until it is asked again",
  async (transport) => {
    using pair = await streamsOf(transport);
    const taker = new RecordingTaker(() => false);
    pair.server.giveTo(taker);
    await pair.client.write(Uint8Array.of(1));
    await waitUntil(() => taker.bytes.length === 1, { what: "the first byte" });
    await pair.client.write(Uint8Array.of(2));
    await pair.client.end();
    assert.equal(await isPending(taker.over), true);
    assert.deepEqual(taker.bytes, Uint8Array.of(1));
    pair.server.giveTo(taker);
    await waitUntil(() => taker.bytes.length === 2, { what: "the second byte" });
    assert.equal(await isPending(taker.over), true);
    pair.server.giveTo(taker);
    await taker.over;
    assert.equal(taker.cause, undefined);
    assert.deepEqual(taker.bytes, Uint8Array.of(1, 2));
  },
);

Deno.test.each(TRANSPORTS)(
  "giveTo() of %s tells what its taker has thrown, and gives it no more",
  async (transport) => {
    using pair = await streamsOf(transport);
    const fault = new Error("no more of this");
    const taker = new RecordingTaker(() => {
      throw fault;
    });
    pair.server.giveTo(taker);
    await pair.client.write(Uint8Array.of(1));
    await taker.over;
    assert.equal(taker.cause, fault);
    await pair.client.write(Uint8Array.of(2));
    await pair.client.end();
    assert.equal(taker.ends, 1);
    assert.deepEqual(taker.bytes, Uint8Array.of(1));
  },
);

Deno.test.each(TRANSPORTS)("giveTo() of %s tells that it was let go", async (transport) => {
  using pair = await streamsOf(transport);
  const taker = new RecordingTaker(() => true);
  pair.server.giveTo(taker);
  pair.server.destroy();
  await taker.over;
  assert.ok(taker.cause instanceof StreamBroken);
});

Deno.test.each(TRANSPORTS)("giveTo() of %s tells that it was let go before", async (transport) => {
  using pair = await streamsOf(transport);
  pair.server.destroy();
  const taker = new RecordingTaker(() => true);
  pair.server.giveTo(taker);
  await taker.over;
  assert.ok(taker.cause instanceof StreamBroken);
  assert.equal(taker.ends, 1);
});

/** Keeps what it is given. */
class RecordingTaker implements ChunkTaker {
  readonly isAtRest = false;
  readonly #answer: () => boolean;
  readonly #over = Promise.withResolvers<void>();
  /** Settles when it has been told that nothing more comes. */
  readonly over = this.#over.promise;
  bytes = new Uint8Array();
  /** Why nothing more comes; undefined: the peer has ended. */
  cause: unknown;
  /** How often it was told. */
  ends = 0;

  constructor(answer: () => boolean) {
    this.#answer = answer;
  }

  take(chunk: Uint8Array): boolean {
    this.bytes = new Uint8Array(concat(this.bytes, chunk));
    return this.#answer();
  }

  ended(): void {
    this.broke(undefined);
  }

  broke(cause: unknown): void {
    this.cause = cause;
    this.ends++;
    this.#over.resolve();
  }
}
