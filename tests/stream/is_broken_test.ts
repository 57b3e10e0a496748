import assert from "node:assert/strict";
import { waitUntil } from "../support/wait_until.ts";
import { isPending } from "./pending.ts";
import { MUCH, resetBy, streamsOf, TRANSPORTS } from "./sockets.ts";

Deno.test.each(TRANSPORTS)("isBroken() of %s tells of a reset that nobody has read", async (transport) => {
  using pair = await streamsOf(transport);
  assert.equal(await pair.server.isBroken(), false);
  const writing = assert.rejects(pair.client.write(new Uint8Array(MUCH)));
  assert.equal(await isPending(writing), true);
  assert.equal(await pair.server.isBroken(), false);
  await resetBy(pair);
  await waitUntil(() => pair.server.isBroken(), { what: "the reset" });
  await writing;
});

Deno.test.each(TRANSPORTS)("isBroken() of %s is not told of an end alone", async (transport) => {
  using pair = await streamsOf(transport);
  await pair.client.end();
  assert.equal(await pair.server.isBroken(), false);
  assert.equal(await pair.server.read(), null);
  assert.equal(await pair.server.isBroken(), false);
});

Deno.test.each(TRANSPORTS)("isBroken() of %s is so once it was let go", async (transport) => {
  using pair = await streamsOf(transport);
  pair.server.destroy();
  await waitUntil(() => pair.server.isBroken(), { what: "its end" });
});
