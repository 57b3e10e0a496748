import assert from "node:assert/strict";
import { freePort, isFree } from "./free_port.ts";

Deno.test("freePort() is below what the kernel takes for outgoing connections", () => {
  const port = freePort();
  assert.ok(port >= 20_000 && port < 32_000);
});

Deno.test("isFree() is false for a port that is listened on", () => {
  using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  assert.equal(isFree("127.0.0.1", listener.addr.port), false);
});
