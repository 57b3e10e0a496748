import assert from "node:assert/strict";
import { type ByteStream, StreamBroken } from "../../lib/stream/byte_stream.ts";
import { Sent } from "../../lib/stream/sent.ts";
import { isPending } from "./pending.ts";
import { MUCH, readToEnd, streamsOf, TRANSPORTS } from "./sockets.ts";

Deno.test.each(TRANSPORTS)(
  "send() of %s tells who could send no more once it takes more, each one time",
  async (transport) => {
    using pair = await streamsOf(transport);
    const first = sendMuch(pair.server, 1);
    const second = sendMuch(pair.server, 2);
    assert.equal(await isPending(Promise.race([first.over, second.over])), true);
    const reading = readToEnd(pair.client);
    await Promise.all([first.over, second.over]);
    await pair.server.end();
    const received = await reading;
    assert.equal(received.length, 2 * MUCH);
    assert.deepEqual([received[0], received[MUCH - 1], received[MUCH]], [1, 1, 2]);
    assert.deepEqual([first.times, second.times], [1, 1]);
  },
);

Deno.test.each(TRANSPORTS)("send() of %s tells all who wait that it broke", async (transport) => {
  using pair = await streamsOf(transport);
  const waiting = [sendMuch(pair.server, 1), sendMuch(pair.server, 2)];
  pair.server.destroy();
  for (const { over } of waiting) await assert.rejects(over, StreamBroken);
  assert.deepEqual(waiting.map(({ times }) => times), [1, 1]);
});

Deno.test.each(TRANSPORTS)(
  "send() of %s tells that it is broken, and not before it has returned",
  async (transport) => {
    using pair = await streamsOf(transport);
    pair.server.destroy();
    await assert.rejects(pair.server.write(Uint8Array.of(1)), StreamBroken);
    const sent = new CountingSender();
    assert.equal(pair.server.send(Uint8Array.of(2), sent), false);
    assert.equal(sent.times, 0);
    await assert.rejects(sent.over, StreamBroken);
    assert.equal(sent.times, 1);
  },
);

class CountingSender extends Sent {
  times = 0;

  override sent(broken?: StreamBroken): void {
    this.times++;
    super.sent(broken);
  }
}

function sendMuch(stream: ByteStream, value: number): CountingSender {
  const sender = new CountingSender();
  assert.equal(stream.send(new Uint8Array(MUCH).fill(value), sender), false);
  return sender;
}
